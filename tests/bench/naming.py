"""A file named after `@` among 60,000: the index, the search, and what else has to wait while somebody types."""

import asyncio
import random
import re
import time
from collections.abc import Generator, Sequence
from typing import TypeVar

from foundry_tui.view.file_search import find, index_of
from foundry_tui.widgets.choices import ChoiceList
from tests.app import task_scenes
from tests.app.harness import stage
from tests.bench.figure import Figure, against_floor, against_limit, quiet_collector

T = TypeVar("T")

FILES = 60_000
ROUNDS = 5
WORDS = re.findall(
    r"\w+",
    "user account task session view model render query store client server stream filter prompt agent provider index "
    "search composer widget screen layout token parser lexer config settings handler manager service util test spec",
)
QUERIES = ("a", "us", "task", "taskser", "tscrn", "stream_filter7", "qqqq", "aeiou", "server/view", "tststs", "eeeeee")
TYPED = "@taskscrn"
KEY_MS = 16.0
"""What a key may wait for on the event loop: a frame of a fast terminal."""


def paths(count: int) -> tuple[str, ...]:
    """Paths of a large repository, some 60 characters long."""
    rng = random.Random(1)
    found: dict[str, None] = {}
    while len(found) < count:
        folders = (f"{rng.choice(WORDS)}{rng.choice(('', 's', rng.randint(0, 99)))}" for _ in range(rng.randint(1, 7)))
        name = f"{rng.choice(WORDS)}_{rng.choice(WORDS)}{rng.randint(0, 999)}.{rng.choice(('py', 'ts', 'rs', 'md'))}"
        found["/".join((*folders, name))] = None
    return tuple(sorted(found))


def _run(steps: Generator[None, None, T]) -> tuple[T, float, float]:
    """What comes of it, the milliseconds it takes, and those of its longest step."""
    began = last = time.perf_counter()
    longest = 0.0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            now = time.perf_counter()
            result: T = end.value
            return result, (now - began) * 1e3, max(longest, now - last) * 1e3
        now = time.perf_counter()
        longest, last = max(longest, now - last), now


async def _typing(files: Sequence[str]) -> tuple[float, float]:
    """Milliseconds of the longest turn of the event loop while a name is typed, and from the last key to the list."""
    async with stage(task_scenes.naming_scene(), size=(120, 36)) as on:
        on.commands.files[task_scenes.TASK] = files
        on.app.open_task(task_scenes.TASK)
        await on.press("i")
        longest = 0.0

        async def beat() -> None:
            nonlocal longest
            last = time.perf_counter()
            while True:
                await asyncio.sleep(0)
                now = time.perf_counter()
                longest, last = max(longest, now - last), now

        beating = asyncio.create_task(beat())
        for letter in TYPED:
            on.type(letter)
            began = time.perf_counter()
            await asyncio.sleep(0.03)
        await on.app.workers.wait_for_complete(list(on.app.workers))
        taken = time.perf_counter() - began
        beating.cancel()
        assert on.app.screen.query_one(ChoiceList).highlighted is not None or len(files) < FILES
        return longest * 1e3, taken * 1e3


def run() -> list[Figure]:
    many, few = paths(FILES), paths(10)
    with quiet_collector():
        index, total, longest = min((_run(index_of(many)) for _ in range(ROUNDS)), key=lambda made: made[2])
        slowest = max(min(_run(find(index, query, 50))[1] for _ in range(ROUNDS)) for query in QUERIES)
        step = max(min(_run(find(index, query, 50))[2] for _ in range(ROUNDS)) for query in QUERIES)
        turns = [asyncio.run(_typing(many)) for _ in range(ROUNDS)]
        floors = [asyncio.run(_typing(few)) for _ in range(ROUNDS)]
    name = f"{FILES:,} files"
    return [
        Figure(name=f"{name}: index made, in pieces", value=total, unit="ms"),
        against_limit(f"{name}: longest piece of that", longest, "ms", KEY_MS),
        Figure(name=f"{name}: slowest of {len(QUERIES)} searches, in pieces", value=slowest, unit="ms"),
        against_limit(f"{name}: longest piece of those", step, "ms", KEY_MS),
        against_floor(
            f"{name}: longest turn of the app's loop while typing",
            min(turn for turn, _ in turns),
            min(turn for turn, _ in floors),
            "ms",
            1.5,
            "floor: the same with 10 files",
        ),
        Figure(name=f"{name}: last key of {TYPED} to its list", value=min(taken for _, taken in turns), unit="ms"),
    ]
