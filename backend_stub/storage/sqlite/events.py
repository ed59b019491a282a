"""What was committed, for streams: handed over in this process, which alone commits, and read again from the rows."""

import logging
from collections.abc import Callable

from backend_stub.domain.events import Committed, Missed, Snapshot
from backend_stub.storage.sqlite import topics
from backend_stub.storage.sqlite.readers import Readers
from foundry_tui.contract.events import Topic

logger = logging.getLogger(__name__)


class SqliteEvents:
    """See `backend_stub.domain.events.Events`."""

    def __init__(self, database: str, readers: Readers) -> None:
        self.database = database
        self._readers = readers
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
        return await self._readers.read(topics.has, topic)

    async def snapshot(self, topic: Topic) -> Snapshot | None:
        return await self._readers.read(topics.snapshot, topic)

    async def missed(self, topic: Topic, seq: int) -> Missed | None:
        return await self._readers.read(topics.missed, topic, seq)
