"""One stream of server-sent events: a snapshot or what was missed, then everything after it, then pings when quiet."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing

import anyio.lowlevel

from backend_stub.domain.storage import Event, Storage
from backend_stub.server.hub import Hub, Subscriber, frame
from foundry_tui.contract.codec import encode
from foundry_tui.contract.events import (
    PING_AFTER,
    EventName,
    Ping,
    Resumed,
    Topic,
    TopicKind,
    event_id,
    parse_event_id,
)


class Streams:
    """Opens streams of topics."""

    def __init__(self, storage: Storage, hub: Hub, now: Callable[[], int], ping_after: float = PING_AFTER) -> None:
        self._storage = storage
        self._hub = hub
        self._now = now
        self._ping_after = ping_after

    async def open(
        self, topic: Topic, last_event_id: str | None, cut: Callable[[], None] | None = None
    ) -> AsyncIterator[bytes]:
        """See `stream`: its frames, once there is a first one. What it raises is raised before anything is sent."""
        frames = self.stream(topic, last_event_id, cut)
        first = await anext(frames, None)
        return _begun(first, frames)

    async def stream(
        self, topic: Topic, last_event_id: str | None, cut: Callable[[], None] | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The frames of a topic; ends when the topic does, when the backend stops, or when the client is too slow.

        A client that does not read at all would never see the end, so `cut` ends its connection.
        """
        subscriber = self._hub.subscribe(topic, cut)
        try:
            # Subscribed first, read second: what is committed in between comes from both and is sent once.
            opening = await self._resume(topic, last_event_id) or await self._begin(topic)
            if opening is None:
                return
            seq, frames = opening
            async for sent in in_slices(frames):
                yield sent
            async for sent in self._follow(subscriber, seq):
                yield sent
        finally:
            self._hub.unsubscribe(topic, subscriber)

    async def _resume(self, topic: Topic, last_event_id: str | None) -> tuple[int, list[bytes]] | None:
        if last_event_id is None:
            return None
        try:
            database, seq = parse_event_id(last_event_id)
        except ValueError:
            return None
        if database != self._storage.database:
            return None
        missed = await self._storage.missed(topic, seq)
        if missed is None:
            return None
        resumed = frame(EventName.RESUMED, encode(Resumed(seq=seq)), event_id(database, seq))
        return missed.seq, [resumed, *(self._frame(topic, event) for event in missed.events)]

    async def _begin(self, topic: Topic) -> tuple[int, list[bytes]] | None:
        if topic.kind is TopicKind.TASKS:
            seq, pieces = await self._storage.tasks_snapshot()
        else:
            snapshot = await self._storage.snapshot(topic)
            if snapshot is None:
                return None
            seq, pieces = snapshot[0], [snapshot[1]]
        head, end = frame(EventName.SNAPSHOT, b"\0", event_id(self._storage.database, seq)).split(b"\0")
        return seq, [head + pieces[0], *pieces[1:], end]

    def _frame(self, topic: Topic, event: Event) -> bytes:
        data = event.detail if event.name is EventName.TASK and topic.kind is TopicKind.TASK else event.data
        return frame(event.name, event.whole(data), event_id(self._storage.database, event.seq))

    async def _follow(self, subscriber: Subscriber, seq: int) -> AsyncIterator[bytes]:
        while True:
            if not await subscriber.wait(self._ping_after):
                ping = encode(Ping(seq=seq, at=self._now()))
                yield frame(EventName.PING, ping, event_id(self._storage.database, seq))
                continue
            fresh = [(at, sent) for at, sent in subscriber.take() if at > seq]
            if fresh:
                seq = fresh[-1][0]
                yield b"".join(sent for _, sent in fresh)
            if subscriber.ended or subscriber.overrun:
                return


async def in_slices(pieces: Sequence[bytes]) -> AsyncGenerator[bytes, None]:
    """The pieces, each sent before the next, with room in between for whatever else there is to do."""
    for piece in pieces:
        yield piece
        await anyio.lowlevel.checkpoint()


async def _begun(first: bytes | None, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with aclosing(rest):
        if first is not None:
            yield first
        async for sent in rest:
            yield sent
