"""What streams need of a storage: what was committed, in one order, as it happens and from a position on.

A position is a `seq`: it rises by one with each event, in the order of the commits. Several processes may commit into
one database. Whoever listens in any of them is told of the commits of all, in that one order and each of them once.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Raw, Struct

from foundry_tui.contract.codec import encode
from foundry_tui.contract.events import TASKS, EventName, TaskRemoved, Topic, TopicKind
from foundry_tui.contract.record import Record
from foundry_tui.contract.records import TaskDetail, summary_of

_TOLD_OF_A_TASK = tuple(name for name in TaskDetail.__struct_fields__ if name != "history")


class Event(Struct, frozen=True):
    """One committed change of one record; `task_id` and `session_id` are empty where it has none.

    `record` is the record as it became, or its JSON (`Raw`) where there is nothing else to be known of it. A `task`
    event always has the whole `TaskDetail`, a `history` event the `HistoryEvent`.
    """

    seq: int
    name: EventName
    task_id: str
    session_id: str
    record: Record | TaskRemoved | Raw

    def topics(self) -> tuple[Topic, ...]:
        """The topics that tell of it."""
        match self.name:
            case EventName.TASK:
                return TASKS, Topic(TopicKind.TASK, self.task_id)
            case EventName.TASK_REMOVED if not self.session_id:
                return TASKS, Topic(TopicKind.TASK, self.task_id), Topic(TopicKind.LOG, self.task_id)
            case EventName.REPO:
                return (TASKS,)
            case EventName.HISTORY | EventName.OPERATION:
                return (Topic(TopicKind.TASK, self.task_id),)
            case EventName.LOG:
                return (Topic(TopicKind.LOG, self.task_id),)
            case _:
                return (Topic(TopicKind.SESSION, self.session_id),)

    def data(self, topic: TopicKind) -> bytes:
        """JSON of the event's data as a topic of this kind tells it."""
        if not isinstance(self.record, TaskDetail):
            return encode(self.record)
        if topic is TopicKind.TASKS:
            return encode(summary_of(self.record))
        return encode({name: getattr(self.record, name) for name in _TOLD_OF_A_TASK})


class Committed(Struct, frozen=True):
    """One commit: its events in order of `seq`, and how long it took; `seconds` is None for another process's.

    `gap`: what was committed just before by other processes could not be told any more; it is in the rows.
    """

    events: Sequence[Event]
    seconds: float | None
    gap: bool = False


class TopicEvent(Struct, frozen=True):
    """An event as one topic tells it: `data` is its JSON."""

    seq: int
    name: EventName
    data: bytes


class Missed(Struct, frozen=True):
    """What a client missed: for each record its last state alone, in order of `seq`. `seq` is where they lead to."""

    seq: int
    events: Sequence[TopicEvent]


class Snapshot(Struct, frozen=True):
    """A topic whole, as it was at `seq`; of tasks that have ended topic `tasks` has the newest (`TasksSnapshot`), and
    costs in proportion to what it has. The pieces follow each other and are one JSON document together."""

    seq: int
    pieces: Sequence[bytes]


class Events(Protocol):
    """What was committed to a database, whichever process did it.

    The asynchronous methods raise `StorageUnavailableError`.
    """

    database: str
    """Names this database's life, which ends when an older copy takes its place; positions of one life mean nothing in
    another. It has no dash in it."""

    def listen(self, listener: Callable[[Committed], None]) -> None:
        """Call the listener on the event loop with each commit from now on."""
        ...

    async def has(self, topic: Topic) -> bool:
        """Whether there is what the topic is about."""
        ...

    async def snapshot(self, topic: Topic) -> Snapshot | None:
        """The topic whole; None when there is no such thing."""
        ...

    async def missed(self, topic: Topic, seq: int) -> Missed | None:
        """What changed after `seq`; None when that cannot be said, as of a seq from the future."""
        ...
