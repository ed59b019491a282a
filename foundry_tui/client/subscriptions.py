"""Which topics are connected: counted holds, one connection a topic, a grace time after the last one left."""

import random
from collections import deque
from collections.abc import Callable

import anyio
import httpx
from anyio.abc import TaskGroup, TaskStatus

from foundry_tui.client.changes import Changes
from foundry_tui.client.connection_state import Connection, ConnectionChange, ConnectionState
from foundry_tui.client.freshness import STALE_AFTER, FreshnessState, judge
from foundry_tui.client.statistics import ConnectionEvent, TopicDiagnostics
from foundry_tui.client.store import Store
from foundry_tui.client.stream import EventStream, StreamEvent
from foundry_tui.contract.events import TASKS, Topic

GRACE = 30.0
"""Seconds that a topic stays connected after the last subscriber left."""
LOG_KEPT = 200
"""Connection events kept for the diagnostics."""
IDLE_KEPT = 32
"""Topics whose data is kept after they were closed, so that coming back resumes instead of loading."""


class _Subscription:
    """One topic's holds and its connection."""

    def __init__(self, topic: Topic, now: int) -> None:
        self.topic = topic
        self.listeners = 0
        self.connection = Connection(since=now)
        self.stream: EventStream | None = None
        self.scope: anyio.CancelScope | None = None
        self.grace: anyio.CancelScope | None = None
        self.waiting: anyio.CancelScope | None = None
        self.ready: anyio.Event | None = None
        self.serving = False
        self.wanted = False


