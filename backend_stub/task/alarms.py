"""Waking keys at a time of day, however far away; nothing runs before the first of them is due."""

import math
from collections.abc import Callable

import anyio


class Alarms:
    """Calls `ring` with each key whose time has come, once. `now` tells the time in milliseconds since the epoch."""

    def __init__(self, now: Callable[[], int], ring: Callable[[str], None]) -> None:
        self._now = now
        self._ring = ring
        self._due: dict[str, int] = {}
        self._next: float = math.inf
        self._sooner = anyio.Event()

    def set(self, key: str, at: int) -> None:
        """Ring with this key at this time, in place of any time that it had."""
        self._due[key] = at
        if at < self._next:
            self._next = at
            self._sooner.set()

    def take_back(self, key: str) -> None:
        """Do not ring with this key."""
        self._due.pop(key, None)

    def due(self) -> None:
        """Ring for whatever is due now."""
        now = self._now()
        for key in [key for key, at in self._due.items() if at <= now]:
            del self._due[key]
            self._ring(key)
        self._next = min(self._due.values(), default=math.inf)

    async def run(self) -> None:
        """Ring in time, until cancelled."""
        while True:
            self.due()
            self._sooner = anyio.Event()
            with anyio.move_on_after(max(0.0, (self._next - self._now()) / 1000)):
                await self._sooner.wait()
