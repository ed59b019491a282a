"""Server-sent events out of bytes, by the standard's rules and without input or output.

Every stream of a backend is read by it: the app, a command that follows and the snapshot at the start come to the
bytes in three ways, and an event has a greatest length. (The backend reads the streams of its agents with httpx-sse.)
"""

from typing import NamedTuple

from foundry_tui.client.connection import LARGEST_ANSWER
from foundry_tui.client.errors import StrangeAnswerError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class ServerSentEvent(NamedTuple):
    """One event as it came: `name` is "" where it has none, `id` the last one that the stream gave."""

    name: str
    id: str
    data: bytes


class EventReader:
    """Reads one stream. Lines end in LF, CR or CRLF and nowhere else, wherever the pieces of the stream are cut."""

    def __init__(self) -> None:
        self._line: list[bytes] = []
        """The pieces of a line that has not come to its end."""
        self._after_cr = False
        self._begun = False
        self._name, self._id = "", ""
        self._data: list[bytes] = []
        self._held = 0
        """Bytes of the event that has not come to its end."""

    def feed(self, piece: bytes) -> list[ServerSentEvent]:
        """The events that end in this piece; raises `StrangeAnswerError` when one has no end in sight."""
        lines = (piece.removeprefix(b"\n") if self._after_cr else piece).splitlines()
        if piece:
            self._after_cr = piece.endswith(b"\r")
        rest = lines.pop() if lines and not piece.endswith((b"\n", b"\r")) else b""
        found = []
        for line in lines:
            if self._line:
                self._held -= sum(map(len, self._line))
                line = b"".join((*self._line, line))
                self._line.clear()
            if (event := self._take(line)) is not None:
                found.append(event)
        if rest:
            self._line.append(rest)
            self._hold(len(rest))
        return found

    def _take(self, line: bytes) -> ServerSentEvent | None:
        """The event that this line ends, if it is the empty line behind one. An event without data is none."""
        if not self._begun:
            self._begun, line = True, line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            event = ServerSentEvent(self._name, self._id, b"\n".join(self._data)) if self._data else None
            self._name, self._data, self._held = "", [], 0
            return event
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._hold(len(value))
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
        elif field == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        return None

    def _hold(self, size: int) -> None:
        self._held += size
        if self._held > LARGEST_ANSWER:
            raise StrangeAnswerError(f"an event of more than {LARGEST_ANSWER >> 20} MiB came", sent=True)
