"""An event loop whose time is simulated: it jumps to the next timer as soon as nothing else can run.

So minutes of back-off, grace and silence pass in milliseconds, the same way each time. Only for what does no real I/O.
"""

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Waits for nothing: a wait is time that passes."""

    def __init__(self, pass_time: Callable[[float], None]) -> None:
        super().__init__()
        self._pass_time = pass_time

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if not ready and timeout is not None:
            self._pass_time(timeout)
        elif not ready:
            # Only a thread can bring it now.
            ready = super().select(5)
            if not ready:
                raise RuntimeError("everything waits for something that nothing will bring")
        return ready


class SimulatedLoop(asyncio.SelectorEventLoop):
    """The loop; its clock starts at 1000 s."""

    def __init__(self) -> None:
        self._now = 1000.0
        super().__init__(_Selector(self._pass))

    def time(self) -> float:
        return self._now

    def _pass(self, seconds: float) -> None:
        self._now += max(seconds, 0.0)


def simulate(main: Callable[[], Awaitable[T]]) -> T:
    """Run `main` in simulated time."""
    return anyio.run(main, backend="asyncio", backend_options={"loop_factory": SimulatedLoop})
