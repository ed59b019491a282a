"""Hands what was committed to the streams that are open: in the order of the commits, each event encoded once.

What one stream may hold is bounded.
"""

from collections import deque
from collections.abc import Callable, Sequence

import anyio

from backend_stub.domain.events import Event
from foundry_tui.contract.events import TASKS, EventName, Topic, event_id

BUFFER_BYTES = 8 * 1024 * 1024
"""What one stream may hold; a client that is slower is disconnected and resumes."""


def frame(name: EventName, data: bytes, id_: str | None = None) -> bytes:
    """One server-sent event. The data is JSON and so has no line break in it."""
    head = f"id: {id_}\nevent: {name}\n" if id_ else f"event: {name}\n"
    return b"%bdata: %b\n\n" % (head.encode(), data)


class Subscriber:
    """What waits to be sent on one stream; `cut` ends its connection when that is too much."""

    def __init__(self, cut: Callable[[], None] | None = None) -> None:
        self._cut = cut
        self._frames: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._changed = anyio.Event()
        self.ended = False
        self.overrun = False

    def put(self, seq: int, sent: bytes) -> None:
        """Hold the frame of the event until it is taken; nothing more is held once it was too much."""
        if self.overrun:
            return
        self._bytes += len(sent)
        if self._bytes > BUFFER_BYTES:
            self.overrun = True
            self._frames.clear()
            if self._cut is not None:
                self._cut()
        else:
            self._frames.append((seq, sent))
        self._changed.set()

    def end(self) -> None:
        """Nothing follows what is held."""
        self.ended = True
        self._changed.set()

    def take(self) -> Sequence[tuple[int, bytes]]:
        """What is held now; it is held no more."""
        taken = tuple(self._frames)
        self._frames.clear()
        self._bytes = 0
        return taken

    async def wait(self, seconds: float) -> bool:
        """Wait for something to take or for the end; False when there was neither in time."""
        if self._frames or self.ended or self.overrun:
            return True
        self._changed = anyio.Event()
        with anyio.move_on_after(seconds):
            await self._changed.wait()
            return True
        return False


class Hub:
    """The open streams by topic."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._open: dict[Topic, set[Subscriber]] = {}
        self.closed = False
        self.sent = 0

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return sum(len(subscribers) for subscribers in self._open.values())

    def is_watched(self, topic: Topic) -> bool:
        """Whether a stream of this topic is open."""
        return topic in self._open

    def topics(self) -> Sequence[Topic]:
        """Those that have a stream open."""
        return list(self._open)

    def subscribe(self, topic: Topic, cut: Callable[[], None] | None = None) -> Subscriber:
        """A new subscriber of what is published of the topic from now on."""
        subscriber = Subscriber(cut)
        self._open.setdefault(topic, set()).add(subscriber)
        if self.closed:
            subscriber.end()
        return subscriber

    def unsubscribe(self, topic: Topic, subscriber: Subscriber) -> None:
        """Hand nothing more to the subscriber."""
        held = self._open.get(topic)
        if held is not None:
            held.discard(subscriber)
            if not held:
                del self._open[topic]

    def close(self) -> None:
        """End all streams, and each that is opened from now on."""
        self.closed = True
        self.break_off()

    def break_off(self) -> None:
        """End all streams that are open now: whoever follows goes on from what is in the rows."""
        for subscribers in self._open.values():
            for subscriber in subscribers:
                subscriber.end()

    def publish(self, events: Sequence[Event]) -> None:
        """Send what was committed to whom it concerns."""
        if not self._open:
            return
        for event in events:
            for topic in event.topics():
                subscribers = self._open.get(topic)
                if subscribers:
                    self._send(subscribers, event, topic)

    def _send(self, subscribers: set[Subscriber], event: Event, topic: Topic) -> None:
        sent = frame(event.name, event.data(topic.kind), event_id(self._database, event.seq))
        self.sent += len(subscribers)
        for subscriber in subscribers:
            subscriber.put(event.seq, sent)
            if event.name is EventName.TASK_REMOVED and topic != TASKS:
                subscriber.end()
