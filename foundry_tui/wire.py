"""One blocking request to the backend at a time: what commands that live for a moment need, and fast to import.

The app speaks through `foundry_tui.client`; a command that asks once has no use for its event loop, whose
import alone takes longer than the request.
"""

import http.client
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from foundry_tui.client.connection import Target
from foundry_tui.contract import codec
from foundry_tui.contract.problems import Problem

if TYPE_CHECKING:
    import ssl

T = TypeVar("T")


class UnreachableError(Exception):
    """The backend cannot be reached; `hint` says what to do.

    `sent`: the request may have arrived all the same. `absent`: nothing listens there.
    """

    def __init__(self, message: str, *, hint: str = "", sent: bool = False, absent: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.sent = sent
        self.absent = absent


class StrangeAnswerError(UnreachableError):
    """Something answers, and not as a backend of our protocol does."""


class RefusedError(Exception):
    """The backend answered with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail or problem.title)
        self.problem = problem


ANSWER_SECONDS = 30.0
"""How long an answer may take. A POST is answered after one commit, so this is generous."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Link:
    """A backend to send requests to. Each request has a connection of its own."""

    def __init__(self, target: Target, *, hint: str = "") -> None:
        self.target = target
        self.hint = hint
        """What to do when this backend does not answer."""
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
        timeout: float = ANSWER_SECONDS,
    ) -> T:
        """Send `body` as JSON and decode the answer.

        Raises `RefusedError` for an error answer and `UnreachableError` when there is none.
        """
        status, answer = self.send(method, path, body=body, query=query, timeout=timeout)
        if type_ is type(None):
            return None
        try:
            return codec.decode(answer, type_)
        except msgspec.DecodeError as error:
            raise StrangeAnswerError(
                f"the backend at {self.target} answered {status} with something else than expected: {error}",
                hint="is it a Foundry backend of this version? see: foundry doctor",
                sent=True,
            ) from None

    def send(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, object] | None = None,
        timeout: float = ANSWER_SECONDS,
    ) -> tuple[int, bytes]:
        """Status and body of a good answer; raises as `call` does."""
        connection, response = self.open(method, path, body=body, query=query, timeout=timeout)
        try:
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(error, sent=True) from None
        finally:
            connection.close()
        if response.status >= 400:
            raise RefusedError(_problem(response, answer))
        return response.status, answer

    def open(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = ANSWER_SECONDS,
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Send the request and read the head of the answer, whatever its status. The caller closes the connection."""
        connection = self._connection(timeout)
        given = {k: v for k, v in (query or {}).items() if v is not None}
        line = self._url.path + path + (f"?{urlencode(given)}" if given else "")
        fields = {"Accept": "application/json", **(headers or {})}
        if self.target.token:
            fields["Authorization"] = f"Bearer {self.target.token}"
        document = None
        if body is not None:
            document = body if isinstance(body, bytes) else codec.encode(body)
            fields["Content-Type"] = "application/json"
        sent = False
        try:
            connection.connect()
            sent = True
            connection.request(method, line, body=document, headers=fields)
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._lost(error, sent=sent) from None
        except BaseException:
            connection.close()
            raise

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self.target.uds is not None:
            return _UnixConnection(self.target.uds, timeout)
        host, port = self._url.hostname or "", self._url.port
        if not self.target.is_tls:
            return http.client.HTTPConnection(host, port, timeout=timeout)
        if self._trust is None:
            from foundry_tui.client.tls import trust

            self._trust = trust(self.target)
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=self._trust)

    def _lost(self, error: Exception, *, sent: bool) -> UnreachableError:
        hint = self.hint
        if self.target.is_tls:
            from foundry_tui.client.tls import trouble_of

            if (trouble := trouble_of(error)) is not None:
                return UnreachableError(f"{trouble.what} ({self.target})", hint=trouble.hint, sent=sent)
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
        elif isinstance(error, TimeoutError):
            what = f"the backend at {self.target} does not answer"
        else:
            what = f"no connection to the backend at {self.target}"
        reason = "" if isinstance(error, FileNotFoundError | ConnectionRefusedError | TimeoutError) else f" ({error})"
        absent = not sent and isinstance(error, FileNotFoundError | ConnectionRefusedError)
        return UnreachableError(what + reason, hint=hint, sent=sent, absent=absent)


def _problem(response: http.client.HTTPResponse, answer: bytes) -> Problem:
    problem = codec.decode_problem(answer)
    if problem is not None:
        return problem
    return Problem(status=response.status, title=response.reason, detail=f"the backend answered {response.status}")


def segment(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe="")
