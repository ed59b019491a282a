"""Commands that do not draw: how long a shell waits for them, against importing an HTTP library."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.figure import Figure, against_floor, against_limit, fastest_half
from tests.cli.command_line import Cli
from tests.world import FOUNDRY

ROUNDS = 15
TASKS = 20


def seconds_of(words: Sequence[str | Path], environ: dict[str, str], folder: Path) -> float:
    """From start to end of a command that must succeed."""
    began = time.perf_counter()
    subprocess.run(words, env=environ, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return time.perf_counter() - began


def run() -> list[Figure]:
    """`foundry list` and `foundry statusline` with a backend that runs, and the latter with none."""
    with tempfile.TemporaryDirectory() as folder:
        cli = Cli(Path(folder))
        try:
            off = [seconds_of([FOUNDRY, "statusline"], cli.environ, cli.repository) for _ in range(ROUNDS)]
            for number in range(TASKS):
                cli.create(f"task {number}")
            floors, lists, lines = [], [], []
            # by turns, so that whatever else the machine does falls on all of them
            for _ in range(ROUNDS):
                floors.append(seconds_of([sys.executable, "-c", "import httpx"], cli.environ, cli.repository))
                lists.append(seconds_of([FOUNDRY, "list"], cli.environ, cli.repository))
                lines.append(seconds_of([FOUNDRY, "statusline"], cli.environ, cli.repository))
        finally:
            cli.close()
    floor = fastest_half(floors) * 1000
    note = f"{TASKS} tasks; the floor is python -c 'import httpx'"
    return [
        against_floor("foundry list", fastest_half(lists) * 1000, floor, "ms", 2.0, note),
        against_limit("foundry statusline", fastest_half(lines) * 1000, "ms", 100.0),
        against_limit("foundry statusline, no backend", fastest_half(off) * 1000, "ms", 100.0),
    ]
