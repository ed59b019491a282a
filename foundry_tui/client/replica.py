"""What the replicas of all topics share: how far their stream has come, and what happens when it begins anew.

A replica is the client's copy of what the backend holds of one topic. It believes its own stream alone: two streams
are not in step, and an old event of one would undo what a new snapshot of the other has brought.
"""

from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from foundry_tui.client.changes import Dirt
from foundry_tui.client.statistics import RefreshReason, TopicCounter
from foundry_tui.contract.events import EventName, Topic, event_id
from foundry_tui.contract.record import Record

R = TypeVar("R", bound=Struct)


def only(type_: type[R], record: Record) -> R:
    """The fields of `type_` out of a record of one of its subclasses."""
    return type_(**{name: getattr(record, name) for name in type_.__struct_fields__})


class Life:
    """Counts the databases that the backend has had, one after the other: `current` is the number of the present one.

    A topic finds by its snapshot that there is a new one, and calls `begin`, which calls `on_change`. What replicas
    hold from an earlier one counts no longer: each has to begin with a snapshot.
    """

    def __init__(self) -> None:
        self.current = 0
        self.on_change: Callable[[], None] | None = None

    def begin(self) -> None:
        """The backend has another database than before."""
        self.current += 1
        if self.on_change is not None:
            self.on_change()


class Replica:
    """The copy of one topic. Its subclasses say how a snapshot and an event change what is held.

    `seq` is the highest that the stream has delivered. `settled` says that the open connection has sent its
    `snapshot` or `resumed`. Events that come before that are applied at once, and again after it, since the snapshot
    may replace all that was held.
    """

    def __init__(self, topic: Topic, dirty: Callable[[], Dirt], life: Life) -> None:
        self.topic = topic
        self.dirty = dirty
        self.counter = TopicCounter()
        self.database: str | None = None
        self.seq = 0
        self.settled = False
        self.gone = False
        self.opened_at = 0
        self.life = life
        self._lived = life.current
        self._baseline = 0
        self._unsettled: list[tuple[EventName, Struct, int]] = []

    @property
    def cursor(self) -> str | None:
        """The `Last-Event-ID` to resume from, or None when there is nothing to resume."""
        if self.database is None or self._lived != self.life.current:
            return None
        return event_id(self.database, self.seq)

    def open(self, now: int) -> None:
        """A connection of this topic begins."""
        self.opened_at = now
        self.settled = False
        self._baseline = self.seq
        self._unsettled.clear()
        self.counter.connections += 1

    def receive(self, name: EventName, record: Struct, seq: int, database: str, size: int) -> bool:
        """Take one event of the stream; the answer is whether anything changed."""
        counter = self.counter
        counter.bytes += size
        if not self.settled:
            return self._receive_unsettled(name, record, seq, database)
        if seq > self.seq:
            self.seq = seq
        if name is EventName.PING:
            return False
        if self.apply(name, record, seq):
            counter.applied += 1
            counter.touched = RefreshReason.EVENT
            return True
        counter.stale += 1
        return False

    def forget_position(self) -> None:
        """Have the next connection begin with a snapshot."""
        self.database = None

    def apply(self, name: EventName, record: Struct, seq: int) -> bool:
        """Reconcile one event; the answer is whether anything changed."""
        raise NotImplementedError

    def replace(self, snapshot: Struct, seq: int, afresh: bool) -> None:
        """Reconcile a snapshot; `afresh` forgets all that was held before."""
        raise NotImplementedError

    def _receive_unsettled(self, name: EventName, record: Struct, seq: int, database: str) -> bool:
        counter = self.counter
        if name is EventName.PING:
            return False
        if name is EventName.SNAPSHOT:
            bootstrap = self.database is None
            outlived = self._lived != self.life.current
            replaced = not bootstrap and (database != self.database or seq < self._baseline)
            if replaced and not outlived:
                self.life.begin()
            self._lived = self.life.current
            self.gone = False
            self.replace(record, seq, replaced or outlived)
            self.database = database
            self.seq = seq
            counter.snapshots += 1
            counter.touched = RefreshReason.BOOTSTRAP if bootstrap else RefreshReason.SNAPSHOT
        elif name is EventName.RESUMED:
            if database != self.database:
                # It resumes a life that is not the one held; only a snapshot can tell the truth now.
                self.forget_position()
                return False
            counter.touched = RefreshReason.RESUME
        else:
            self._unsettled.append((name, record, seq))
            return self.apply(name, record, seq)
        self.settled = True
        unsettled, self._unsettled = self._unsettled, []
        for name, record, seq in unsettled:
            self.apply(name, record, seq)
            self.seq = max(self.seq, seq)
        return True

    def _note_commit(self, at: int) -> None:
        """Remember the oldest commit not yet told of; what was committed before this connection is no measure."""
        if at >= self.opened_at:
            oldest = self.counter.oldest_commit
            if not oldest or at < oldest:
                self.counter.oldest_commit = at
