"""Has requests that are about another host's task answered there, whichever host they came to."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message

from backend_stub.domain.errors import RefusedError
from backend_stub.domain.hosts import Answered, Asked
from backend_stub.repository.location import is_repo_id
from backend_stub.server.backend import Backend
from foundry_tui.contract.codec import decode, decode_problem
from foundry_tui.contract.hosts import HostState
from foundry_tui.contract.problems import NOT_KNOWN
from foundry_tui.contract.repositories import is_remote

Handler = Callable[[Request], Awaitable[Response]]

HANDED_OVER = "handed_over"
"""In the state of a request's scope: it came from another host, and is answered here."""
_IDS = ("task_id", "session_id", "permission_id", "operation_id")
_TOLD = ("content-type", "content-disposition", "retry-after", "etag")
"""Headers of an answer that are its own, and not of the connection that it came by."""


class Place(msgspec.Struct):
    """What a request for a new task says of where it is to be; whatever else it says is for the host to judge."""

    host: Any = None
    repo: Any = None
    provider: Any = None


class HandingOver:
    """Stands before the handlers of what has to happen on a task's host."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._hosts = backend.hosts

    def about_a_task(self, handler: Handler) -> Handler:
        """The handler, asked where the task is that the path names, itself or by one of its ids."""

        async def handle(request: Request) -> Response:
            key = next(request.path_params[name] for name in _IDS if name in request.path_params)
            host = None if came_over(request) else await self._hosts.host_of(key)
            if host is None or self._hosts.has(host):
                return await handler(request)
            if (answer := await self._ask(host, request)) is not None:
                return answer
            if request.method in ("GET", "HEAD"):
                await self._refuse_what_is_there(key, host)
            return await handler(request)

        return handle

    def about_a_new_task(self, handler: Handler) -> Handler:
        """The handler, asked where the task is to be."""

        async def handle(request: Request) -> Response:
            if came_over(request):
                return await handler(request)
            host = await self._chosen(await request.body())
            if host is None or self._hosts.has(host):
                return await handler(request)
            if (answer := await self._ask(host, request)) is None:
                raise RefusedError(503, f"The host {host} is away. Choose another, or try again when it is back.")
            return answer

        return handle

    async def _chosen(self, body: bytes) -> str | None:
        """The host that the body asks for, or the one to choose; None: it is to be judged here."""
        try:
            place = decode(body, Place)
        except msgspec.DecodeError:
            return None
        if place.host is not None:
            asked_for = (each for each in await self._hosts.all() if place.host in (each.name, each.host_id))
            host = next(asked_for, None)
            if host is not None and host.state is HostState.DRAINING:
                raise RefusedError(
                    503, f"The host {host.name} is stopping. Choose another, or try again when it is back."
                )
            return None if host is None else host.name
        if self._hosts.is_alone():
            return None
        path = place.repo if isinstance(place.repo, str) and not is_remote(place.repo) else None
        if path is not None and is_repo_id(path):
            repo = await self._backend.storage.repo(path)
            path = repo.path if repo is not None else None
        provider = place.provider if isinstance(place.provider, str) else None
        return self._hosts.roomiest(provider, path)

    async def _ask(self, host: str, request: Request) -> Response | None:
        target = request.scope["raw_path"].decode("latin-1")
        if query := request.scope["query_string"].decode("latin-1"):
            target = f"{target}?{query}"
        answered = await self._hosts.ask(host, Asked(request.method, target, await request.body()))
        if answered is None:
            return None
        refusal = decode_problem(answered.body) if answered.status in (404, 405) else None
        if refusal is not None and refusal.status == NOT_KNOWN:
            raise RefusedError(
                NOT_KNOWN,
                f"The host {host} is of an earlier version that does not know this. Nothing was done. Upgrade it, then "
                "try again.",
            )
        return Response(answered.body, answered.status, answered.headers)

    async def _refuse_what_is_there(self, task_id: str, host: str) -> None:
        """Raises `RefusedError` when only the lost host could tell."""
        task = await self._backend.storage.task(task_id)
        provider = self._backend.providers.get(task.provider) if task is not None else None
        if provider is None or provider.bound:
            raise RefusedError(503, f"The host {host}, which has the task's sandbox, is away. Try again later.")


def answering(app: ASGIApp) -> Callable[[Asked], Awaitable[Answered]]:
    """Answers what another host asks, as the application would answer it to a client."""

    async def answer(asked: Asked) -> Answered:
        raw_path, _, query = asked.target.partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": asked.method,
            "scheme": "http",
            "path": unquote(raw_path),
            "raw_path": raw_path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "root_path": "",
            "headers": [(b"content-type", b"application/json")],
            "state": {HANDED_OVER: True},
            "request_id": None,
        }
        status, headers, pieces = 500, {}, []
        is_read = False

        async def receive() -> Message:
            nonlocal is_read
            if is_read:
                # Whoever sends an answer in pieces asks meanwhile whether somebody hangs up, which nobody does.
                await anyio.sleep_forever()
            is_read = True
            return {"type": "http.request", "body": asked.body, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status = message["status"]
                told = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
                headers = {name: value for name, value in told.items() if name in _TOLD}
            else:
                pieces.append(message.get("body", b""))

        # What fails unforeseen is raised once more when it has been logged and answered.
        with suppress(Exception):
            await app(scope, receive, send)
        return Answered(status, headers, b"".join(pieces))

    return answer


def came_over(request: Request) -> bool:
    """Whether another host asks it."""
    return HANDED_OVER in request.scope.get("state", {})
