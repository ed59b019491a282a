"""One stream of server-sent events: a snapshot or what was missed, then everything after it, then pings when quiet."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing

import anyio.lowlevel

from backend_stub.domain.events import Events
from backend_stub.server.hub import Hub, Subscriber, frame
from foundry_tui.contract.codec import encode
from foundry_tui.contract.events import (
    PING_AFTER,
    EventName,
    Ping,
    Resumed,
    Topic,
    event_id,
    parse_event_id,
)


class Streams:
    """Opens streams of topics."""

    def __init__(self, events: Events, hub: Hub, now: Callable[[], int], ping_after: float = PING_AFTER) -> None:
        self._events = events
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
        if database != self._events.database:
            return None
        missed = await self._events.missed(topic, seq)
        if missed is None:
            return None
        resumed = frame(EventName.RESUMED, encode(Resumed(seq=seq)), event_id(database, seq))
        frames = (frame(event.name, event.data, event_id(database, event.seq)) for event in missed.events)
        return missed.seq, [resumed, *frames]

    async def _begin(self, topic: Topic) -> tuple[int, list[bytes]] | None:
        snapshot = await self._events.snapshot(topic)
        if snapshot is None:
            return None
        first, *rest = snapshot.pieces
        head, end = frame(EventName.SNAPSHOT, b"\0", event_id(self._events.database, snapshot.seq)).split(b"\0")
        return snapshot.seq, [head + first, *rest, end]

    async def _follow(self, subscriber: Subscriber, seq: int) -> AsyncIterator[bytes]:
        while True:
            if not await subscriber.wait(self._ping_after):
                ping = encode(Ping(seq=seq, at=self._now()))
                yield frame(EventName.PING, ping, event_id(self._events.database, seq))
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
