"""Following topics of the backend from a command: each on a thread of its own, gathered in one queue.

Waiting on a queue leaves the main thread free for a display that ticks, for time-outs and for ctrl+c.
"""

import math
import random
import threading
import time
from collections.abc import Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from foundry_tui.client.backoff import failures_after, wait_after
from foundry_tui.client.blocking import BlockingClient
from foundry_tui.client.errors import ProblemError, StrangeAnswerError, UnreachableError
from foundry_tui.client.sse import EventReader
from foundry_tui.contract import codec
from foundry_tui.contract.events import SILENCE_LIMIT, EventName, Topic

if TYPE_CHECKING:
    import httpx


class Event(NamedTuple):
    """One event of a topic as it came; `data` is its JSON. `id` is empty where the backend gave none."""

    topic: Topic
    name: EventName
    id: str
    data: bytes


class Lost(NamedTuple):
    """The connection of a topic broke and is being made again."""

    topic: Topic
    reason: str

    @property
    def words(self) -> str:
        return f"foundry: {self.reason}; trying again"


class Back(NamedTuple):
    """The connection of a topic stands again."""

    topic: Topic

    @property
    def words(self) -> str:
        return "foundry: the backend is back"


Signal = Event | Lost | Back


class Feed:
    """The events of several topics, reconnecting and resuming each. Use as a context manager.

    A backend that is not there, or is none of ours, ends it; one that was `reached` before is waited for.
    """

    def __init__(self, client: BlockingClient, topics: Sequence[Topic], *, reached: bool = False) -> None:
        self._client = client
        self._topics = topics
        self._reached = reached
        self._unheard = set() if reached else set(topics)
        """Topics of which nothing has come yet."""
        self._until = time.monotonic() + client.patience
        self._queue: SimpleQueue[Signal | Exception] = SimpleQueue()
        self._closing = threading.Event()
        self._rng = random.Random()

    def __enter__(self) -> "Feed":
        for topic in self._topics:
            threading.Thread(target=self._follow, args=(topic,), name=str(topic), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()

    def next(self, timeout: float | None = None) -> Signal | None:
        """The next thing that happened, or None when nothing did within `timeout` seconds.

        Raises `ProblemError` when the backend refuses a topic, `UnreachableError` when it was never reached.
        """
        left = max(0.0, self._until - time.monotonic()) if self._unheard else None
        waits = [wait for wait in (timeout, left) if wait is not None]
        try:
            got = self._queue.get(timeout=min(waits) if waits else None)
        except Empty:
            if self._unheard and time.monotonic() >= self._until:
                raise self._client.silent(self._client.patience) from None
            return None
        if isinstance(got, Exception):
            raise got
        self._unheard.discard(got.topic)
        return got

    def _follow(self, topic: Topic) -> None:
        try:
            self._reconnect(topic)
        except Exception as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self._queue.put(error)

    def _reconnect(self, topic: Topic) -> None:
        last_id, failures, lost, reached = "", 0, False, self._reached
        while not self._closing.is_set():
            reason, live_since = "", math.inf
            try:
                for event in self._connect(topic, last_id):
                    last_id = event.id or last_id
                    live_since = min(live_since, time.monotonic())
                    if lost:
                        self._queue.put(Back(topic))
                    lost, reached = False, True
                    self._queue.put(event)
                    if event.name is EventName.TASK_REMOVED:
                        return
                reason = "the backend ended the stream"
                if not reached:
                    raise self._client.strange("with a stream that ended at once")
            except UnreachableError as error:
                if not reached:
                    raise
                reason = error.message
                if isinstance(error, StrangeAnswerError):
                    # asked for again from here it would be as strange: the next connection begins with a snapshot
                    last_id = ""
            except ProblemError as error:
                if not reached or error.problem.status < 500:
                    raise
                reason = str(error)
            if not lost:
                lost = True
                self._queue.put(Lost(topic, reason))
            failures = failures_after(failures, time.monotonic() - live_since)
            self._closing.wait(wait_after(failures, self._rng))

    def _connect(self, topic: Topic, last_id: str) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        # a stream that is silent for longer than the backend promises is dead
        query = {"topic": str(topic)}
        with self._client.open("/v1/events", query=query, headers=headers, timeout=SILENCE_LIMIT + 5) as response:
            pieces = _pieces(response)
            if response.status_code != 200:
                raise self._client.refusal(response, next(pieces, b""))
            media = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if media != "text/event-stream":
                raise self._client.strange(f"with {media or 'nothing'} where events were asked for")
            reader = EventReader()
            for piece in pieces:
                for found in reader.feed(piece):
                    if found.name:
                        event = Event(topic, EventName(found.name), found.id, found.data)
                        self._check(event)
                        yield event

    def _check(self, event: Event) -> None:
        """Raise `StrangeAnswerError` for an event that cannot be read; one that we do not know has to be JSON."""
        known = event.name.is_known
        try:
            codec.decode(event.data, codec.event_type(event.topic.kind, event.name) if known else object)
        except msgspec.DecodeError as error:
            raise self._client.strange(f"with an event ({event.name}) that cannot be read: {error}") from None


def _pieces(response: "httpx.Response") -> Iterator[bytes]:
    """What comes of an answer, as it comes; one that is cut is over."""
    import httpx

    try:
        yield from response.iter_bytes()
    except httpx.RemoteProtocolError:
        return
