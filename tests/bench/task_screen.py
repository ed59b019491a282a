"""From the key that creates a task to its screen, against pushing an empty screen of Textual's, in a real terminal."""

import sys
import time

from tests.bench.figure import Figure, against_floor
from tests.bench.screen_program import mark
from tests.bench.terminal import Terminal

ROUNDS = 20
PROMPT = "fix it for good"


def _press(terminal: Terminal, keys: str, screen: str) -> float:
    """Milliseconds from the key until the first frame of the screen is on the terminal; then it comes to rest."""
    terminal.forget()
    began = time.perf_counter()
    terminal.press(keys)
    terminal.wait_for(mark(screen), 5)
    taken = time.perf_counter() - began
    terminal.watch(0.4)
    return taken * 1000


def _measure() -> tuple[float, float]:
    """The task screen and the empty one, each pushed from the dialog."""
    tasks, floors = [], []
    with Terminal([sys.executable, "-m", "tests.bench.screen_program"], rows=36) as terminal:
        terminal.wait_for("1 task", 30)
        terminal.watch(1)
        for _ in range(ROUNDS):
            _press(terminal, "n", "NewTaskScreen")
            terminal.press(PROMPT)
            terminal.watch(0.4)
            floors.append(_press(terminal, "\x0b", "Empty"))
            _press(terminal, "\x1b", "NewTaskScreen")
            tasks.append(_press(terminal, "\x13", "TaskScreen"))
            _press(terminal, "\x1b", "TasksScreen")
    # The first one reads style sheets and imports; of the others the quickest had nothing in its way.
    return min(tasks[1:]), min(floors[1:])


def run() -> list[Figure]:
    task, floor = _measure()
    name = "key press in the dialog → task screen painted"
    return [against_floor(name, task, floor, "ms", 2, "against an empty screen")]
