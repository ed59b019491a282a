"""The program that list benchmarks watch: `python -m tests.bench.list_program list|table|static COUNT UPDATES MOVES`.

It shows COUNT tasks in our list or in Textual's DataTable (or one Static), UPDATES of them a second change, and of
these MOVES per cent change their group. Changes reach the screen in frames of 50 ms, as the client's do.
"""

import asyncio
import gc
import random
import sys
from importlib import import_module

from msgspec.structs import replace
from textual.app import App, ComposeResult
from textual.widgets import DataTable, Static

from foundry_tui.app.app import FoundryApp
from foundry_tui.app.options import Options
from foundry_tui.client.store import Store
from foundry_tui.contract.events import TASKS, EventName
from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.status import TaskStatus
from tests.app.harness import FakeCommands, make_store
from tests.app.list_scenes import many

FRAME = 0.05


class Load:
    """Random changes of tasks, always the same ones."""

    def __init__(self, tasks: list[TaskSummary], updates: int, moves: int) -> None:
        self.tasks = tasks
        self._a_frame = int(updates * FRAME)
        self._moves = moves
        self._rng = random.Random(7)

    def frame(self) -> list[TaskSummary]:
        """What changes in one frame."""
        changed = []
        for _ in range(self._a_frame):
            place = self._rng.randrange(len(self.tasks))
            task = self.tasks[place]
            title = f"{(task.title or '').rpartition(' ')[0]} {self._rng.randrange(100)}"
            status = task.status
            if self._rng.randrange(100) < self._moves:
                status = TaskStatus.IDLE if status is TaskStatus.ARCHIVED else TaskStatus.ARCHIVED
            task = replace(task, title=title, status=status, revision=task.revision + 1)
            self.tasks[place] = task
            changed.append(task)
        return changed


def list_app(tasks: list[TaskSummary], load: Load) -> App[None]:
    """Our list on a store."""
    # What the real app holds in memory too, and does.
    import_module("foundry_tui.client.foundry")
    store: Store = make_store(tasks)
    seq = 1

    async def feed() -> None:
        nonlocal seq
        while True:
            await asyncio.sleep(FRAME)
            for task in load.frame():
                seq += 1
                store.apply(TASKS, EventName.TASK, task, seq)
            store.flush()

    def begin() -> None:
        gc.freeze()
        app.run_worker(feed())

    options = Options(bell=False, terminal_notifications=False, notifications=False)
    app = FoundryApp(store, FakeCommands(), options=options, on_first_paint=begin)
    return app


class Table(App[None]):
    """The same tasks in a DataTable; a change is one `update_cell` for each cell that differs."""

    def __init__(self, load: Load) -> None:
        super().__init__()
        self._load = load

    def compose(self) -> ComposeResult:
        yield DataTable[str](cursor_type="row")

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        for column in ("title", "repository", "branch", "state"):
            table.add_column(column, key=column)
        for task in self._load.tasks:
            table.add_row(task.title, task.repo_label, task.branch, str(task.status), key=task.task_id)

    def on_ready(self) -> None:
        self.run_worker(self._feed())

    async def _feed(self) -> None:
        table = self.query_one(DataTable)
        while True:
            await asyncio.sleep(FRAME)
            for task in self._load.frame():
                table.update_cell(task.task_id, "title", task.title)
                table.update_cell(task.task_id, "state", str(task.status))


class OneStatic(App[None]):
    """The floor of what Textual costs."""

    def compose(self) -> ComposeResult:
        yield Static("floor-text")


def main() -> None:
    kind, count, updates, moves = sys.argv[1], *map(int, sys.argv[2:5])
    tasks = list(many(count))
    load = Load(tasks, updates, moves)
    apps: dict[str, App[None]] = {}
    if kind == "list":
        apps[kind] = list_app(list(tasks), load)
    elif kind == "table":
        apps[kind] = Table(load)
    else:
        apps[kind] = OneStatic()
    apps[kind].run()


if __name__ == "__main__":
    main()
