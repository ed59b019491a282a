"""One blocking request to the backend at a time: what commands that live for a moment need, and fast to import.

The app speaks through `foundry_tui.client`; a command that asks once has no use for its event loop, whose
import alone takes longer than the request.
"""

import http.client
import socket
import threading
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from foundry_tui.client.connection import LARGEST_ANSWER, Target
from foundry_tui.client.errors import ProblemError, StrangeAnswerError, UnreachableError
from foundry_tui.contract import codec
from foundry_tui.contract.problems import LARGEST_BODY, too_large

if TYPE_CHECKING:
    import ssl

T = TypeVar("T")


ANSWER_SECONDS = 4.0
"""How long an answer may take. A POST is answered after one commit, so this is generous."""
OWN_SECONDS = 6.0
"""The same for our own backend, with which this machine may be busy."""
PIECE = 65_536
"""Bytes of an answer for which the waiting begins anew, so that a long one may take its time and a drip may not."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class BlockingClient:
    """A backend to send requests to. Each request has a connection of its own."""

    def __init__(self, target: Target, *, hint: str = "", patience: float | None = None) -> None:
        self.target = target
        self.hint = hint
        """What to do when this backend does not answer."""
        self.patience = ANSWER_SECONDS if patience is None else patience
        """Seconds that an answer may take where a request does not say."""
        self._url = urlsplit(target.base_url)
        self._trust: ssl.SSLContext | None = None

    def call(
        self,
        method: str,
        path: str,
        type_: type[T],
        *,
        body: object = None,
        query: Mapping[str, object] | None = None,
        timeout: float | None = None,
    ) -> T:
        """Send `body` as JSON and decode the answer; `timeout` is the seconds to wait for it.

        Raises `ProblemError` for an error answer and `UnreachableError` when there is none.
        """
        return self.read(method, path, type_, body=body, query=query, timeout=timeout)[1]

    def read(
        self,
        method: str,
        path: str,
        type_: type[T],
        *,
        body: object = None,
        query: Mapping[str, object] | None = None,
        timeout: float | None = None,
    ) -> tuple[bytes, T]:
        """The answer as it came and decoded; raises as `call` does."""
        status, answer = self.send(method, path, body=body, query=query, timeout=timeout)
        try:
            return answer, codec.decode(answer, type_)
        except msgspec.DecodeError as error:
            raise self.strange(f"{status} with something else than expected: {error}") from None

    def send(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, object] | None = None,
        timeout: float | None = None,
    ) -> tuple[int, bytes]:
        """Status and body of a good answer; raises as `call` does.

        The exchange runs on a thread, which is left behind when its time is over: no time-out of a socket ends what
        comes byte by byte, nor a name that is looked up without end.
        """
        patience = self.patience if timeout is None else timeout
        told: SimpleQueue[tuple[int, bytes] | BaseException | None] = SimpleQueue()

        def exchange() -> None:
            try:
                told.put(self._exchange(method, path, body, query, patience, lambda: told.put(None)))
            except BaseException as error:  # noqa: BLE001 - raised by whoever waits
                told.put(error)

        threading.Thread(target=exchange, name=f"{method} {path}", daemon=True).start()
        while True:
            try:
                got = told.get(timeout=patience)
            except Empty:
                raise self.silent(patience) from None
            if isinstance(got, BaseException):
                raise got
            if got is not None:
                return got

    def _exchange(
        self,
        method: str,
        path: str,
        body: object,
        query: Mapping[str, object] | None,
        timeout: float,
        progress: Callable[[], None],
    ) -> tuple[int, bytes]:
        connection, response = self.open(method, path, body=body, query=query, timeout=timeout)
        try:
            answer = bytearray()
            while piece := response.read(PIECE):
                answer += piece
                if len(answer) > LARGEST_ANSWER:
                    raise self.strange(f"{response.status} and more than {LARGEST_ANSWER >> 20} MiB")
                if len(piece) == PIECE:
                    progress()
            if response.length:
                raise http.client.IncompleteRead(bytes(answer[:0]), response.length)
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(error, sent=True) from None
        finally:
            response.close()
            connection.close()
        if not 200 <= response.status < 300:
            raise self.refusal(response, bytes(answer))
        return response.status, bytes(answer)

    def open(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float,
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Send the request and read the head of the answer, whatever its status. The caller closes both."""
        connection = self._connection(timeout)
        given = {k: v for k, v in (query or {}).items() if v is not None}
        line = self._url.path + path + (f"?{urlencode(given)}" if given else "")
        fields = {"Accept": "application/json", **(headers or {})}
        if self.target.token:
            fields["Authorization"] = f"Bearer {self.target.token}"
        document = None
        if body is not None:
            document = body if isinstance(body, bytes) else codec.encode(body)
            if len(document) > LARGEST_BODY:
                raise ProblemError(too_large(len(document)))
            fields["Content-Type"] = "application/json"
        sent = False
        try:
            connection.connect()
            sent = True
            connection.request(method, line, body=document, headers=fields)
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException, ValueError) as error:
            # a head that is no number where one has to be is a ValueError
            connection.close()
            raise self._lost(error, sent=sent) from None
        except BaseException:
            connection.close()
            raise

    def refusal(self, response: http.client.HTTPResponse, answer: bytes) -> ProblemError | StrangeAnswerError:
        """What an answer that is none of the good ones means: a refusal, if it is a problem as our backends tell it."""
        problem = codec.decode_problem(answer)
        if problem is not None and response.status >= 400:
            return ProblemError(problem)
        return self.strange(f"{response.status} {response.reason}".rstrip())

    def strange(self, answered: str) -> StrangeAnswerError:
        """It answers, and as none of our backends does."""
        return StrangeAnswerError(
            f"the backend at {self.target} answered {answered}",
            hint="is it a Foundry backend of this version? see: foundry doctor",
            sent=True,
        )

    def silent(self, seconds: float) -> UnreachableError:
        """It was waited for in vain."""
        return UnreachableError(
            f"the backend at {self.target} did not answer within {seconds:g} s", hint=self.hint, sent=True, silent=True
        )

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self.target.uds is not None:
            return _UnixConnection(self.target.uds, timeout)
        host, port = self._url.hostname or "", self._url.port
        if not self.target.is_tls:
            return http.client.HTTPConnection(host, port, timeout=timeout)
        if self._trust is None:
            from foundry_tui.client.tls import trust

            self._trust = trust(self.target.ca_file, pinned=self.target.pinned)
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=self._trust)

    def _lost(self, error: Exception, *, sent: bool) -> UnreachableError:
        hint = self.hint
        if self.target.is_tls:
            from foundry_tui.client.tls import trouble_of

            if (trouble := trouble_of(error)) is not None:
                return UnreachableError(f"{trouble.what} ({self.target})", hint=trouble.hint, sent=sent)
        if isinstance(error, TimeoutError):
            return UnreachableError(f"the backend at {self.target} does not answer", hint=hint, sent=sent, silent=True)
        if sent:
            what = f"the backend at {self.target} did not answer to the end"
            if self.target.uds is None and not self.target.is_tls:
                hint = f"if it speaks TLS, name it as {self.target.base_url.replace('http', 'https', 1)}"
        elif isinstance(error, FileNotFoundError):
            what = f"no backend at {self.target}: there is no such socket"
        elif isinstance(error, ConnectionRefusedError):
            what = f"no backend at {self.target}: nothing listens there"
        elif isinstance(error, PermissionError):
            what = f"the backend at {self.target} is not ours to talk to"
        else:
            what = f"no connection to the backend at {self.target}"
        reason = "" if isinstance(error, FileNotFoundError | ConnectionRefusedError) else f" ({_told(error)})"
        absent = not sent and isinstance(error, FileNotFoundError | ConnectionRefusedError)
        return UnreachableError(what + reason, hint=hint, sent=sent, absent=absent)


def _told(error: Exception) -> str:
    """What went wrong, on one line: junk that came in the place of an answer is not repeated at length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 100 else f"{text[:99]}…"


def segment(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe="")
