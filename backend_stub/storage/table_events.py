"""Committed events for streams: passed on as they are committed, and read from the rows for who comes later."""

import logging
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from backend_stub.domain.events import Committed, Missed, Snapshot
from backend_stub.storage import topics
from backend_stub.storage.tables import Tables
from foundry_tui.contract.events import Topic

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class Read(Protocol):
    """Calls what reads in one transaction; raises `StorageUnavailableError`."""

    async def __call__(
        self, read: Callable[Concatenate[Tables, P], Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> T: ...


class TableEvents:
    """See `backend_stub.domain.events.Events`."""

    def __init__(self, database: str, read: Read) -> None:
        self.database = database
        self._read = read
        self._listeners: list[Callable[[Committed], None]] = []

    def listen(self, listener: Callable[[Committed], None]) -> None:
        self._listeners.append(listener)

    def tell(self, committed: Committed) -> None:
        """Hand a commit to those who listen; on the event loop, in the order of the commits."""
        for listener in self._listeners:
            try:
                listener(committed)
            except Exception:
                logger.exception("what was committed could not be told")

    async def has(self, topic: Topic) -> bool:
        return await self._read(topics.has, topic)

    async def snapshot(self, topic: Topic) -> Snapshot | None:
        return await self._read(topics.snapshot, topic)

    async def missed(self, topic: Topic, seq: int) -> Missed | None:
        return await self._read(topics.missed, topic, seq)
