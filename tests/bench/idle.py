"""The app open on 1,000 tasks with nothing happening, against the same Textual with one Static, and the backend."""

import sys
import tempfile
import time
from pathlib import Path

from tests.bench.backend import running_backend
from tests.bench.figure import Figure, against_floor, against_limit
from tests.bench.first_content import FLOOR, foundry, homeless
from tests.bench.terminal import TICKS, Terminal

TASKS = 1_000
WINDOW = 20.0


def _share(terminal: Terminal) -> float:
    terminal.watch(3)
    before, began = terminal.cpu_seconds(), time.perf_counter()
    terminal.watch(WINDOW)
    return 100 * (terminal.cpu_seconds() - before) / (time.perf_counter() - began)


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        script = Path(name) / "floor.py"
        script.write_text(FLOOR)
        with Terminal([sys.executable, str(script)]) as terminal:
            terminal.wait_for("floor-text")
            floor = _share(terminal)
        with (
            running_backend(TASKS) as (address, folder),
            Terminal([foundry()], {**homeless(Path(name)), "FOUNDRY_BACKEND": address}, cwd=folder) as terminal,
        ):
            terminal.wait_for(f"{TASKS:,} tasks")
            pid = backend_pid(address)
            before = _cpu_of(pid)
            ours = _share(terminal)
            backend = 100 * (_cpu_of(pid) - before) / (WINDOW + 3)
            memory = memory_of(pid)
    # Below a tick in the window the kernel counts nothing.
    least = 100 / TICKS / WINDOW
    return [
        against_floor(f"idle with {TASKS:,} tasks: CPU, against one Static", ours, max(floor, least), "%", 2),
        against_limit("idle backend: CPU", backend, "%", 1),
        against_limit("idle backend: memory", memory, "MiB", 90),
    ]


def backend_pid(address: str) -> int:
    """The process that listens there, by its own word."""
    import anyio

    from foundry_tui.client.connection import Target, make_http

    async def ask() -> int:
        async with make_http(Target.parse(address)) as http:
            return int((await http.get("/v1/health")).json()["pid"])

    return anyio.run(ask)


def memory_of(pid: int) -> float:
    """MiB that a process holds, its share of shared pages counted in proportion."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise OSError("the kernel does not say")
