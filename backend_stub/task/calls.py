"""Calls to providers and agents, bounded in time even when they ignore being cancelled."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

from backend_stub.domain.errors import CallTimedOutError

T = TypeVar("T")

GRACE = 1.0
"""Seconds that a cancelled call has to end before it is abandoned."""


@dataclass
class _Outcome(Generic[T]):
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    done: anyio.Event = field(default_factory=anyio.Event)
    value: T | None = None
    error: Exception | None = None
    returned: bool = False
    abandoned: bool = False


class Calls:
    """Runs each call as a task of its own, so that its caller waits for the outcome and not for the call."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._abandoned: Counter[str] = Counter()
        self.on_late_end: Callable[[str], None] | None = None
        """Told the task_id when the last abandoned call of a task has ended after all."""

    def abandoned(self, task_id: str) -> bool:
        """Whether calls for this task go on although they were cancelled: they may still make something."""
        return self._abandoned[task_id] > 0

    async def within(self, seconds: float, task_id: str | None, call: Callable[[], Awaitable[T]]) -> T:
        """What the call returns or raises; raises `CallTimedOutError` when the time is up.

        Cancelling the caller cancels the call. A call that goes on for `GRACE` all the same is abandoned: what it does
        later has no effect on the caller. `task_id` is the task that the call may make something for, if any.
        """
        outcome: _Outcome[T] = _Outcome()
        self._tasks.start_soon(self._run, task_id, call, outcome)
        try:
            with anyio.move_on_after(seconds):
                await outcome.done.wait()
        finally:
            if not outcome.done.is_set():
                outcome.scope.cancel()
                with anyio.move_on_after(GRACE, shield=True):
                    await outcome.done.wait()
                if task_id is not None and not outcome.done.is_set():
                    outcome.abandoned = True
                    self._abandoned[task_id] += 1
        if outcome.error is not None:
            raise outcome.error
        if not outcome.returned:
            raise CallTimedOutError
        return outcome.value  # type: ignore[return-value]  # set together with `returned`

    async def _run(self, task_id: str | None, call: Callable[[], Awaitable[T]], outcome: _Outcome[T]) -> None:
        try:
            with outcome.scope:
                try:
                    outcome.value = await call()
                    outcome.returned = True
                except Exception as error:  # noqa: BLE001  # it is the caller's to handle
                    outcome.error = error
        finally:
            outcome.done.set()
            if outcome.abandoned and task_id is not None:
                self._abandoned[task_id] -= 1
                if not self._abandoned[task_id]:
                    del self._abandoned[task_id]
                    if self.on_late_end is not None:
                        self.on_late_end(task_id)
