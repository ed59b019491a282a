"""Who may talk to the backend, and how much at once: token, Host and Origin over TCP, sizes everywhere."""

import asyncio
import hmac
import logging
import re
import time
from collections.abc import Callable
from urllib.parse import unquote_plus, urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend_stub.domain.errors import TITLES, RefusedError
from backend_stub.server.protocol import CUT, HEAD_LIMIT, HEAD_TOO_LARGE, KNOWN, WHY
from backend_stub.server.strangers import Strangers
from foundry_tui.contract.attachments import LARGEST_BODY_WITH_ATTACHMENTS
from foundry_tui.contract.codec import encode
from foundry_tui.contract.problems import LARGEST_BODY, PROBLEM_TYPE, Problem

logger = logging.getLogger(__name__)

_TAKES_ATTACHMENTS = re.compile(r"/v1/(?:tasks|sessions/[^/]+/prompts)")
"""The paths to which attachments can be posted."""
_LOGGED = 300
"""Characters of a request's path and query that the log keeps."""


def _limit_of_route(method: str, path: str) -> int:
    """Bytes that the body of such a request can have, whatever is in it; see `contract.attachments.body_limit`."""
    takes_attachments = method == "POST" and _TAKES_ATTACHMENTS.fullmatch(path)
    return LARGEST_BODY_WITH_ATTACHMENTS if takes_attachments else LARGEST_BODY


def _over_limit(most: int) -> str:
    return f"A request's body can have at most {most} bytes."


class Guard:
    """ASGI middleware: refuses strangers, bounds bodies, names every request and logs it.

    `token` None: the socket's own permissions decide who may talk (Unix sockets). `hosts` are the names under which
    the backend may be asked over TCP.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str | None,
        hosts: frozenset[str],
        request_id: Callable[[], str],
        strangers: Strangers | None = None,
    ) -> None:
        self._app = app
        self._token = token
        self._hosts = hosts
        self._request_id = request_id
        self._strangers = strangers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = self._request_id()
        scope["request_id"] = request_id
        taken, most = 0, _limit_of_route(scope["method"], scope["path"])
        status: int | None = None

        async def receive_bounded() -> Message:
            nonlocal taken
            message = await receive()
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                if taken > most:
                    raise RefusedError(413, _over_limit(most))
            return message

        async def send_unlogged(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        async def send_logged(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send_unlogged(message)
            # Once the answer, or the first of a stream, is on its way: nobody waits for the log.
            if message["type"] == "http.response.body" and status is not None:
                self._log(scope, status, time.perf_counter() - began)
                status = None

        refused = self._refuse(scope)
        send_named = send_logged
        if refused is not None and refused[0] in (401, 403) and self._strangers is not None:
            self._strangers.tell("requests without the token, or of another host or origin, were refused")
            send_named = send_unlogged
        elif (known := scope.get("state", {}).get(KNOWN)) is not None:
            known()
        try:
            if refused is not None:
                await _answer(send_named, *refused, request_id)
            else:
                await self._app(scope, receive_bounded, send_named)
        except asyncio.CancelledError:
            # The backend stops. What was asked for may be done all the same, so there is no answer: who asks again
            # by the same id learns which.
            if (cut := scope.get("state", {}).get(CUT)) is not None:
                cut()
            raise
        finally:
            if status is not None:
                self._log(scope, status, time.perf_counter() - began)

    def _refuse(self, scope: Scope) -> tuple[int, str] | None:
        """Status and detail of the refusal, or None."""
        headers = dict(scope["headers"])
        origins = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"origin"]
        if self._token is not None:
            host = headers.get(b"host", b"").decode("latin-1").lower()
            if _host_name(host) not in self._hosts:
                return 403, "This backend does not answer under that host name: it has to be told, with --allow-remote."
            if any(_authority(origin) != host for origin in origins):
                return 403, "Web pages of other origins may not talk to this backend."
            given = [value for name, value in scope["headers"] if name == b"authorization"]
            scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
            if scheme.lower() != b"bearer" or not hmac.compare_digest(token.strip(), self._token.encode()):
                return 401, "A token is needed: send it as a Bearer token."
        elif origins:
            return 403, "Web pages may not talk to this backend."
        head = len(scope["raw_path"]) + len(scope["query_string"])
        # the server takes more where all of it comes at once
        if head + sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > HEAD_LIMIT:
            return 431, HEAD_TOO_LARGE
        length = headers.get(b"content-length", b"0")
        most = _limit_of_route(scope["method"], scope["path"])
        if not length.isdigit() or len(length) > 18 or int(length) > most:
            return 413, _over_limit(most)
        return None

    def _log(self, scope: Scope, status: int, seconds: float) -> None:
        target = scope["path"]
        if scope["query_string"]:
            target = f"{target}?{unquote_plus(scope['query_string'].decode('latin-1'))}"
        fields = {"status": status, "ms": round(seconds * 1000, 1), "request_id": scope["request_id"]}
        if self._token is not None:
            # Before it is cut: no part of it is left either.
            target = target.replace(self._token, "…")
        if (why := scope.get(WHY)) is not None:
            fields[WHY] = why
        level = logging.INFO if why is None else logging.WARNING
        logger.log(level, "%s %s", scope["method"], target[:_LOGGED], extra={"fields": fields})


_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]+))(?::[0-9]{1,5})?")


def _host_name(authority: str) -> str:
    """The host without its port: `[::1]:80` is `::1`; nothing when it is anything else than host and port."""
    found = _HOST.fullmatch(authority)
    return (found[1] or found[2]) if found else ""


def _authority(origin: str) -> str | None:
    """Host and port of an origin, as the Host header has them; None when it is none."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


async def _answer(send: Send, status: int, detail: str, request_id: str) -> None:
    body = encode(Problem(status=status, title=TITLES[status], detail=detail, request_id=request_id))
    headers = [
        (b"content-type", PROBLEM_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
