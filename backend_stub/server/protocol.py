"""HTTP/1.1 as uvicorn speaks it, but refusing in problems, and with an end to its patience."""

import asyncio
import logging
import sys

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from backend_stub.problems import TITLES
from foundry_tui.contract.codec import encode
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.problems import PROBLEM_TYPE, Problem

logger = logging.getLogger(__name__)

HEAD_LIMIT = 64 * 1024
HEAD_TOO_LARGE = f"A request's line and headers can have at most {HEAD_LIMIT} bytes."
REQUEST_SECONDS = 60.0
"""Time from the first byte of a request to its last, and of a connection on which nothing is asked."""
_HEAD = b"HTTP/1.1 "
"""How each head begins, and no body: that is JSON, text, or a chunk's length."""

CUT = "cut"
"""Under this name the state of a request's scope has a function that ends its connection at once."""


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

    def _send(self, body: bytes = b"") -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head + body)


class Protocol(H11Protocol):
    """One connection."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        self.app_state = {**self.app_state, CUT: transport.abort}
        super().connection_made(transport)
        self.transport = JoiningTransport(transport, self.loop)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watching()
        super().connection_lost(exc)

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
            self._refuse(400, "This is no HTTP/1.1 request that can be understood.")

    def _watch(self) -> None:
        """See to it that a request which is being sent, or awaited, comes to its end."""
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._stop_watching()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_SECONDS, self._give_up)

    def _stop_watching(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]:
            self.transport.close()
        else:
            self._refuse(408, f"The request was not complete after {REQUEST_SECONDS:g} s.")

    def _refuse(self, status: int, detail: str) -> None:
        """Answer, unless an answer is on its way already, and close."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            title, request_id = TITLES[status], uuid7()
            logger.info("refused: %s", detail, extra={"fields": {"status": status, "request_id": request_id}})
            body = encode(Problem(status=status, title=title, detail=detail, request_id=request_id))
            head = (
                f"HTTP/1.1 {status} {title}\r\ncontent-type: {PROBLEM_TYPE}\r\ncontent-length: {len(body)}\r\n"
                f"x-request-id: {request_id}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()
