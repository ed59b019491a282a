"""Who may talk to the backend, and how much at once: token, Host and Origin over TCP, sizes everywhere."""

import hmac
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend_stub.problems import TITLES
from foundry_tui.contract.codec import encode
from foundry_tui.contract.problems import PROBLEM_TYPE, Problem

BODY_LIMIT = 1024 * 1024


class _TooLargeError(Exception):
    """The body goes beyond `BODY_LIMIT`."""


class Guard:
    """ASGI middleware. `token` None: the socket's own permissions decide (Unix sockets)."""

    def __init__(self, app: ASGIApp, token: str | None, hosts: frozenset[str], request_id: Callable[[], str]) -> None:
        self._app = app
        self._token = token.encode() if token is not None else None
        self._hosts = hosts
        self._request_id = request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        request_id = self._request_id()
        scope["request_id"] = request_id
        refused = self._refuse(headers)
        if refused is not None:
            status, detail = refused
            await _answer(send, status, detail, request_id)
            return
        sent = False
        taken = 0

        async def receive_bounded() -> Message:
            nonlocal taken
            message = await receive()
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                if taken > BODY_LIMIT:
                    raise _TooLargeError
            return message

        async def send_noted(message: Message) -> None:
            nonlocal sent
            if message["type"] == "http.response.start":
                sent = True
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive_bounded, send_noted)
        except _TooLargeError:
            if not sent:
                await _answer(send, 413, f"A request's body can have at most {BODY_LIMIT} bytes.", request_id)

    def _refuse(self, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        if self._token is not None:
            host = headers.get(b"host", b"").decode("latin-1")
            if _host_name(host) not in self._hosts:
                return 403, "This backend does not answer under that host name."
            origin = headers.get(b"origin")
            if origin is not None and _host_name(urlsplit(origin.decode("latin-1")).netloc) not in self._hosts:
                return 403, "Web pages of other origins may not talk to this backend."
            scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
            if scheme.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self._token):
                return 401, "A token is needed: send it as a Bearer token."
        elif b"origin" in headers:
            return 403, "Web pages may not talk to this backend."
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length[:20]) > BODY_LIMIT:
            return 413, f"A request's body can have at most {BODY_LIMIT} bytes."
        return None


def _host_name(netloc: str) -> str:
    """The host without its port: `[::1]:80` is `::1`."""
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


async def _answer(send: Send, status: int, detail: str, request_id: str) -> None:
    body = encode(Problem(status=status, title=TITLES[status], detail=detail, request_id=request_id))
    headers = [
        (b"content-type", PROBLEM_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode()),
        (b"connection", b"close"),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
