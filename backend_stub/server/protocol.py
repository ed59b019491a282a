"""HTTP/1.1 as uvicorn speaks it, but stricter, refusing in problems, and with an end to its patience."""

import asyncio
import logging
import re
import sys

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from backend_stub.domain.errors import TITLES
from backend_stub.server.strangers import SECONDS as STRANGER_SECONDS
from backend_stub.server.strangers import Strangers
from foundry_tui.contract.codec import encode
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.problems import PROBLEM_TYPE, Problem

logger = logging.getLogger(__name__)

HEAD_LIMIT = 64 * 1024
HEAD_LINES = 200
"""Lines of a head, and of the trailers behind a body: each costs time, also of a stranger's."""
HEAD_TOO_LARGE = f"A request's line and headers can have at most {HEAD_LIMIT} bytes and {HEAD_LINES} lines."
REQUEST_SECONDS = 60.0
"""Time from the first byte of a request to its last, and of a connection on which nothing is asked."""
_FOLDED = re.compile(rb"\n[ \t]")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_LAST_CHUNK = re.compile(rb"(?:\r?\n)?0+(?![0-9A-Fa-f])[^\n]*\n")
"""The line that ends a body in chunks, with what ends the chunk before it."""
_HEAD = b"HTTP/1.1 "
"""How each head begins, and no body: that is JSON, text, or a chunk's length."""

FREE_CHUNKS = 1_024
LEAST_CHUNK = 256
"""Beyond the first `FREE_CHUNKS` of a body its chunks have at least so many bytes on average: each costs time."""

CUT = "cut"
"""Under this name the state of a request's scope has a function that ends its connection at once."""
WHY = "why"
"""Under this name the request's scope has what the log says of an answer beside its status, if anything."""
KNOWN = "known"
"""Under this name it has a function to be called once the request has shown the token."""


class JoiningTransport(asyncio.Transport):
    """A connection's transport that sends the head of an answer with what follows it at once.

    Whoever waits for the answer wakes up once, with all of it, and not for a head that says nothing yet.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._head = b""

    def write(self, data: bytes) -> None:  # type: ignore[override]  # all that h11 makes
        if self._head:
            self._send(data)
        elif data.startswith(_HEAD):
            self._head = data
            self._loop.call_soon(self._send)
        elif data:
            self._transport.write(data)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def abort(self) -> None:
        self._transport.abort()

    def _send(self, body: bytes = b"") -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head + body)


class AmbiguousError(h11.RemoteProtocolError):
    """A request that two readers could understand as two different ones, or that costs more than it says."""


class Requests(h11.Connection):
    """Reads requests, and refuses those that two readers could understand as two different ones."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, HEAD_LIMIT)
        self._chunks = self._bytes = 0
        self._at_chunk = self._in_trailers = False

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        head = self._lines_to_come()
        end = _BLANK_LINE.search(head)
        if head.count(b"\n", 0, end.start() if end else len(head)) > HEAD_LINES:
            raise h11.RemoteProtocolError("the head has too many lines", error_status_hint=431)
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._chunks = self._bytes = 0
            self._in_trailers = False
            names = {name for name, _ in event.headers}
            if b"transfer-encoding" in names and (b"content-length" in names or event.http_version < b"1.1"):
                raise AmbiguousError("the length of the body is told in two ways")
            if _FOLDED.search(head, 0, len(head) - len(self.trailing_data[0])):
                raise AmbiguousError("a header goes on in the next line")
            self._at_chunk = b"transfer-encoding" in names
        elif isinstance(event, h11.Data):
            self._at_chunk = event.chunk_end
            self._chunks += event.chunk_start
            self._bytes += len(event.data)
            if self._chunks > FREE_CHUNKS + self._bytes // LEAST_CHUNK:
                raise AmbiguousError("the body comes in chunks that are too small")
        return event

    def _lines_to_come(self) -> bytes:
        """What the next event is made of as far as it is lines: the head of a request, or what follows its body."""
        if self.their_state is h11.IDLE:
            return self.trailing_data[0]
        if self.their_state is not h11.SEND_BODY or not (self._at_chunk or self._in_trailers):
            return b""
        rest = self.trailing_data[0]
        if not self._in_trailers and (last := _LAST_CHUNK.match(rest)) is not None:
            rest = rest[last.end() :]
            self._in_trailers = True
        return b"\n" + rest if self._in_trailers else b""


class Protocol(H11Protocol):
    """One connection."""

    strangers: Strangers | None = None
    """None where everybody who can connect is known."""
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        self.conn = Requests()
        self.app_state = {**self.app_state, CUT: transport.abort, KNOWN: self._forget}
        super().connection_made(transport)
        self.transport = JoiningTransport(transport, self.loop)
        if self.strangers is not None:
            self.strangers.arrived(self, self.client[0] if self.client else "")
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        self._stop_watching()
        super().connection_lost(exc)

    def cut(self) -> None:
        """End it at once."""
        self.transport.abort()

    def _forget(self) -> None:
        if self.strangers is not None:
            self.strangers.left(self)

    @property
    def _is_stranger(self) -> bool:
        return self.strangers is not None and self.strangers.is_one(self)

    def data_received(self, data: bytes) -> None:
        if self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]:
            self._stop_watching()
        super().data_received(data)

    def handle_events(self) -> None:
        super().handle_events()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        if getattr(sys.exception(), "error_status_hint", 400) == 431:
            self._refuse(431, HEAD_TOO_LARGE)
        else:
            # Only what we say ourselves: other reasons repeat what was sent.
            why = f": {error}" if isinstance(error := sys.exception(), AmbiguousError) else ""
            self._refuse(400, f"This is no HTTP/1.1 request that can be understood{why}.")

    def _watch(self) -> None:
        """See to it that a request which is being sent, or awaited, comes to its end."""
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._stop_watching()
        elif self._deadline is None:
            seconds = STRANGER_SECONDS if self._is_stranger else REQUEST_SECONDS
            self._deadline = self.loop.call_later(seconds, self._give_up, seconds)

    def _stop_watching(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self, seconds: float) -> None:
        if self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]:
            self.transport.close()
        else:
            self._refuse(408, f"The request was not complete after {seconds:g} s.")

    def _refuse(self, status: int, detail: str) -> None:
        """Answer, unless an answer is on its way already, and close."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            title, request_id = TITLES[status], uuid7()
            if self.strangers is not None and self._is_stranger:
                self.strangers.tell("requests that nobody can understand or wait for were refused")
            elif self.cycle is None or self.cycle.response_complete:
                # One that is at work has a line of its own.
                logger.info("refused: %s", detail, extra={"fields": {"status": status, "request_id": request_id}})
            body = encode(Problem(status=status, title=title, detail=detail, request_id=request_id))
            head = (
                f"HTTP/1.1 {status} {title}\r\ncontent-type: {PROBLEM_TYPE}\r\ncontent-length: {len(body)}\r\n"
                f"x-request-id: {request_id}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()
