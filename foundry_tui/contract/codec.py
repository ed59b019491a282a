"""Encoders and decoders, made once; JSON as UTF-8 bytes."""

from itertools import accumulate
from threading import Lock
from typing import Any, TypeVar

import msgspec

from foundry_tui.contract import records, requests, transcript
from foundry_tui.contract.events import EventName, Ping, Resumed, TaskRemoved, TopicKind
from foundry_tui.contract.problems import Problem, missing_route_as_501

T = TypeVar("T")

_encoder = msgspec.json.Encoder()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_building = Lock()
"""msgspec takes the process down when two threads meet a type for the first time at once."""

DEEPEST = 64
"""Lists and objects that a request may have within each other."""
MOST_BRACKETS = 20_000
"""Beginnings and ends of lists and objects that a request may have."""
_QUOTES_AT_ONCE = 2 * 8_192
"""Of a request's quotation marks so many are looked at before it is known whether the rest matters."""
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

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
    EventName.TRANSCRIPT: transcript.TranscriptItem,
    EventName.LOG: records.LogLine,
    EventName.OPERATION: records.Operation,
    EventName.HISTORY: records.HistoryEvent,
    EventName.RESUMED: Resumed,
    EventName.PING: Ping,
}


def encode(value: object) -> bytes:
    """JSON of a record or of plain values."""
    return _encoder.encode(value)


def decode(document: bytes | str, type_: type[T]) -> T:
    """A record of its JSON; any thread may ask.

    Raises `msgspec.DecodeError` for malformed JSON, also where it is no UTF-8 or nested deeper than this interpreter
    follows, and `msgspec.ValidationError` (a subclass) for a wrong value.
    """
    decoder = _decoders.get(type_)
    if decoder is None:
        with _building:
            decoder = _decoders[type_] = msgspec.json.Decoder(type_)
    try:
        result: T = decoder.decode(document)
    except UnicodeDecodeError:
        raise msgspec.DecodeError("it is no UTF-8") from None
    except RecursionError:
        raise msgspec.DecodeError("it is nested too deeply") from None
    return result


def check_depth(document: bytes) -> None:
    """Raise `msgspec.DecodeError` where lists and objects lie more than `DEEPEST` deep in each other.

    So every Python refuses the same. More than `MOST_BRACKETS` count as that too, which keeps the counting short.
    """
    if document.count(b"[") + document.count(b"{") <= DEEPEST:
        return
    brackets, rest = b"", document.replace(rb"\\", b"").replace(rb"\"", b"")
    while rest and len(brackets) <= MOST_BRACKETS:
        # What stands in quotation marks is every second piece.
        *pieces, rest = rest.split(b'"', _QUOTES_AT_ONCE)
        if len(pieces) < _QUOTES_AT_ONCE:
            pieces, rest = [*pieces, rest], b""
        brackets += b"".join(pieces[::2]).translate(None, _ALL_BUT_BRACKETS)
    steps = (1 if bracket in b"[{" else -1 for bracket in brackets)
    if len(brackets) > MOST_BRACKETS or max(accumulate(steps), default=0) > DEEPEST:
        raise msgspec.DecodeError(f"it is nested more than {DEEPEST} deep")


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
        return missing_route_as_501(decode(document, Problem))
    except msgspec.DecodeError:
        return None
