"""A diff of 5,000 changed lines in 200 files: opened, paged, searched."""

import asyncio
import gc
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from foundry_tui.cli.startup.garbage import collected_in_pauses
from foundry_tui.contract.records import FileDiff
from foundry_tui.widgets import changes
from foundry_tui.widgets.changes import ChangesView
from tests.app.diff_scenes import large
from tests.bench.figure import Figure, against_floor, against_limit, best_of, fastest_half
from tests.bench.reader import Reader

FILES, LINES = 200, 25
"""Half of a file's lines, written twice as many, in hunks of five: taken away and others in their place."""
ROUNDS = 7
PAGES = 60
STYLES = str(Path(changes.__file__).with_suffix(".tcss"))


async def _open(files: tuple[FileDiff, ...], width: int) -> float:
    app = Reader(ChangesView, STYLES)
    async with app.run_test(size=(width, 44)) as pilot:
        await pilot.pause()
        began = time.perf_counter()
        app.query_one(ChangesView).show(files)
        await app.painted()
        return time.perf_counter() - began


async def _keys(files: tuple[FileDiff, ...], width: int) -> dict[str, list[float]]:
    """What each kind of key takes until it is painted."""
    app = Reader(ChangesView, STYLES)
    taken: dict[str, list[float]] = {}
    async with app.run_test(size=(width, 44)) as pilot:
        view = app.query_one(ChangesView)
        view.show(files)
        await app.workers.wait_for_complete()
        await pilot.pause()
        steps: dict[str, list[Callable[[], object]]] = {
            "page": [lambda: view.move_page(1)] * PAGES,
            "hunk": [lambda: view.lines.to_hunk(1)] * PAGES,
            "file": [lambda: view.lines.to_file(1)] * PAGES,
            "end and start": [view.move_to_end, view.move_to_start] * 5,
            "search as typed": [partial(view.lines.search, "measure(input_1"[:count]) for count in range(1, 15)],
            "fold all": [view.lines.toggle_fold_all] * 6,
            "white space": [view.lines.toggle_space] * 6,
            "a newer diff": [lambda: view.show(files)] * 6,
        }
        gc.collect()
        with collected_in_pauses(asyncio.get_running_loop(), time.monotonic):
            for name, calls in steps.items():
                for call in calls:
                    began = time.perf_counter()
                    call()
                    await app.painted()
                    taken.setdefault(name, []).append(time.perf_counter() - began)
    return taken


def _git_diff(files: tuple[FileDiff, ...]) -> float:
    """What git takes for a diff of these files."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)

        def git(*arguments: str) -> bytes:
            who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
            return subprocess.run(["git", *who, *arguments], cwd=place, check=True, capture_output=True).stdout

        git("init", "-q")
        for file in files:
            path = place / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"    value_{n} = compute(input_{n}, scale={n})\n" for n in range(LINES * 2)))
        git("add", "-A")
        git("commit", "-qm", "before")
        for file in files:
            path = place / file.path
            lines = path.read_text().splitlines(keepends=True)
            path.write_text(
                "".join(line.replace("compute", "measure") if n % 20 < 5 else line for n, line in enumerate(lines))
            )
        return best_of(lambda: git("diff").decode(), rounds=ROUNDS)


def run() -> list[Figure]:
    files = large(FILES, LINES)
    changed = sum((file.added or 0) + (file.removed or 0) for file in files)
    floor = _git_diff(files)
    figures = []
    for width, how in ((120, "one column"), (160, "side by side")):
        opened = fastest_half([asyncio.run(_open(files, width)) for _ in range(ROUNDS)])
        name = f"diff of {changed:,} lines in {FILES} files, {how}: open"
        figures.append(against_floor(name, opened * 1000, floor * 1000, "ms", 1.5, "floor: reading git diff"))
        for key, seconds in asyncio.run(_keys(files, width)).items():
            slow = sorted(seconds)[round(len(seconds) * 0.95) - 1]
            figures.append(against_limit(f"diff, {how}: {key}, 95 of 100", slow * 1000, "ms", 50))
    return figures
