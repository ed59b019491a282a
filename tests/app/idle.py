"""When a running app has done all that it was asked for: seen in its event loop, not guessed from the clock.

Textual's own pilot sleeps at least 20 ms after each key, until the process has hardly used the processor. That is most
of the time of a test of the app, and on a machine with much else to do a process that is not let run looks idle.

A frame is drawn as soon as nothing else is to be done: it waits up to 17 ms for what may belong to it, else each key
and each change would have a test sleep as long. While there is something to do, frames are as far apart as ever.
"""

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any
from weakref import WeakSet

import pytest
from anyio.to_thread import current_default_thread_limiter
from textual.screen import UPDATE_PERIOD
from textual.timer import EventTargetGone, Timer

from foundry_tui.app.textual_compat import SureTimer

SOON = 1 / 50
"""Seconds, as in Textual: timers that are due within them are waited for, and threads no longer."""
FRAMES = "screen_update"
"""How Textual names the timer of a screen's frames."""
TURNS = 3
"""Turns of the loop in which nothing runs, for what the system has to hand over."""
_in_threads: WeakSet["asyncio.Future[Any]"] = WeakSet()
_frames: WeakSet[asyncio.Event] = WeakSet()
"""Of the screens that are to be drawn with their next frame: what has it come early."""


async def until_idle(min_sleep: float = SOON, max_sleep: float = 1) -> None:
    """Wait until nothing runs, nothing is due soon, and no thread is at work; at most `max_sleep` seconds.

    It has the parameters of Textual's `wait_for_idle`, whose place it takes; there is no need for `min_sleep`.
    """
    loop = asyncio.get_running_loop()
    end, threads_end = loop.time() + max_sleep, loop.time() + SOON
    turns = 0
    while turns < TURNS and loop.time() < end:
        await asyncio.sleep(0)
        turns += 1
        if loop._ready:  # type: ignore[attr-defined]
            turns = 0
        elif turns == TURNS:
            if _frames:
                for frame in _frames:
                    frame.set()
                turns = 0
                continue
            wait = _until_next(loop)
            if wait is None and loop.time() < threads_end and _threads_work():
                wait = 0.001
            if wait is not None:
                await asyncio.sleep(wait)
                turns = 0


def _until_next(loop: AbstractEventLoop) -> float | None:
    """Seconds until the next timer is due, if that is soon."""
    due = [handle.when() for handle in loop._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
    wait = min(due, default=None)
    return max(0.0, wait - loop.time()) if wait is not None and wait <= loop.time() + SOON else None


def _threads_work() -> bool:
    return bool(_in_threads) or current_default_thread_limiter().borrowed_tokens > 0


async def _run_frames(timer: Timer, active: asyncio.Event) -> None:
    """What the timer of a screen's frames does: the next comes a period after the first change, or in the first pause.

    Textual's own keeps to its beats, however early one was. `active` is the timer's: set while there is a change.
    """
    while True:
        await active.wait()
        early = asyncio.Event()
        _frames.add(early)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(UPDATE_PERIOD):
                    await early.wait()
        finally:
            _frames.discard(early)
        if active.is_set():
            try:
                await timer._tick(next_timer=monotonic(), count=1)
            except EventTargetGone:
                return


@contextmanager
def pilots_see_what_is_idle() -> Iterator[None]:
    """Have Textual's pilot wait in this way."""
    run_in_executor = asyncio.base_events.BaseEventLoop.run_in_executor

    def run(self: asyncio.base_events.BaseEventLoop, *arguments: Any) -> "asyncio.Future[Any]":
        future = run_in_executor(self, *arguments)
        _in_threads.add(future)
        future.add_done_callback(_in_threads.discard)
        return future

    def but_frames(run_timer: Callable[[Any], Awaitable[None]]) -> Callable[[Timer], Awaitable[None]]:
        async def run_its_own(timer: Timer) -> None:
            await (_run_frames(timer, timer._active) if timer.name == FRAMES else run_timer(timer))

        return run_its_own

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.base_events.BaseEventLoop, "run_in_executor", run)
        for kind in (Timer, SureTimer):
            patch.setattr(kind, "_run", but_frames(kind._run))
        patch.setattr("textual.pilot.wait_for_idle", until_idle)
        patch.setattr("textual.app.wait_for_idle", until_idle)
        yield
