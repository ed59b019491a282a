"""Encoders and decoders, made once; JSON as UTF-8 bytes."""

from threading import Lock
from typing import Any, TypeVar

import msgspec

from foundry_tui.contract import records, requests
from foundry_tui.contract.events import EventName, Ping, Resumed, TaskRemoved, TopicKind
from foundry_tui.contract.problems import Problem

T = TypeVar("T")

_encoder = msgspec.json.Encoder()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_building = Lock()
"""msgspec takes the process down when two threads meet a type for the first time at once."""

SNAPSHOT_TYPE: dict[TopicKind, type[msgspec.Struct]] = {
    TopicKind.TASKS: requests.TasksSnapshot,
    TopicKind.TASK: requests.TaskSnapshot,
    TopicKind.SESSION: requests.SessionSnapshot,
    TopicKind.LOG: requests.LogSnapshot,
}
"""What the `snapshot` event of each kind of topic carries."""

EVENT_TYPE: dict[EventName, type[msgspec.Struct]] = {
    EventName.TASK_REMOVED: TaskRemoved,
    EventName.REPO: records.Repo,
    EventName.SESSION: records.SessionState,
    EventName.TRANSCRIPT: records.TranscriptItem,
    EventName.LOG: records.LogLine,
    EventName.HISTORY: records.HistoryEvent,
    EventName.RESUMED: Resumed,
    EventName.PING: Ping,
}


def encode(value: object) -> bytes:
    """JSON of a record or of plain values."""
    return _encoder.encode(value)


def decode(document: bytes | str, type_: type[T]) -> T:
    """A record of its JSON; any thread may ask.

    Raises `msgspec.DecodeError` for malformed JSON and `msgspec.ValidationError` (a subclass) for a wrong value.
    """
    decoder = _decoders.get(type_)
    if decoder is None:
        with _building:
            decoder = _decoders[type_] = msgspec.json.Decoder(type_)
    result: T = decoder.decode(document)
    return result


def convert(value: object, type_: type[T]) -> T:
    """A record of plain values; raises `msgspec.ValidationError`."""
    with _building:
        return msgspec.convert(value, type_)


def event_type(topic: TopicKind, name: EventName) -> type[msgspec.Struct]:
    """The type of the data of event `name` on a topic of kind `topic`."""
    if name is EventName.SNAPSHOT:
        return SNAPSHOT_TYPE[topic]
    if name is EventName.TASK:
        return records.TaskSummary if topic is TopicKind.TASKS else records.TaskDetail
    return EVENT_TYPE[name]


def decode_problem(document: bytes) -> Problem | None:
    """The problem of an error answer, or None when the body is none."""
    try:
        return decode(document, Problem)
    except msgspec.DecodeError:
        return None
