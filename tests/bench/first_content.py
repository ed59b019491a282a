"""From the command to the first content on the terminal, and to a list filled with live data."""

import os
import sys
import tempfile
from pathlib import Path

from tests.bench.backend import running_backend
from tests.bench.figure import Figure, against_floor, fastest_half
from tests.bench.terminal import Terminal

ROUNDS = 21
TASKS = 1_000

FLOOR = """
from textual.app import App
from textual.widgets import Static

class Floor(App):
    def compose(self):
        yield Static("floor-text")

Floor().run()
"""


def _floor(script: Path) -> float:
    with Terminal([sys.executable, str(script)]) as terminal:
        return terminal.wait_for("floor-text")


def foundry() -> str:
    """The installed command beside this interpreter."""
    return str(Path(sys.executable).with_name("foundry"))


def homeless(folder: Path) -> dict[str, str]:
    """Variables that keep a run away from the user's own settings and files."""
    kinds = ("CONFIG", "DATA", "STATE", "CACHE")
    env = {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in kinds}
    return {**env, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "PATH": os.environ["PATH"]}


def run() -> list[Figure]:
    floors, firsts, filled = [], [], []
    with tempfile.TemporaryDirectory() as name, running_backend(TASKS) as (address, folder):
        script = Path(name) / "floor.py"
        script.write_text(FLOOR)
        env = {**homeless(Path(name)), "FOUNDRY_BACKEND": address}
        for _ in range(ROUNDS):
            floors.append(_floor(script))
            with Terminal([foundry()], env, cwd=folder) as terminal:
                firsts.append(terminal.wait_for("Foundry"))
                filled.append(terminal.wait_for(f"{TASKS:,} tasks"))
    floor = fastest_half(floors) * 1000
    return [
        against_floor("first content, against one Static", fastest_half(firsts) * 1000, floor, "ms", 1.25),
        against_floor(f"list of {TASKS:,} live tasks", fastest_half(filled) * 1000, floor, "ms", 1.7),
    ]
