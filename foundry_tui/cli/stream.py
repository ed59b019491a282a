"""Following topics of the backend from a command: each on a thread of its own, gathered in one queue.

Waiting on a queue leaves the main thread free for a display that ticks, for time-outs and for ctrl+c.
"""

import http.client
import random
import threading
import time
from collections.abc import Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import NamedTuple

from foundry_tui.cli.sse import Event, parse
from foundry_tui.contract import codec
from foundry_tui.contract.events import SILENCE_LIMIT, EventName, Topic
from foundry_tui.contract.problems import Problem
from foundry_tui.wire import Link, RefusedError, UnreachableError

FIRST_WAIT = 0.25
LONGEST_WAIT = 5.0
GIVE_UP_AFTER = 60.0
"""Seconds without any connection after which following ends."""


class Lost(NamedTuple):
    """The connection of a topic broke and is being made again."""

    topic: Topic
    reason: str


class Back(NamedTuple):
    """The connection of a topic stands again."""

    topic: Topic


Signal = Event | Lost | Back


class Feed:
    """The events of several topics, reconnecting and resuming each. Use as a context manager."""

    def __init__(self, link: Link, topics: Sequence[Topic], *, give_up_after: float = GIVE_UP_AFTER) -> None:
        self._link = link
        self._topics = topics
        self._give_up_after = give_up_after
        self._queue: SimpleQueue[Signal | Exception] = SimpleQueue()
        self._closing = threading.Event()
        self._open: dict[Topic, http.client.HTTPConnection] = {}

    def __enter__(self) -> "Feed":
        for topic in self._topics:
            threading.Thread(target=self._follow, args=(topic,), name=str(topic), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()

    def next(self, timeout: float | None = None) -> Signal | None:
        """The next thing that happened, or None when nothing did within `timeout` seconds.

        Raises `RefusedError` when the backend refuses a topic, `UnreachableError` when it stayed away too long.
        """
        try:
            got = self._queue.get(timeout=timeout)
        except Empty:
            return None
        if isinstance(got, Exception):
            raise got
        return got

    def _follow(self, topic: Topic) -> None:
        try:
            self._reconnect(topic)
        except Exception as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self._queue.put(error)

    def _reconnect(self, topic: Topic) -> None:
        last_id, wait, away_since = "", FIRST_WAIT, None
        while not self._closing.is_set():
            reason = ""
            try:
                for event in self._connect(topic, last_id):
                    last_id = event.id or last_id
                    if away_since is not None:
                        self._queue.put(Back(topic))
                    away_since = None
                    if event.name not in (EventName.SNAPSHOT, EventName.RESUMED):
                        wait = FIRST_WAIT
                    self._queue.put(event)
                    if event.name is EventName.TASK_REMOVED:
                        return
                reason = "the backend ended the stream"
            except UnreachableError as error:
                reason = error.message
                if away_since is not None and time.monotonic() - away_since > self._give_up_after:
                    raise
            except RefusedError as error:
                if error.problem.status < 500:
                    raise
                reason = str(error)
            if away_since is None:
                away_since = time.monotonic()
                self._queue.put(Lost(topic, reason))
            self._closing.wait(random.uniform(0, wait))
            wait = min(wait * 2, LONGEST_WAIT)

    def _connect(self, topic: Topic, last_id: str) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        # a stream that is silent for longer than the backend promises is dead
        connection, response = self._link.open(
            "GET", "/v1/events", query={"topic": str(topic)}, headers=headers, timeout=SILENCE_LIMIT + 5
        )
        try:
            if response.status != 200:
                answer = response.read()
                raise RefusedError(
                    codec.decode_problem(answer)
                    or Problem(
                        status=response.status, title=response.reason, detail=f"the backend says {response.reason}"
                    )
                )
            yield from parse(iter(response.readline, b""), topic)
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"the stream broke: {error or type(error).__name__}", sent=True) from None
        finally:
            connection.close()
