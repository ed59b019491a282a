"""What a dispatcher promises: it decides when the work of tasks runs, and how much of it at once."""

import math
from collections.abc import Awaitable, Callable
from typing import Protocol

Run = Callable[[str], Awaitable[int | None]]
"""Goes on with the work of this key; when to run it again (milliseconds since the epoch), or None."""


class Queue(Protocol):
    """Work of one sort. Each piece has a key, such as a task_id, and runs one at a time for its key.

    Work is woken, not polled. A key that waits for its time holds no place among those that run at once.
    """

    @property
    def running(self) -> int:
        """How many keys run now."""
        ...

    @property
    def waiting(self) -> int:
        """How many keys could run but for the limit."""
        ...

    def wake(self, key: str, at: int | None = None) -> None:
        """Run the key soon, or at a time in milliseconds since the epoch; an earlier wake-up of the key is kept."""
        ...

    def cancel(self, key: str) -> None:
        """Take back every wake-up of the key and cancel its run."""
        ...

    async def busy(self) -> None:
        """Wait until something runs."""
        ...

    async def ended(self, key: str) -> None:
        """Wait until no run of the key is in progress."""
        ...


class Dispatcher(Protocol):
    """Runs work at least once: what was cut by a restart is woken again by whoever starts the backend."""

    def queue(self, name: str, run: Run, limit: float = math.inf, patience: float = math.inf) -> Queue:
        """A queue of work that `run` does; nothing of it runs before the dispatcher serves.

        At most `limit` keys run at once. What hangs must not keep the others waiting: a run that goes on for more than
        `patience` seconds counts no more among those at once.
        """
        ...

    async def serve(self) -> None:
        """Run what is woken, in every queue, until cancelled."""
        ...
