"""When the app looks for garbage: while nobody types, and not in the middle of what is drawn.

A screen that was closed is ten thousand objects that hold each other. Python would look through all that there is every
second or two while screens are opened and closed, for as long as five frames.
"""

import gc
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Literal

YOUNG = 10_000
"""Objects that are made before those among them are looked through which nothing holds any more: a millisecond."""
OFTEN = 10
"""How often that is done before all are looked through, in the next pause: some twenty megabytes."""
PAUSE_SECONDS = 1.0
"""Seconds without a key that are a pause."""
OLDER, ALL = 5 * OFTEN, 10
"""How often it is done before those are looked through again that were left by it, and how often that is before all
are: for who types without a pause.
"""


@contextmanager
def collected_in_pauses(loop: AbstractEventLoop, typed_at: Callable[[], float]) -> Iterator[None]:
    """Keep what is there by now for good, and look for garbage among the rest in this way, for the length of the block.

    `typed_at` says when something was typed last, by the monotonic clock, in seconds.
    """
    times = 0

    def heard(phase: Literal["start", "stop"], _: dict[str, int]) -> None:
        nonlocal times
        if phase == "stop":
            times += 1
            if times == OFTEN:
                # It is told on whatever thread made the last of the objects.
                loop.call_soon_threadsafe(wait)

    def wait() -> None:
        nonlocal times
        quiet = monotonic() - typed_at()
        if quiet < PAUSE_SECONDS:
            loop.call_later(PAUSE_SECONDS - quiet, wait)
        else:
            gc.collect()
            times = 0

    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, ALL)
    gc.callbacks.append(heard)
    gc.enable()
    try:
        yield
    finally:
        gc.callbacks.remove(heard)
        gc.set_threshold(*thresholds)
