"""The time and the animation frame as everything on screen reads them, so that tests and pictures can fix both."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from foundry_tui.client.freshness import Freshness

FRAMES_A_SECOND = 8
"""How fast spinners turn."""


class Clock(Protocol):
    """Where the app reads the time."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        ...

    def frame(self) -> int:
        """The number of the animation frame; spinners show their glyph number `frame() % len(glyphs)`."""
        ...


def time_of_day(at: int, *, seconds: bool = True) -> str:
    """`15:54:02` of milliseconds since the epoch, here; or `15:54`."""
    return datetime.fromtimestamp(at / 1000).astimezone().strftime("%H:%M:%S" if seconds else "%H:%M")


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def frame(self) -> int:
        return int(time.monotonic() * FRAMES_A_SECOND)


class LastHeard:
    """A clock for what goes on in the backend. It stands still while the connection is lost.

    It stands at the last moment of which is known how things were, so that no time is counted in which a task may have
    ended already.
    """

    def __init__(self, clock: Clock, freshness: Callable[[], Freshness]) -> None:
        self._clock = clock
        self._freshness = freshness

    def now_ms(self) -> int:
        return self._freshness().known_until(self._clock.now_ms())

    def frame(self) -> int:
        return self._clock.frame() if self._freshness().is_live else 0
