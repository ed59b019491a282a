"""One blocking request to the backend at a time: what commands that live for a moment need.

The app speaks through `Api`, on an event loop, for which a command that asks once has no use.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

import msgspec

from foundry_tui.client.connection import LARGEST_ANSWER, ORDERED, Target, make_blocking_http
from foundry_tui.client.errors import ProblemError, StrangeAnswerError, UnreachableError
from foundry_tui.contract import codec
from foundry_tui.contract.attachments import body_limit
from foundry_tui.contract.problems import too_large

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")


ANSWER_SECONDS = 4.0
"""How long an answer may take. A POST is answered after one commit, so this is generous."""
OWN_SECONDS = 6.0
"""The same for our own backend, with which this machine may be busy."""
PIECE = 65_536
"""Bytes of an answer for which the waiting begins anew, so that a long one may take its time and a drip may not."""
HEALTH = "/v1/health"
"""What any backend answers at once, whatever else it is at."""


class BlockingClient:
    """A backend to send requests to. Each request has a connection of its own."""

    def __init__(self, target: Target, *, hint: str = "", patience: float | None = None) -> None:
        self.target = target
        self.hint = hint
        """What to do when this backend does not answer."""
        self.patience = ANSWER_SECONDS if patience is None else patience
        """Seconds that an answer may take where a request does not say."""

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
        at_work: float | None = None,
    ) -> tuple[bytes, T]:
        """The answer as it came and decoded; waits as `send` does, and raises as `call` does."""
        status, answer = self.send(method, path, body=body, query=query, timeout=timeout, at_work=at_work)
        try:
            return answer, codec.decode(answer, type_)
        except msgspec.DecodeError as error:
            raise self.strange(f"{status} with something else than expected: {error}") from None

    def order(self, method: str, path: str, *, body: object = None) -> None:
        """Have something done that is answered by its status alone; raises as `call` does."""
        status, _ = self.send(method, path, body=body)
        if status not in ORDERED:
            raise self.strange(f"{status} to what was to be done")

    def send(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, object] | None = None,
        timeout: float | None = None,
        at_work: float | None = None,
        media: str | None = None,
    ) -> tuple[int, bytes]:
        """Status and body of a good answer, which has to be of the type `media`; raises as `call` does.

        What the backend makes while we wait may take `at_work` seconds, as long as it answers other requests in the
        usual time: that it hangs is known as soon as of any other.

        The exchange runs on a thread, which is left behind when its time is over: no time-out of a socket ends what
        comes byte by byte, nor a name that is looked up without end.
        """
        patience = at_work or (self.patience if timeout is None else timeout)
        # making it takes time that is not the backend's
        http = make_blocking_http(self.target, patience)
        told: SimpleQueue[tuple[int, bytes] | BaseException | None] = SimpleQueue()

        def exchange() -> None:
            try:
                told.put(self._exchange(http, method, path, body, query, media, lambda: told.put(None)))
            except BaseException as error:  # noqa: BLE001 - raised by whoever waits
                told.put(error)

        threading.Thread(target=exchange, name=f"{method} {path}", daemon=True).start()
        # the first look and its answer are within the usual time
        look = patience if at_work is None else self.patience / 4
        until = time.monotonic() + patience
        while True:
            try:
                got = told.get(timeout=max(0.0, min(look, until - time.monotonic())))
            except Empty:
                if time.monotonic() >= until:
                    raise self.silent(patience) from None
                self._look(self.patience - look)
                look = self.patience / 2
                continue
            if isinstance(got, BaseException):
                raise got
            if got is not None:
                return got
            until = time.monotonic() + patience

    def _look(self, patience: float) -> None:
        """Raises as `call` does where the backend does not answer at all any more."""
        with suppress(ProblemError):
            self.send("GET", HEALTH, timeout=patience)

    def _exchange(
        self,
        http: "httpx.Client",
        method: str,
        path: str,
        body: object,
        query: Mapping[str, object] | None,
        media: str | None,
        progress: Callable[[], None],
    ) -> tuple[int, bytes]:
        with self._answer(http, method, path, body, query, {}) as response:
            answer = bytearray()
            waited_for = PIECE
            for piece in response.iter_bytes():
                answer += piece
                if len(answer) > LARGEST_ANSWER:
                    raise self.strange(f"{response.status_code} and more than {LARGEST_ANSWER >> 20} MiB")
                if len(answer) >= waited_for:
                    waited_for = len(answer) + PIECE
                    progress()
        if not response.is_success:
            raise self.refusal(response, bytes(answer))
        found = response.headers.get("content-type", "")
        if media is not None and found.partition(";")[0].strip().lower() != media:
            raise self.strange(f"{response.status_code} with {_told(found) or 'nothing'} in the place of {media}")
        return response.status_code, bytes(answer)

    def open(
        self, path: str, *, query: Mapping[str, object], headers: Mapping[str, str], timeout: float
    ) -> "AbstractContextManager[httpx.Response]":
        """Ask for what lies at `path`; the answer, whatever its status, its body still to be read.

        `timeout` is the seconds of silence after which it is given up. Raises `UnreachableError` when none comes, also
        where its body breaks while it is read.
        """
        return self._answer(make_blocking_http(self.target, timeout), "GET", path, None, query, headers)

    @contextmanager
    def _answer(
        self,
        http: "httpx.Client",
        method: str,
        path: str,
        body: object,
        query: Mapping[str, object] | None,
        headers: Mapping[str, str],
    ) -> "Iterator[httpx.Response]":
        import httpx

        fields = {"Accept": "application/json", **headers}
        document = None
        if body is not None:
            document = body if isinstance(body, bytes) else codec.encode(body)
            limit = body_limit(getattr(body, "attachments", None))
            if len(document) > limit:
                raise ProblemError(too_large(len(document), limit))
            fields["Content-Type"] = "application/json"
        params = {name: str(value) for name, value in (query or {}).items() if value is not None}
        try:
            with http, http.stream(method, path, params=params, content=document, headers=fields) as response:
                yield response
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._lost(error) from None

    def refusal(self, response: "httpx.Response", answer: bytes) -> ProblemError | StrangeAnswerError:
        """The error to raise for an answer that was not hoped for: a refusal, or that no backend of ours answers so."""
        problem = codec.decode_problem(answer)
        if problem is not None and response.is_error:
            return ProblemError(problem)
        return self.strange(f"{response.status_code} {response.reason_phrase}".rstrip())

    def strange(self, answered: str) -> StrangeAnswerError:
        """The error for an answer that no backend of ours gives."""
        return StrangeAnswerError(
            f"the backend at {self.target} answered {answered}",
            hint="is it a Foundry backend of this version? see: foundry doctor",
            sent=True,
        )

    def silent(self, seconds: float) -> UnreachableError:
        """The error for an answer that did not come in time."""
        return UnreachableError(
            f"the backend at {self.target} did not answer within {seconds:g} s", hint=self.hint, sent=True, silent=True
        )

    def _lost(self, error: Exception) -> UnreachableError:
        import httpx

        hint = self.hint
        sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.InvalidURL)
        reason = _system_error(error)
        if self.target.is_tls:
            from foundry_tui.client.tls import trouble_of

            if (trouble := trouble_of(error)) is not None:
                return UnreachableError(f"{trouble.what} ({self.target})", hint=trouble.hint, sent=sent)
        if isinstance(error, httpx.TimeoutException):
            return UnreachableError(f"the backend at {self.target} does not answer", hint=hint, sent=sent, silent=True)
        if sent:
            what = f"the backend at {self.target} did not answer to the end"
            if self.target.uds is None and not self.target.is_tls:
                hint = f"if it speaks TLS, name it as {self.target.base_url.replace('http', 'https', 1)}"
        elif isinstance(reason, FileNotFoundError):
            what = f"no backend at {self.target}: there is no such socket"
        elif isinstance(reason, ConnectionRefusedError):
            what = f"no backend at {self.target}: nothing listens there"
        elif isinstance(reason, PermissionError):
            what = f"the backend at {self.target} is not ours to talk to"
        else:
            what = f"no connection to the backend at {self.target}"
        absent = not sent and isinstance(reason, FileNotFoundError | ConnectionRefusedError)
        told = "" if absent else f" ({_told(str(error)) or type(error).__name__})"
        return UnreachableError(what + told, hint=hint, sent=sent, absent=absent)


def _system_error(error: BaseException | None) -> OSError | None:
    """What the system said, where that is what `error` or one of its causes is about."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def _told(said: str) -> str:
    """What was said, on one line: junk that came in the place of an answer is not repeated at length."""
    text = " ".join(said.split())
    return text if len(text) <= 100 else f"{text[:99]}…"


def segment(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe="")
