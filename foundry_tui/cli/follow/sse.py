"""Server-sent events as bytes: the events of a stream, undecoded."""

from collections.abc import Iterator
from typing import NamedTuple

from foundry_tui.contract.events import EventName, Topic


class Event(NamedTuple):
    """One event as it came; `data` is its JSON. `id` is empty where the backend gave none."""

    topic: Topic
    name: EventName
    id: str
    data: bytes


def parse(lines: Iterator[bytes], topic: Topic) -> Iterator[Event]:
    """The events of a server-sent stream, split at bytes: U+2028 is no line's end. An unfinished event is dropped."""
    name, data, id_ = "", list[bytes](), ""
    for raw in lines:
        if not raw.endswith(b"\n"):
            return
        line = raw.rstrip(b"\r\n")
        if not line:
            if data and name:
                yield Event(topic, EventName(name), id_, b"\n".join(data))
            name, data = "", []
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            name = value.decode("utf-8", "replace")
        elif field == b"data":
            data.append(value)
        elif field == b"id" and b"\0" not in value:
            id_ = value.decode("utf-8", "replace")
