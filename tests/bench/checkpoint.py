"""A checkpoint of a repository of 60,000 files after a small change, against what `git status` takes there."""

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import anyio

from backend_stub.providers.local.snapshot import Snapshot, Worktree
from tests.bench.figure import Figure, against_floor
from tests.git import ENVIRONMENT, git

FOLDERS, FILES = 600, 100
ROUNDS = 7


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory() as room:
        return anyio.run(_measure, Path(room).resolve())


async def _measure(room: Path) -> list[Figure]:
    code = room / "code"
    for number in range(FOLDERS):
        folder = code / f"part{number // 30}" / f"module{number}"
        folder.mkdir(parents=True)
        for name in range(FILES):
            (folder / f"file{name}.py").write_text(f"value = {number * FILES + name}\n" * 20)
    git(code, "init", "-q", "-b", "main")
    git(code, "add", "--all")
    git(code, "commit", "-q", "-m", "first")
    snapshot = Snapshot(Worktree(str(code), str(code / ".git"), str(code / ".git")), room / "kept", lambda line: None)
    started = time.perf_counter()
    await snapshot.take()
    first = (time.perf_counter() - started) * 1000
    kept, status = [], []
    for number in range(ROUNDS):
        for name in range(3):
            (code / "part1" / "module31" / f"file{name}.py").write_text(f"round = {number}\n")
        (code / "part2" / f"new{number}.py").write_text("new\n")
        status.append(_took(lambda: _status(code)))
        started = time.perf_counter()
        await snapshot.take()
        kept.append((time.perf_counter() - started) * 1000)
    return [
        against_floor(
            "checkpoint of 60,000 files after 4 changed",
            statistics.median(kept),
            statistics.median(status),
            "ms",
            3.0,
            note=f"the first one, read beforehand: {first:,.0f} ms",
        )
    ]


def _took(do: Callable[[], object]) -> float:
    started = time.perf_counter()
    do()
    return (time.perf_counter() - started) * 1000


def _status(code: Path) -> None:
    # As people's prompts and editors run it: without taking the lock of the index.
    words = ["git", "--no-optional-locks", "status", "--porcelain"]
    subprocess.run(words, cwd=code, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
