"""The task list under load, in a real terminal: CPU against a DataTable, keys to paint, filter, memory."""

import gc
import statistics
import sys
import time

from foundry_tui.cli.startup.terminal import FRAMES_A_SECOND
from foundry_tui.contract.filter import load
from foundry_tui.view.order import TaskOrder
from tests.app.list_scenes import many
from tests.bench.figure import Figure, against_floor, against_limit
from tests.bench.terminal import Terminal

TASKS = 10_000
UPDATES = 1_000
WINDOW = 4.0
ROUNDS = 3
KEYS = 120
TYPED = ("login redirect", "status:failed !docs", "checkuot totals", "repo:bill add")


def _program(kind: str, *, count: int = TASKS, updates: int = UPDATES, moves: int = 0) -> Terminal:
    argv = [sys.executable, "-m", "tests.bench.list_program", kind, str(count), str(updates), str(moves)]
    return Terminal(argv, {"TEXTUAL_FPS": str(FRAMES_A_SECOND)} if kind == "list" else None)


def _share(terminal: Terminal) -> float:
    """Per cent of a core that the program takes over the window."""
    before, began = terminal.cpu_seconds(), time.perf_counter()
    terminal.watch(WINDOW)
    return 100 * (terminal.cpu_seconds() - before) / (time.perf_counter() - began)


def _cpu(kind: str, mark: str, moves: int) -> float:
    with _program(kind, moves=moves) as terminal:
        terminal.wait_for(mark, 60)
        terminal.watch(2)
        return _share(terminal)


def _against_table(moves: int) -> tuple[float, float]:
    """Ours and the table's, each the median of rounds in turn."""
    rounds = [(_cpu("list", "10,000 tasks", moves), _cpu("table", "repository", moves)) for _ in range(ROUNDS)]
    ours, table = zip(*rounds, strict=True)
    return statistics.median(ours), statistics.median(table)


def _keys() -> list[float]:
    """Milliseconds from a key to the cursor's new row, under load. The tasks that change do not move."""
    taken = []
    with _program("list") as terminal:
        terminal.wait_for("10,000 tasks", 60)
        terminal.watch(2)
        for _ in range(KEYS):
            terminal.watch(0.037)
            terminal.forget()
            began = time.perf_counter()
            terminal.press("j")
            terminal.wait_for("▌", 5)
            taken.append((time.perf_counter() - began) * 1000)
    return taken


def _filter() -> list[float]:
    """Milliseconds for each letter typed into the filter of a list that is shown already."""
    # As the app does before there are tasks.
    gc.freeze()
    tasks = {task.task_id: task for task in many(TASKS)}
    order = TaskOrder(lambda: tasks, lambda _: False)
    load()
    for _ in order.warm():
        pass
    taken = []
    for text in TYPED:
        for end in range(1, len(text) + 1):
            began = time.perf_counter()
            order.filter(text[:end])
            taken.append((time.perf_counter() - began) * 1000)
        order.filter("")
    gc.unfreeze()
    return taken


def _memory() -> float:
    with _program("list", updates=0) as terminal:
        terminal.wait_for("10,000 tasks", 60)
        terminal.watch(3)
        return terminal.memory_mib()


def run() -> list[Figure]:
    ours, table = _against_table(10)
    keys, letters = sorted(_keys()), sorted(_filter())
    under = f"{TASKS:,} tasks, {UPDATES:,} updates/s"
    return [
        against_floor(
            f"{under}: CPU, against a DataTable", ours, table, "%", 0.25, "a tenth of them change their group"
        ),
        Figure(name=f"{under}: key to paint, p50", value=statistics.median(keys), unit="ms"),
        against_limit(f"{under}: key to paint, p95", keys[int(len(keys) * 0.95)], "ms", 20),
        Figure(name=f"{TASKS:,} tasks: filter, per key, p50", value=statistics.median(letters), unit="ms"),
        against_limit(f"{TASKS:,} tasks: filter, per key, worst", letters[-1], "ms", 50),
        against_limit(f"memory of the app with {TASKS:,} tasks", _memory(), "MiB", 120),
    ]
