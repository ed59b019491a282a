"""What a benchmark answers, and how times are taken."""

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from msgspec import Struct


class Figure(Struct, frozen=True, kw_only=True):
    """One row of the budget table. `ratio` is value by floor, None where the budget is for the value itself.

    `budget` is the largest ratio (or value) allowed, None where the figure is only for the record.
    """

    name: str
    value: float
    unit: str
    floor: float | None = None
    ratio: float | None = None
    budget: float | None = None
    held: bool | None = None
    note: str = ""


def against_floor(name: str, value: float, floor: float, unit: str, budget: float, note: str = "") -> Figure:
    """A figure judged by its ratio to `floor`."""
    ratio = value / floor
    return Figure(
        name=name,
        value=value,
        unit=unit,
        floor=floor,
        ratio=ratio,
        budget=budget,
        held=ratio <= budget,
        note=note,
    )


def against_limit(name: str, value: float, unit: str, budget: float, note: str = "") -> Figure:
    """A figure judged by itself."""
    return Figure(name=name, value=value, unit=unit, budget=budget, held=value <= budget, note=note)


@contextmanager
def quiet_collector() -> Iterator[None]:
    """The garbage collector off, as in `timeit`: what it costs depends on everything else that is alive."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def fastest_half(seconds: Sequence[float]) -> float:
    """The median of the fastest half: what it takes when nothing else is in the way."""
    return statistics.median(sorted(seconds)[: max(1, len(seconds) // 2)])


def best_of(run: Callable[[], object], *, rounds: int = 7, loops: int = 1) -> float:
    """Seconds that one call takes, over `rounds` of `loops` calls."""
    taken = []
    with quiet_collector():
        for _ in range(rounds):
            began = time.perf_counter()
            for _ in range(loops):
                run()
            taken.append((time.perf_counter() - began) / loops)
    return fastest_half(taken)
