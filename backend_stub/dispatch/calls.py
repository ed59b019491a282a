"""Calls to providers and agents, bounded in time even when they ignore being cancelled."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

T = TypeVar("T")

GRACE = 1.0
"""Seconds that a cancelled call has to end before it is abandoned."""


class CallTimedOutError(Exception):
    """The call did not end within its time."""


@dataclass
class _Outcome(Generic[T]):
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    done: anyio.Event = field(default_factory=anyio.Event)
    value: T | None = None
    error: Exception | None = None
    returned: bool = False


class Calls:
    """Runs each call as a task of its own, so that its caller waits for the outcome and not for the call."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks

    async def within(self, seconds: float, call: Callable[[], Awaitable[T]]) -> T:
        """What the call returns or raises; raises `CallTimedOutError` when the time is up.

        Cancelling the caller cancels the call. A call that goes on for `GRACE` all the same is abandoned: what it does
        later has no effect on the caller.
        """
        outcome: _Outcome[T] = _Outcome()
        self._tasks.start_soon(_run, call, outcome)
        try:
            with anyio.move_on_after(seconds):
                await outcome.done.wait()
        finally:
            if not outcome.done.is_set():
                outcome.scope.cancel()
                with anyio.move_on_after(GRACE, shield=True):
                    await outcome.done.wait()
        if outcome.error is not None:
            raise outcome.error
        if not outcome.returned:
            raise CallTimedOutError
        return outcome.value  # type: ignore[return-value]  # set together with `returned`


async def _run(call: Callable[[], Awaitable[T]], outcome: _Outcome[T]) -> None:
    with outcome.scope:
        try:
            outcome.value = await call()
            outcome.returned = True
        except Exception as error:  # noqa: BLE001  # it is the caller's to handle
            outcome.error = error
    outcome.done.set()
