"""From a stage's commit, by the backend's clock, to the bytes on the terminal that show it: in the list, on the task."""

import statistics
import tempfile
from collections.abc import Iterable
from pathlib import Path

from foundry_tui.client.connection import Target
from foundry_tui.contract.records import HistoryEvent, HistoryKind, TaskDetail
from foundry_tui.contract.requests import HistoryPage, TasksSnapshot
from foundry_tui.contract.status import STAGES
from foundry_tui.view.glyphs import UNICODE, progress_bar
from foundry_tui.view.history import local_clock
from foundry_tui.view.labels import STEPS
from foundry_tui.view.stepper import STEP_NAMES
from foundry_tui.wire import Link
from tests.bench.backend import running_backend, set_pace
from tests.bench.figure import Figure, against_floor
from tests.bench.first_content import foundry, homeless
from tests.bench.terminal import Terminal

TASKS = 200
ROUNDS = 34
STAGE_MS = 200
FLUSH_MS = 50.0
NEW_TASK, HISTORY, ESCAPE, SAVE = "n", "h", "\x1b", "\x13"

_ROW_SAYS = {
    str(stage): f"{progress_bar(UNICODE, done, STEPS, running=True)} {STEP_NAMES[stage]}"
    for done, stage in enumerate(STAGES, 1)
}
"""What a row says of each stage when it has begun."""


class Watch:
    """The app on a backend in which one task after the other is prepared."""

    def __init__(self, terminal: Terminal, link: Link, repository: Path) -> None:
        self._terminal = terminal
        self._link = link
        self._repository = repository
        self._tasks = TASKS

    def in_list(self) -> list[float]:
        """Milliseconds from the commits of a task's stages to its row, when somebody else creates it."""
        terminal = self._terminal
        terminal.forget()
        body = {"repo": str(self._repository), "prompt": "Fix the login redirect"}
        task_id = self._link.call("POST", "/v1/tasks", TaskDetail, body=body).task_id
        self._tasks += 1
        terminal.wait_for(f"{self._tasks:,} ready")
        return self._taken((event, _ROW_SAYS[str(event.payload["stage"])]) for event in self._begun(task_id))

    def on_task(self) -> list[float]:
        """Milliseconds from the commits of a task's stages to their lines in its history, when one creates it."""
        terminal = self._terminal
        terminal.press(NEW_TASK)
        terminal.wait_for("Its first line becomes the title")
        prompt = f"Mend page {self._tasks}"
        terminal.press(prompt)
        terminal.wait_for(prompt)
        terminal.forget()
        terminal.press(SAVE)
        self._tasks += 1
        terminal.wait_for("session")
        terminal.press(HISTORY)
        terminal.wait_for("ready for the next prompt")
        known = self._link.call("GET", "/v1/tasks", TasksSnapshot).tasks
        clock_time = local_clock()
        begun = self._begun(max(task.task_id for task in known))[1:]
        taken = self._taken((event, clock_time(event.at)) for event in begun)
        terminal.forget()
        terminal.press(HISTORY + ESCAPE)
        terminal.wait_for("Foundry")
        return taken

    def _begun(self, task_id: str) -> list[HistoryEvent]:
        """The commits with which the task's stages began."""
        events = self._link.call("GET", f"/v1/tasks/{task_id}/history", HistoryPage).events
        return [event for event in events if event.kind is HistoryKind.STAGE_STARTED]

    def _taken(self, shown: Iterable[tuple[HistoryEvent, str]]) -> list[float]:
        return [self._terminal.painted_at(text) * 1000 - event.at for event, text in shown]


def _figures(where: str, taken: list[float]) -> list[Figure]:
    ordered = sorted(taken)
    note = f"{len(ordered)} commits, against one flush interval"
    return [
        against_floor(f"stage committed → {where}, p50", statistics.median(ordered), FLUSH_MS, "ms", 1, note),
        against_floor(f"stage committed → {where}, p99", ordered[round(0.99 * (len(ordered) - 1))], FLUSH_MS, "ms", 3),
    ]


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name, running_backend(TASKS) as (address, folder):
        set_pace(folder, STAGE_MS)
        env = {**homeless(Path(name)), "FOUNDRY_BACKEND": address}
        with Terminal([foundry()], env, cwd=folder / "shop", columns=150, rows=50) as terminal:
            terminal.wait_for(f"{TASKS:,} tasks")
            terminal.watch(1)
            watch = Watch(terminal, Link(Target.parse(address)), folder / "shop")
            in_list = [taken for _ in range(ROUNDS) for taken in watch.in_list()]
            on_task = [taken for _ in range(ROUNDS) for taken in watch.on_task()]
    return _figures("its row in the list", in_list) + _figures("the task screen", on_task)