class Subscriptions:
    """Keeps a stream open for each topic that somebody holds, and says through the store how fresh each one is.

    `on_live` is called whenever a topic becomes live: the backend answers again.
    """

    def __init__(
        self,
        store: Store,
        http: httpx.AsyncClient,
        *,
        rng: random.Random | None = None,
        grace: float = GRACE,
        on_live: Callable[[], None] | None = None,
    ) -> None:
        self.on_live = on_live
        self._store = store
        self._http = http
        self._rng = rng or random.Random()
        self._grace_time = grace
        self._subscriptions: dict[Topic, _Subscription] = {}
        self._log: deque[ConnectionEvent] = deque(maxlen=LOG_KEPT)
        self._group: TaskGroup | None = None

    def hold(self, topic: Topic) -> Callable[[], None]:
        """Keep `topic` connected until the answer is called; calling it again does nothing."""
        subscription = self._subscriptions.get(topic)
        if subscription is None:
            subscription = self._subscriptions[topic] = _Subscription(topic, self._store.now_ms())
        else:
            # The most recently used is last, so that the oldest idle one is the first to be forgotten.
            self._subscriptions[topic] = self._subscriptions.pop(topic)
        subscription.listeners += 1
        subscription.wanted = True
        if subscription.grace is not None:
            subscription.grace.cancel()
            subscription.grace = None
        self._serve_soon(subscription)
        released = False

        def release() -> None:
            nonlocal released
            if not released:
                released = True
                self._release(subscription)

        return release

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Own all connections until cancelled."""
        stop = self._store.listen(self._heard)
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                for subscription in list(self._subscriptions.values()):
                    if subscription.wanted:
                        self._serve_soon(subscription)
                task_status.started()
                await anyio.sleep_forever()
        finally:
            self._group = None
            stop()

    def reconnect(self) -> None:
        """Try every lost connection again now."""
        for subscription in self._subscriptions.values():
            if subscription.stream is not None:
                subscription.stream.reconnect_now()
            elif subscription.listeners and subscription.connection.state is ConnectionState.GONE:
                self._serve_soon(subscription)

    def nudge(self) -> None:
        """Something that topics waited for may have happened: connect those that need wait no longer."""
        for subscription in list(self._subscriptions.values()):
            if subscription.ready is not None and not self._store.is_expected(subscription.topic):
                subscription.ready.set()

    def may_answer(self) -> bool:
        """Whether nothing speaks against the backend: the list is connected, being connected, or lost a moment ago."""
        subscription = self._subscriptions.get(TASKS)
        if subscription is None or subscription.connection.state is ConnectionState.CLOSED:
            return True
        return judge(subscription.connection).state in (FreshnessState.LIVE, FreshnessState.RECONNECTING)

    def topics(self) -> tuple[TopicDiagnostics, ...]:
        """Every topic that was ever held and is still remembered, `tasks` first."""
        found = []
        for topic, subscription in self._subscriptions.items():
            counter = self._store.counter(topic)
            found.append(
                TopicDiagnostics(
                    topic=str(topic),
                    listeners=subscription.listeners,
                    link=str(subscription.connection.state),
                    freshness=self._store.freshness(topic),
                    last_refresh=counter.last_refresh,
                    refreshed_at=counter.refreshed_at,
                    position=self._store.cursor(topic),
                    connections=counter.connections,
                    reconnects=subscription.connection.reconnects,
                    snapshots=counter.snapshots,
                    events_applied=counter.applied,
                    dropped_stale=counter.stale,
                    bytes=counter.bytes,
                    latency=counter.latency(),
                )
            )
        return tuple(sorted(found, key=lambda topic: topic.topic != str(TASKS)))

    def log(self) -> tuple[ConnectionEvent, ...]:
        """The latest connection events, oldest first."""
        return tuple(self._log)

    def _release(self, subscription: _Subscription) -> None:
        subscription.listeners -= 1
        if subscription.listeners == 0 and self._group is not None:
            self._group.start_soon(self._wait_grace, subscription)
        elif subscription.listeners == 0:
            subscription.wanted = False

    async def _wait_grace(self, subscription: _Subscription) -> None:
        if subscription.listeners:
            return
        with anyio.CancelScope() as scope:
            subscription.grace = scope
            await anyio.sleep(self._grace_time)
        if scope.cancelled_caught or subscription.listeners or subscription.grace is not scope:
            return
        subscription.grace = None
        subscription.wanted = False
        if subscription.scope is not None:
            subscription.scope.cancel()

    def _serve_soon(self, subscription: _Subscription) -> None:
        if self._group is not None and not subscription.serving:
            subscription.serving = True
            self._group.start_soon(self._serve, subscription)

    async def _serve(self, subscription: _Subscription) -> None:
        """The one task of a topic: it owns the connection from its first byte to its closing."""
        try:
            while subscription.wanted:
                with anyio.CancelScope() as scope:
                    subscription.scope = scope
                    await self._wait_ready(subscription)
                    await self._stream(subscription)
                    # The topic is gone; only a new hold, or its return, is a reason to ask again.
                    break
        finally:
            subscription.serving = False
            subscription.scope = None
            subscription.stream = None
        if subscription.connection.state is not ConnectionState.GONE:
            self._connection_changed(subscription, ConnectionChange(state=ConnectionState.CLOSED))
        if not subscription.wanted:
            self._forget_oldest()

    async def _wait_ready(self, subscription: _Subscription) -> None:
        if not self._store.is_expected(subscription.topic):
            return
        self._connection_changed(subscription, ConnectionChange(state=ConnectionState.WAITING))
        subscription.ready = anyio.Event()
        try:
            await subscription.ready.wait()
        finally:
            subscription.ready = None

    async def _stream(self, subscription: _Subscription) -> None:
        store, topic = self._store, subscription.topic

        def receive(event: StreamEvent) -> None:
            store.apply(topic, event.name, event.record, event.seq, event.database, event.size)

        subscription.stream = EventStream(
            self._http,
            topic,
            cursor=lambda: store.cursor(topic),
            on_open=lambda: store.open(topic),
            on_change=lambda change: self._connection_changed(subscription, change),
            rng=self._rng,
        )
        try:
            await subscription.stream.run(receive)
        finally:
            subscription.stream = None

    def _connection_changed(self, subscription: _Subscription, change: ConnectionChange) -> None:
        now = self._store.now_ms()
        became_live = (
            change.state is ConnectionState.LIVE and subscription.connection.state is ConnectionState.CONNECTING
        )
        subscription.connection.change(change, now)
        detail = change.reason or ""
        if change.retry_in is not None:
            detail = f"{detail}; trying again in {change.retry_in:.2f} s"
        self._log.append(ConnectionEvent(at=now, topic=str(subscription.topic), kind=str(change.state), detail=detail))
        if change.state is ConnectionState.GONE:
            self._store.absent(subscription.topic)
        self._store.set_freshness(subscription.topic, judge(subscription.connection))
        self._time_loss(subscription)
        if became_live:
            self._backend_answers(subscription)

    def _time_loss(self, subscription: _Subscription) -> None:
        """Have a connection called overdue when its time comes, unless it stands by then."""
        lost = subscription.connection.lost_since is not None
        if lost and subscription.waiting is None and self._group is not None:
            subscription.waiting = anyio.CancelScope()
            self._group.start_soon(self._wait_overdue, subscription, subscription.waiting)
        elif not lost and subscription.waiting is not None:
            subscription.waiting.cancel()
            subscription.waiting = None

    async def _wait_overdue(self, subscription: _Subscription, scope: anyio.CancelScope) -> None:
        with scope:
            await anyio.sleep(STALE_AFTER)
            if subscription.waiting is scope:
                subscription.connection.overdue = True
                self._store.set_freshness(subscription.topic, judge(subscription.connection))

    def _backend_answers(self, subscription: _Subscription) -> None:
        """One topic got through: those that nobody answered need not wait any longer."""
        for other in self._subscriptions.values():
            if other is not subscription and other.stream is not None and not other.connection.reached:
                other.stream.reconnect_now()
        if self.on_live is not None:
            self.on_live()

    def _heard(self, changes: Changes) -> None:
        if changes.creations or changes.tasks:
            self.nudge()
            self._serve_returned(changes.tasks)

    def _serve_returned(self, task_ids: frozenset[str]) -> None:
        """A backend restored from a copy can bring tasks back, and their sessions with them."""
        gone = [
            one
            for one in self._subscriptions.values()
            if one.listeners and one.connection.state is ConnectionState.GONE
        ]
        if gone:
            tasks = [self._store.tasks[task_id] for task_id in task_ids & self._store.tasks.keys()]
            known = {task.task_id for task in tasks} | {one.session_id for task in tasks for one in task.sessions}
            for subscription in gone:
                if subscription.topic.id in known:
                    self._serve_soon(subscription)

    def _forget_oldest(self) -> None:
        idle = [
            topic
            for topic, subscription in self._subscriptions.items()
            if not subscription.wanted and not subscription.serving and topic != TASKS
        ]
        for topic in idle[: max(0, len(idle) - IDLE_KEPT)]:
            del self._subscriptions[topic]
            self._store.forget(topic)
