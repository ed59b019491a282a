"""One server-sent event stream of one topic, kept alive: it resumes where it broke off, and notices when it hangs."""

import math
import random
from collections.abc import Callable

import anyio
import httpx
import msgspec
from msgspec import Struct

from foundry_tui.client.api import body_of, problem_of, reason_of
from foundry_tui.client.backoff import failures_after, wait_after
from foundry_tui.client.connection import CONNECT_TIMEOUT
from foundry_tui.client.connection_state import ConnectionChange, ConnectionState
from foundry_tui.client.errors import StrangeAnswerError
from foundry_tui.client.sse import EventReader, ServerSentEvent
from foundry_tui.contract import codec
from foundry_tui.contract.events import SILENCE_LIMIT, EventName, Topic, TopicKind, parse_event_id
from foundry_tui.contract.problems import Problem

QUIET_AFTER = 12.0
"""Seconds of silence after which a stream is doubted: the backend pings after 10."""

_EVENT_NAMES = {str(name): name for name in EventName}


class StreamEvent(Struct, frozen=True):
    """One decoded event. `size` is the bytes that came for it, all told."""

    name: EventName
    record: Struct
    seq: int
    database: str
    size: int


class _LostError(Exception):
    """The connection ended or was refused; the stream decides what to do about it."""

    def __init__(self, reason: str, *, reached: bool = True, problem: Problem | None = None, wait: float = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.reached = reached
        self.problem = problem
        self.wait = wait


class EventStream:
    """The stream of `topic`.

    `cursor` gives the event id to resume from at each connection. `on_change` is told of every change of the
    connection, `on_open` just before each attempt. Only the end of the topic, or being cancelled, ends `run`.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        topic: Topic,
        *,
        cursor: Callable[[], str | None] | None = None,
        on_open: Callable[[], None] | None = None,
        on_change: Callable[[ConnectionChange], None] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.topic = topic
        self.state = ConnectionState.CLOSED
        self._http = http
        self._cursor = cursor
        self._on_open = on_open
        self._on_change = on_change
        self._rng = rng or random.Random()
        self._wake: anyio.Event | None = None
        self._last_id: str | None = None
        self._unreadable = False
        self._heard_at = 0.0
        self._silent = False
        self._resumed_from: str | None = None

    def reconnect_now(self) -> None:
        """End a wait before the next attempt; nothing happens while connected."""
        if self._wake is not None:
            self._wake.set()

    async def run(self, receive: Callable[[StreamEvent], object]) -> None:
        """Hand every event to `receive` until the topic is gone; reconnects by itself for as long as it takes."""
        failures = 0
        while True:
            self._tell(ConnectionChange(state=ConnectionState.CONNECTING, failures=failures))
            live_since = math.inf
            removed = False

            def take(event: StreamEvent) -> None:
                nonlocal removed, live_since
                removed = removed or (event.name is EventName.TASK_REMOVED and self.topic.kind is not TopicKind.TASKS)
                if self.state is not ConnectionState.LIVE and event.name in (EventName.SNAPSHOT, EventName.RESUMED):
                    live_since = anyio.current_time()
                    self._tell(ConnectionChange(state=ConnectionState.LIVE))
                receive(event)

            try:
                await self._connect(take)
                lost = _LostError("the backend ended the stream")
            except _LostError as error:
                lost = error
            heard_ago = anyio.current_time() - self._heard_at
            if removed or self._names_nothing(lost.problem):
                self._tell(ConnectionChange(state=ConnectionState.GONE, reason=lost.reason, problem=lost.problem))
                return
            failures = failures_after(failures, anyio.current_time() - live_since)
            await self._pause(lost, failures, heard_ago)

    async def _pause(self, lost: _LostError, failures: int, heard_ago: float) -> None:
        wait = max(wait_after(failures, self._rng), lost.wait)
        self._wake = anyio.Event()
        self._tell(
            ConnectionChange(
                state=ConnectionState.RETRYING,
                reason=lost.reason,
                retry_in=wait,
                heard_ago=heard_ago,
                failures=failures,
                reached=lost.reached,
                problem=lost.problem,
            )
        )
        with anyio.move_on_after(wait):
            await self._wake.wait()
        self._wake = None

    async def _connect(self, take: Callable[[StreamEvent], None]) -> None:
        """One connection, until it ends; raises `_LostError` when it breaks, is refused or falls silent."""
        self._heard_at = anyio.current_time()
        self._silent = False
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch, group.cancel_scope)
            lost = None
            try:
                await self._read(take)
            except StrangeAnswerError as error:
                lost = _LostError(error.message)
            except httpx.HTTPError as error:
                reached = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                lost = _LostError(reason_of(error), reached=reached)
            except _LostError as error:
                lost = error
            group.cancel_scope.cancel()
        if lost is not None:
            raise lost
        if self._silent:
            raise _LostError(f"nothing was heard for {SILENCE_LIMIT:.0f} s")

    async def _watch(self, connection: anyio.CancelScope) -> None:
        """Doubt a silent connection, then end it."""
        while True:
            heard_at = self._heard_at
            await anyio.sleep_until(heard_at + QUIET_AFTER)
            if self._heard_at != heard_at:
                continue
            if self.state is ConnectionState.LIVE:
                self._tell(
                    ConnectionChange(state=ConnectionState.QUIET, reason="nothing heard in time", heard_ago=QUIET_AFTER)
                )
            await anyio.sleep_until(heard_at + SILENCE_LIMIT)
            if self._heard_at == heard_at:
                self._silent = True
                connection.cancel()
                return

    async def _read(self, take: Callable[[StreamEvent], None]) -> None:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        cursor = self._last_id if self._cursor is None else self._cursor()
        self._resumed_from = None if self._unreadable else cursor
        if self._resumed_from is not None:
            headers["Last-Event-ID"] = self._resumed_from
        self._unreadable = False
        if self._on_open is not None:
            self._on_open()
        # Silence is judged by whole events in `_watch`: a connection that dribbles bytes is as dead as a silent one.
        timeout = httpx.Timeout(CONNECT_TIMEOUT, read=None)
        params = {"topic": str(self.topic)}
        async with self._http.stream("GET", "/v1/events", params=params, headers=headers, timeout=timeout) as response:
            if response.status_code != 200:
                body = await body_of(response)
                wait = _seconds(response.headers.get("Retry-After"))
                problem = problem_of(response.status_code, body)
                raise _LostError(problem.detail or problem.title, problem=problem, wait=wait)
            media = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if media != "text/event-stream":
                raise _LostError(f"the backend answered with {media or 'nothing'} where events were asked for")
            reader, counted = EventReader(), 0
            async for piece in response.aiter_bytes():
                for event in reader.feed(piece):
                    arrived = response.num_bytes_downloaded
                    decoded = self._decode(event, arrived - counted)
                    counted = arrived
                    self._heard_at = anyio.current_time()
                    if self.state is ConnectionState.QUIET:
                        self._tell(ConnectionChange(state=ConnectionState.LIVE))
                    if decoded is not None:
                        take(decoded)

    def _decode(self, event: ServerSentEvent, size: int) -> StreamEvent | None:
        name = _EVENT_NAMES.get(event.name)
        if name is None:
            # A newer backend may say more than this client understands.
            return None
        try:
            record = codec.decode(event.data, codec.event_type(self.topic.kind, name))
        except msgspec.DecodeError as error:
            # Asked for again from here it would be as unreadable: the next connection begins with a snapshot.
            self._unreadable = True
            raise _LostError(f"an event could not be read: {error}") from error
        try:
            database, seq = parse_event_id(event.id)
        except ValueError as error:
            self._unreadable = True
            raise _LostError(str(error)) from error
        if name is EventName.RESUMED and not (self._resumed_from or "").startswith(f"{database}-"):
            # It goes on from what this client never had; only a snapshot can tell the truth now.
            self._unreadable = True
            raise _LostError("the backend resumed from another database")
        self._last_id = event.id
        return StreamEvent(name, record, seq, database, size)

    def _names_nothing(self, problem: Problem | None) -> bool:
        """Whether a refusal says that there is no such task, or no such session or log."""
        if problem is None or self.topic.kind is TopicKind.TASKS:
            return False
        return problem.status in (404, 410, 422)

    def _tell(self, change: ConnectionChange) -> None:
        self.state = change.state
        if self._on_change is not None:
            self._on_change(change)


def _seconds(text: str | None) -> float:
    """A `Retry-After` in seconds, kept within a minute; 0 when there is none."""
    try:
        return min(60.0, max(0.0, float(text or 0)))
    except ValueError:
        return 0.0
