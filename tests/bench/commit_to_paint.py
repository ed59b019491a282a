"""From a stage's commit, by the backend's clock, to the bytes on the terminal that show it: in a row, on the task."""

import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from foundry_tui.cli.follow.stream import Event, Feed
from foundry_tui.client.blocking import BlockingClient
from foundry_tui.client.connection import Target
from foundry_tui.contract import codec
from foundry_tui.contract.events import TASKS, EventName
from foundry_tui.contract.records import HistoryKind, TaskDetail, TaskSummary
from foundry_tui.contract.requests import HistoryPage, TasksSnapshot
from foundry_tui.contract.status import STAGES
from foundry_tui.view.glyphs import UNICODE, progress_bar
from foundry_tui.view.labels import STEPS
from foundry_tui.view.stepper import STEP_NAMES
from tests.bench.backend import running_backend, set_pace
from tests.bench.figure import Figure, against_floor
from tests.bench.first_content import foundry, homeless
from tests.bench.terminal import Terminal

COUNT = 200
SAMPLES = 1_000
"""As a 99th percentile needs."""
STAGE_MS = 250
"""Long enough for what is said of a stage to be painted before the next one begins."""
FLUSH_MS = 50.0
NEW_TASK, ESCAPE, SAVE, HOME = "n", "\x1b", "\x13", "\x1b[H"

_ROW_SAYS = {
    str(stage): (progress_bar(UNICODE, done, STEPS, running=True), STEP_NAMES[stage])
    for done, stage in enumerate(STAGES, 1)
}
_STEPPER_SAYS = {str(stage): (STEP_NAMES[stage], "running") for stage in STAGES}
"""What is painted of each stage when it has begun."""


class Listener:
    """A bare client of the list, which tells what of the time is the machine's and the backend's."""

    def __init__(self, client: BlockingClient) -> None:
        self._heard: dict[tuple[str, str], float] = {}
        self._client = client
        threading.Thread(target=self._listen, daemon=True).start()

    def heard_at(self, task_id: str, stage: str) -> float:
        """When it had heard of a stage that began, in seconds since the epoch."""
        return self._heard[task_id, stage]

    def _listen(self) -> None:
        with Feed(self._client, [TASKS]) as feed:
            while True:
                signal = feed.next()
                if isinstance(signal, Event) and signal.name is EventName.TASK:
                    task = codec.decode(signal.data, TaskSummary)
                    if task.stage is not None:
                        self._heard.setdefault((task.task_id, str(task.stage.name)), time.time())


class Taken(NamedTuple):
    """One stage that began: milliseconds from its commit until it was painted, and until a bare client heard of it."""

    stage: str
    painted: float
    heard: float


class Watch:
    """The app on a backend in which one task after the other is prepared."""

    def __init__(self, terminal: Terminal, client: BlockingClient, repository: Path) -> None:
        self._listener = Listener(client)
        self._terminal = terminal
        self._client = client
        self._repository = repository
        self._tasks = COUNT

    def in_list(self) -> list[Taken]:
        """From the commits of a task's stages to its row, when somebody else creates it."""
        terminal = self._terminal
        # The cursor stays with its task, which each new one moves down, until the newest is out of sight.
        terminal.press(HOME)
        terminal.forget()
        body = {"repo": str(self._repository), "prompt": "Fix the login redirect"}
        task_id = self._client.call("POST", "/v1/tasks", TaskDetail, body=body).task_id
        self._tasks += 1
        terminal.wait_for(f"{self._tasks:,} ready")
        return self._taken(task_id, _ROW_SAYS)

    def on_task(self) -> list[Taken]:
        """From the commits of a task's stages to its stepper, when the user creates it."""
        terminal = self._terminal
        terminal.press(NEW_TASK)
        terminal.wait_for("Its first line becomes the title")
        prompt = f"Mend page {self._tasks}"
        terminal.press(prompt)
        terminal.wait_for(prompt)
        terminal.forget()
        terminal.press(SAVE)
        self._tasks += 1
        terminal.wait_for("prepared in")
        known = self._client.call("GET", "/v1/tasks", TasksSnapshot).tasks
        taken = self._taken(max(task.task_id for task in known), _STEPPER_SAYS)
        terminal.forget()
        terminal.press(ESCAPE)
        terminal.wait_for("Foundry")
        return taken

    def _taken(self, task_id: str, says: Mapping[str, tuple[str, ...]]) -> list[Taken]:
        events = self._client.call("GET", f"/v1/tasks/{task_id}/history", HistoryPage).events
        begun = {str(event.payload["stage"]): event.at for event in events if event.kind is HistoryKind.STAGE_STARTED}
        return [
            Taken(
                stage,
                self._terminal.painted_at(*says[stage]) * 1000 - at,
                self._listener.heard_at(task_id, stage) * 1000 - at,
            )
            for stage, at in begun.items()
        ]


def _figures(where: str, taken: list[Taken]) -> list[Figure]:
    painted, heard = sorted(each.painted for each in taken), sorted(each.heard for each in taken)
    name = f"stage committed → {where}"
    note = f"{len(taken)} commits, against one flush interval; a bare client hears of it in"
    return [
        against_floor(f"{name}, p50", _p(painted, 50), FLUSH_MS, "ms", 1, f"{note} {_p(heard, 50):.1f} ms"),
        against_floor(f"{name}, p99", _p(painted, 99), FLUSH_MS, "ms", 3, f"{note} {_p(heard, 99):.1f} ms"),
    ]


def _p(ordered: list[float], percent: int) -> float:
    return ordered[round(percent / 100 * (len(ordered) - 1))]


def _rounds(each: int) -> int:
    """How often so many samples are to be taken."""
    return -(-SAMPLES // each)


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name, running_backend(COUNT) as (address, folder):
        set_pace(folder, STAGE_MS)
        env = {**homeless(Path(name)), "FOUNDRY_BACKEND": address}
        with Terminal([foundry()], env, cwd=folder / "shop", columns=150, rows=50) as terminal:
            terminal.wait_for(f"{COUNT:,} tasks")
            terminal.watch(1)
            watch = Watch(terminal, BlockingClient(Target.parse(address)), folder / "shop")
            in_list = [taken for _ in range(_rounds(len(STAGES))) for taken in watch.in_list()]
            # Each screen is imported when it is opened first.
            watch.on_task()
            on_task = [taken for _ in range(_rounds(len(STAGES) - 1)) for taken in watch.on_task()]
    # The first stage begins while the screen is still being opened, which has a row of its own.
    opening = sorted(taken.painted for taken in on_task if taken.stage == STAGES[0])
    standing = [taken for taken in on_task if taken.stage != STAGES[0]]
    return [
        *_figures("its row in the list", in_list),
        *_figures("the task screen", standing),
        Figure(name="first stage committed → the new task's screen, p50", value=_p(opening, 50), unit="ms"),
    ]
