"""From a stage's commit, by the backend's clock, to the bytes on the terminal that show it: in a row, on the task."""

import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path

from foundry_tui.client.connection import Target
from foundry_tui.contract.records import HistoryKind, TaskDetail
from foundry_tui.contract.requests import HistoryPage, TasksSnapshot
from foundry_tui.contract.status import STAGES
from foundry_tui.view.glyphs import UNICODE, progress_bar
from foundry_tui.view.labels import STEPS
from foundry_tui.view.stepper import STEP_NAMES
from foundry_tui.wire import Link
from tests.bench.backend import running_backend, set_pace
from tests.bench.figure import Figure, against_floor
from tests.bench.first_content import foundry, homeless
from tests.bench.terminal import Terminal

TASKS = 200
ROUNDS = 26
STAGE_MS = 500
"""Long enough for what is said of a stage to be painted before the next one begins."""
FLUSH_MS = 50.0
NEW_TASK, ESCAPE, SAVE = "n", "\x1b", "\x13"

_ROW_SAYS = {
    str(stage): (progress_bar(UNICODE, done, STEPS, running=True), STEP_NAMES[stage])
    for done, stage in enumerate(STAGES, 1)
}
_STEPPER_SAYS = {str(stage): (STEP_NAMES[stage], "running") for stage in STAGES}
"""What is painted of each stage when it has begun."""


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
        return self._taken(task_id, _ROW_SAYS)

    def on_task(self) -> list[float]:
        """Milliseconds from the commits of a task's stages to its stepper, when the user creates it."""
        terminal = self._terminal
        terminal.press(NEW_TASK)
        terminal.wait_for("Its first line becomes the title")
        prompt = f"Mend page {self._tasks}"
        terminal.press(prompt)
        terminal.wait_for(prompt)
        terminal.forget()
        terminal.press(SAVE)
        self._tasks += 1
        terminal.wait_for("ready in")
        known = self._link.call("GET", "/v1/tasks", TasksSnapshot).tasks
        taken = self._taken(max(task.task_id for task in known), _STEPPER_SAYS)
        terminal.forget()
        terminal.press(ESCAPE)
        terminal.wait_for("Foundry")
        return taken

    def _taken(self, task_id: str, says: Mapping[str, tuple[str, ...]]) -> list[float]:
        events = self._link.call("GET", f"/v1/tasks/{task_id}/history", HistoryPage).events
        begun = {str(event.payload["stage"]): event.at for event in events if event.kind is HistoryKind.STAGE_STARTED}
        return [self._terminal.painted_at(*says[stage]) * 1000 - at for stage, at in begun.items()]


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
            # Each screen is imported when it is opened first.
            watch.on_task()
            on_task = [taken for _ in range(ROUNDS) for taken in watch.on_task()]
    return _figures("its row in the list", in_list) + _figures("the task screen", on_task)
