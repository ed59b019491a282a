"""An event loop whose time is simulated: it jumps to the next timer as soon as nothing else can run.

So minutes of back-off, grace and silence pass in milliseconds, the same way each time. Only for what does no real I/O,
but on threads: while one works, time stands still.
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
        self.threads: anyio.CapacityLimiter | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        at_work = self.threads is not None and self.threads.borrowed_tokens > 0
        if not ready and (timeout == 0 or (timeout is not None and not at_work)):
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
        self.selector = _Selector(self._pass)
        super().__init__(self.selector)

    def time(self) -> float:
        return self._now

    def _pass(self, seconds: float) -> None:
        self._now += max(seconds, 0.0)


def simulate(main: Callable[[], Awaitable[T]]) -> T:
    """Run `main` in simulated time."""

    async def run() -> T:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        loop.selector.threads = anyio.to_thread.current_default_thread_limiter()
        return await main()

    return anyio.run(run, backend="asyncio", backend_options={"loop_factory": SimulatedLoop})
