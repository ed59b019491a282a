"""What the backend pushes: topics, event names, and the event ids that clients resume from."""

from enum import StrEnum

from msgspec import Struct

from foundry_tui.contract.open_enum import OpenEnum

PING_AFTER = 10.0
"""Seconds without an event after which the backend sends a ping."""
SILENCE_LIMIT = 15.0
"""Seconds within which there is always an event; a stream that is silent for longer is dead."""


class EventName(OpenEnum):
    """The `event:` field. The data is the full new state of the record that changed."""

    SNAPSHOT = "snapshot"
    TASK = "task"
    TASK_REMOVED = "task_removed"
    REPO = "repo"
    SESSION = "session"
    TRANSCRIPT = "transcript"
    LOG = "log"
    OPERATION = "operation"
    HISTORY = "history"
    RESUMED = "resumed"
    PING = "ping"


class TopicKind(StrEnum):
    """`tasks`, or the part of a topic before its colon: `task:{task_id}`, `session:{session_id}`, `log:{task_id}`."""

    TASKS = "tasks"
    TASK = "task"
    SESSION = "session"
    LOG = "log"


class Topic(Struct, frozen=True):
    """A stream that a client subscribes to. `id` is empty for `tasks`."""

    kind: TopicKind
    id: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}" if self.id else str(self.kind)

    @classmethod
    def parse(cls, text: str) -> "Topic":
        """The topic of its text; raises `ValueError` when it is none."""
        if text == TopicKind.TASKS:
            return TASKS
        kind, colon, id_ = text.partition(":")
        if not colon or not id_ or kind == TopicKind.TASKS:
            raise ValueError(f"{text!r} is no topic: use tasks, task:ID, session:ID or log:ID")
        try:
            return cls(TopicKind(kind), id_)
        except ValueError:
            raise ValueError(f"{text!r} is no topic: use tasks, task:ID, session:ID or log:ID") from None


TASKS = Topic(TopicKind.TASKS)


class TaskRemoved(Struct, frozen=True, kw_only=True):
    """Data of `task_removed`."""

    task_id: str


class Resumed(Struct, frozen=True, kw_only=True):
    """Data of `resumed`: what was missed since `seq` follows."""

    seq: int


class Ping(Struct, frozen=True, kw_only=True):
    """Data of `ping`: everything up to `seq` has been sent."""

    seq: int
    at: int


def event_id(database: str, seq: int) -> str:
    """The `id:` of an event; `database` names this database's life and has no dash in it."""
    return f"{database}-{seq}"


def parse_event_id(text: str) -> tuple[str, int]:
    """Database and seq of an event id; raises `ValueError` when it is none."""
    database, dash, seq = text.rpartition("-")
    if not dash or not database or not seq.isascii() or not seq.isdigit() or len(seq) > 18:
        raise ValueError(f"{text!r} is no event id")
    return database, int(seq)
