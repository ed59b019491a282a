"""The routes of version 1: each decodes, calls, encodes."""

import errno
import logging
import os
from collections.abc import Awaitable, Callable
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from backend_stub.domain.errors import (
    TITLES,
    HostLostError,
    OutcomeUnknownError,
    RefusedError,
    StaleRevisionError,
    StorageUnavailableError,
    TaskElsewhereError,
    not_found,
    wrong_values,
)
from backend_stub.domain.events import Snapshot
from backend_stub.server.backend import Backend
from backend_stub.server.handing_over import HandingOver, answering, came_over
from backend_stub.server.metrics import Metrics
from backend_stub.server.patches import patch_answer
from backend_stub.server.protocol import CUT, WHY
from backend_stub.server.requests import Nothing, newer_than, number, read_body, read_tagged
from backend_stub.server.streams import in_slices
from foundry_tui.contract import requests as bodies
from foundry_tui.contract.checkpoints import BASE
from foundry_tui.contract.codec import decode, encode
from foundry_tui.contract.events import TASKS, Topic, TopicKind
from foundry_tui.contract.hosts import HostList
from foundry_tui.contract.operations import OPERATIONS
from foundry_tui.contract.problems import NO_METHOD, NO_ROUTE, PROBLEM_TYPE, Problem
from foundry_tui.contract.pull_request import CommentList
from foundry_tui.contract.records import SessionDetail
from foundry_tui.contract.status import LOG_STAGES

logger = logging.getLogger(__name__)

MOST_EVENTS = 10_000
"""History events or stage log lines in one answer; `after` pages on."""
MOST_STREAMS = 1_000
"""Event streams open at once, far more than people open and fewer than a process has descriptors."""

_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EAGAIN})
Handler = Callable[[Request], Awaitable[Response]]
_OF_A_SANDBOX = frozenset(f"/v1/tasks/{{task_id}}/{what}" for what in ("diff", "checkpoints", "comments", "files"))
"""What is read where the sandbox is."""


def json_answer(value: object, status: int = 200) -> Response:
    return Response(encode(value), status, media_type="application/json")


def document_answer(document: bytes) -> Response:
    return Response(document, media_type="application/json")


def _problem(request: Request, problem: Problem, headers: dict[str, str] | None = None) -> Response:
    told = Problem(
        status=problem.status,
        title=problem.title,
        detail=problem.detail,
        errors=problem.errors,
        would_lose=problem.would_lose,
        request_id=request.scope.get("request_id"),
    )
    return Response(encode(told), problem.status, headers, media_type=PROBLEM_TYPE)


class Routes:
    """The handlers, over one backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._handing_over = HandingOver(backend)

    def routes(self) -> list[Route]:
        table: list[tuple[str, str, Handler]] = [
            ("POST", "/v1/tasks", self.create_task),
            ("GET", "/v1/tasks", self.list_tasks),
            ("GET", "/v1/tasks/{task_id}", self.task),
            ("PATCH", "/v1/tasks/{task_id}", self.patch_task),
            ("DELETE", "/v1/tasks/{task_id}", self.prune_task),
            ("POST", "/v1/tasks/{task_id}/retry", self.retry),
            ("POST", "/v1/tasks/{task_id}/archive", self.archive),
            ("POST", "/v1/tasks/{task_id}/kill", self.kill),
            ("GET", "/v1/tasks/{task_id}/history", self.task_history),
            ("GET", "/v1/tasks/{task_id}/log", self.log),
            ("GET", "/v1/tasks/{task_id}/diff", self.diff),
            ("GET", "/v1/tasks/{task_id}/checkpoints", self.checkpoints),
            ("GET", "/v1/tasks/{task_id}/comments", self.comments),
            ("POST", "/v1/tasks/{task_id}/operations", self.start_operation),
            ("POST", "/v1/operations/{operation_id}/cancel", self.cancel_operation),
            ("GET", "/v1/tasks/{task_id}/files", self.task_files),
            ("POST", "/v1/tasks/{task_id}/restart-agent", self.restart_agent),
            ("POST", "/v1/tasks/{task_id}/sessions", self.add_session),
            ("GET", "/v1/sessions/{session_id}", self.session),
            ("DELETE", "/v1/sessions/{session_id}", self.close_session),
            ("POST", "/v1/sessions/{session_id}/stop", self.stop),
            ("POST", "/v1/sessions/{session_id}/go-on", self.go_on),
            ("POST", "/v1/sessions/{session_id}/prompts", self.prompt),
            ("POST", "/v1/sessions/{session_id}/options/{option_id}", self.set_option),
            ("PATCH", "/v1/sessions/{session_id}/prompts/{prompt_id}", self.edit_prompt),
            ("DELETE", "/v1/sessions/{session_id}/prompts/{prompt_id}", self.withdraw_prompt),
            ("POST", "/v1/permissions/{permission_id}", self.answer),
            ("GET", "/v1/agents", self.agents),
            ("GET", "/v1/agents/memory", self.memory),
            ("GET", "/v1/hosts", self.hosts),
            ("GET", "/v1/repos", self.list_repos),
            ("POST", "/v1/repos", self.add_repo),
            ("GET", "/v1/repos/{repo_id}/branches", self.branches),
            ("GET", "/v1/repos/{repo_id}/files", self.repo_files),
            ("GET", "/v1/repos/{repo_id}/setup", self.repo_setup),
            ("POST", "/v1/repos/{repo_id}/trust", self.trust_repo),
            ("GET", "/v1/history", self.history),
            ("GET", "/v1/events", self.events),
            ("GET", "/v1/health", self.health),
            ("GET", "/v1/metrics", self.metrics),
        ]
        by_path: dict[str, dict[str, Handler]] = {}
        for method, path, handler in table:
            by_path.setdefault(path, {})[method] = self._at_its_host(method, path, handler)
        return [
            Route(path, _by_method(handlers), methods=list(handlers), include_in_schema=False)
            for path, handlers in by_path.items()
        ]

    def _at_its_host(self, method: str, path: str, handler: Handler) -> Handler:
        """The handler, asked at the host where it has to happen."""
        if (method, path) == ("POST", "/v1/tasks"):
            return self._handing_over.about_a_new_task(handler)
        changes = method != "GET" and not path.startswith("/v1/repos")
        if changes or path in _OF_A_SANDBOX:
            return self._handing_over.about_a_task(handler)
        return handler

    async def create_task(self, request: Request) -> Response:
        body = await read_body(request, bodies.CreateTask)
        with self._backend.metrics.creating():
            created = await self._backend.organization.create_task(body)
        return json_answer(created.task, 201 if created.new else 200)

    async def list_tasks(self, request: Request) -> Response:
        before, query = request.query_params.get("before"), request.query_params.get("filter")
        limit = number(request, "limit", bodies.NEWEST_ENDED, 1, bodies.NEWEST_ENDED)
        if query:
            return json_answer(await self._backend.organization.find(query, before or None, limit))
        if before:
            return json_answer(await self._backend.organization.ended_before(before, limit))
        if request.query_params.get("limit"):
            raise wrong_values(("limit", "Name the task that the page comes before, or a filter: ?before=, ?filter=."))
        pieces = (await self._snapshot(TASKS, "list of tasks")).pieces
        headers = {"content-length": str(sum(map(len, pieces)))}
        return StreamingResponse(in_slices(pieces), headers=headers, media_type="application/json")

    async def task(self, request: Request) -> Response:
        if came_over(request):
            # Another host tells that it is read there, from the rows.
            self._backend.read_elsewhere(await self._known_task(request))
            return Response(status_code=204)
        task = await self._backend.commands.task(request.path_params["task_id"])
        self._backend.work.look(task.task_id)
        return json_answer(task)

    async def patch_task(self, request: Request) -> Response:
        body = await read_body(request, bodies.PatchTask)
        return json_answer(await self._backend.commands.patch(request.path_params["task_id"], body))

    async def prune_task(self, request: Request) -> Response:
        await self._backend.commands.prune(request.path_params["task_id"])
        self._backend.work.forget(request.path_params["task_id"])
        self._backend.pull_requests.forget(request.path_params["task_id"])
        return Response(status_code=204)

    async def retry(self, request: Request) -> Response:
        body = await read_body(request, bodies.RetryTask, empty=b"{}")
        return json_answer(await self._backend.commands.retry(request.path_params["task_id"], body), 202)

    async def archive(self, request: Request) -> Response:
        return await self._end(request, archive=True)

    async def kill(self, request: Request) -> Response:
        return await self._end(request, archive=False)

    async def _end(self, request: Request, *, archive: bool) -> Response:
        body = await read_body(request, bodies.ReleaseTask, empty=b"{}")
        task = await self._backend.commands.end(request.path_params["task_id"], body, archive=archive)
        return json_answer(task, 202)

    async def task_history(self, request: Request) -> Response:
        task_id = await self._known_task(request)
        events = await self._backend.storage.history(
            task_id, number(request, "after", 0), number(request, "limit", MOST_EVENTS, 1, MOST_EVENTS)
        )
        return json_answer({"events": events})

    async def history(self, request: Request) -> Response:
        events = await self._backend.storage.history(
            None, number(request, "after", 0), number(request, "limit", MOST_EVENTS, 1, MOST_EVENTS)
        )
        return json_answer({"events": events})

    async def log(self, request: Request) -> Response:
        task_id = await self._known_task(request)
        stage = request.query_params.get("stage") or None
        if stage is not None and stage not in LOG_STAGES:
            raise wrong_values(("stage", f"A stage is one of {', '.join(LOG_STAGES)}."))
        after, limit = number(request, "after", -1, -1), number(request, "limit", MOST_EVENTS, 1, MOST_EVENTS)
        return json_answer({"lines": await self._backend.storage.lines(task_id, stage, after, limit)})

    async def diff(self, request: Request) -> Response:
        task = await self._backend.commands.task(request.path_params["task_id"])
        form, since = request.query_params.get("format", "json"), request.query_params.get("since", BASE)
        if form not in ("json", "patch"):
            raise wrong_values(("format", "A diff has the format json or patch."))
        if since != BASE:
            checkpoints = self._backend.checkpoints
            if form == "patch":
                return await patch_answer(partial(checkpoints.write_patch, task, since))
            return document_answer(await checkpoints.diff(task, since, newer_than(request)))
        if form == "patch":
            return await patch_answer(partial(self._backend.commands.write_patch, task))
        provider = self._backend.providers.get(task.provider)
        computed = await provider.diff(task, newer_than(request)) if provider is not None else None
        return json_answer(computed or bodies.Diff(files=()))

    async def checkpoints(self, request: Request) -> Response:
        task = await self._backend.commands.task(request.path_params["task_id"])
        return json_answer(await self._backend.checkpoints.all(task))

    async def comments(self, request: Request) -> Response:
        task_id = await self._known_task(request)
        return json_answer(CommentList(comments=tuple(await self._backend.pull_requests.comments(task_id))))

    async def start_operation(self, request: Request) -> Response:
        body = await read_tagged(request, "kind", OPERATIONS)
        return json_answer(await self._backend.operations.start(request.path_params["task_id"], body), 202)

    async def cancel_operation(self, request: Request) -> Response:
        await read_body(request, Nothing, empty=b"{}")
        return json_answer(await self._backend.operations.cancel(request.path_params["operation_id"]), 202)

    async def task_files(self, request: Request) -> Response:
        task = await self._backend.commands.task(request.path_params["task_id"])
        return document_answer(await self._backend.files.of_task(task, newer_than(request)))

    async def restart_agent(self, request: Request) -> Response:
        await read_body(request, Nothing, empty=b"{}")
        return json_answer(await self._backend.commands.restart_agent(request.path_params["task_id"]), 202)

    async def add_session(self, request: Request) -> Response:
        body = await read_body(request, bodies.CreateSession, empty=b"{}")
        return json_answer(await self._backend.commands.add_session(request.path_params["task_id"], body), 202)

    async def session(self, request: Request) -> Response:
        session_id = request.path_params["session_id"]
        snapshot = await self._snapshot(Topic(TopicKind.SESSION, session_id), f"session {session_id}")
        return json_answer(self._backend.commands.as_heard(decode(b"".join(snapshot.pieces), SessionDetail)))

    async def close_session(self, request: Request) -> Response:
        return json_answer(await self._backend.commands.close_session(request.path_params["session_id"]), 202)

    async def stop(self, request: Request) -> Response:
        body = await read_body(request, bodies.StopTurn, empty=b"{}")
        return json_answer(await self._backend.commands.stop(request.path_params["session_id"], hold=body.hold), 202)

    async def go_on(self, request: Request) -> Response:
        await read_body(request, Nothing, empty=b"{}")
        return json_answer(await self._backend.commands.go_on(request.path_params["session_id"]), 202)

    async def set_option(self, request: Request) -> Response:
        body = await read_body(request, bodies.SetOption)
        session_id, option_id = request.path_params["session_id"], request.path_params["option_id"]
        return json_answer(await self._backend.commands.set_option(session_id, option_id, body), 202)

    async def prompt(self, request: Request) -> Response:
        body = await read_body(request, bodies.CreatePrompt)
        return json_answer(await self._backend.commands.prompt(request.path_params["session_id"], body), 202)

    async def edit_prompt(self, request: Request) -> Response:
        body = await read_body(request, bodies.EditPrompt)
        session_id, prompt_id = request.path_params["session_id"], request.path_params["prompt_id"]
        return json_answer(await self._backend.commands.edit_prompt(session_id, prompt_id, body))

    async def withdraw_prompt(self, request: Request) -> Response:
        session_id, prompt_id = request.path_params["session_id"], request.path_params["prompt_id"]
        return json_answer(await self._backend.commands.withdraw_prompt(session_id, prompt_id))

    async def answer(self, request: Request) -> Response:
        body = await read_body(request, bodies.AnswerPermission)
        return json_answer(await self._backend.commands.answer(request.path_params["permission_id"], body))

    async def agents(self, request: Request) -> Response:
        return json_answer(await self._backend.agents.all())

    async def memory(self, request: Request) -> Response:
        task_id = request.query_params.get("task") or None
        if task_id is not None and not await self._backend.storage.events.has(Topic(TopicKind.TASK, task_id)):
            raise not_found(f"task {task_id}")
        return json_answer(await self._backend.memory(task_id))

    async def hosts(self, request: Request) -> Response:
        return json_answer(HostList(hosts=tuple(await self._backend.hosts.all())))

    async def list_repos(self, request: Request) -> Response:
        return json_answer({"repos": await self._backend.organization.repos()})

    async def add_repo(self, request: Request) -> Response:
        body = await read_body(request, bodies.AddRepo)
        repo, new = await self._backend.organization.add_repo(body)
        return json_answer(repo, 201 if new else 200)

    async def branches(self, request: Request) -> Response:
        repo_id = request.path_params["repo_id"]
        branches = await self._backend.organization.branches(repo_id)
        if branches is None:
            raise not_found(f"repository {repo_id}")
        return json_answer(bodies.BranchList(branches=branches))

    async def repo_files(self, request: Request) -> Response:
        repo_id = request.path_params["repo_id"]
        document = await self._backend.files.of_repo(repo_id, newer_than(request))
        if document is None:
            raise not_found(f"repository {repo_id}")
        return document_answer(document)

    async def repo_setup(self, request: Request) -> Response:
        repo_id = request.path_params["repo_id"]
        setup = await self._backend.organization.setup(repo_id)
        if setup is None:
            raise not_found(f"repository {repo_id}")
        return json_answer(setup)

    async def trust_repo(self, request: Request) -> Response:
        repo_id = request.path_params["repo_id"]
        body = await read_body(request, bodies.TrustRepo)
        repo = await self._backend.organization.trust(repo_id, body)
        if repo is None:
            raise not_found(f"repository {repo_id}")
        return json_answer(repo)

    async def events(self, request: Request) -> Response:
        text = request.query_params.get("topic")
        if text is None:
            raise wrong_values(("topic", "Name a topic: tasks, task:ID, session:ID or log:ID."))
        try:
            topic = Topic.parse(text)
        except ValueError as error:
            raise wrong_values(("topic", f"{error}.")) from None
        if not await self._backend.storage.events.has(topic):
            if topic.kind is TopicKind.TASK:
                raise not_found(f"task {topic.id}")
            raise wrong_values(("topic", f"There is nothing under the topic {text}."))
        if self._backend.hub.closed:
            # A stream that ended at once would be taken for a backend that is back.
            raise RefusedError(503, "The backend is stopping. Try again when it has been started.")
        if self._backend.hub.streams >= MOST_STREAMS:
            raise RefusedError(429, f"{MOST_STREAMS} streams are open already. Close some, or try again later.")
        if topic.kind is TopicKind.TASK:
            self._backend.work.look(topic.id)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        if request.method == "HEAD":
            return Response(headers=headers, media_type="text/event-stream")
        cut = request.scope.get("state", {}).get(CUT)
        frames = await self._backend.streams.open(topic, request.headers.get("last-event-id"), cut)
        if topic.kind is TopicKind.TASK:
            pulls = self._backend.pull_requests
            (pulls.look if "last-event-id" in request.headers else pulls.look_now)(topic.id)
            self._backend.far_readers.begin(topic.id)
        return StreamingResponse(frames, media_type="text/event-stream", headers=headers)

    async def health(self, request: Request) -> Response:
        return json_answer(await self._backend.health())

    async def metrics(self, request: Request) -> Response:
        backend = self._backend
        try:
            sessions = await backend.storage.sessions()
        except StorageUnavailableError:
            sessions = ()
        figures = backend.metrics.exposition(sessions, await backend.memory())
        return Response(figures, media_type=Metrics.content_type)

    async def _snapshot(self, topic: Topic, what: str) -> Snapshot:
        snapshot = await self._backend.storage.events.snapshot(topic)
        if snapshot is None:
            raise not_found(what)
        return snapshot

    async def _known_task(self, request: Request) -> str:
        task_id: str = request.path_params["task_id"]
        if not await self._backend.storage.events.has(Topic(TopicKind.TASK, task_id)):
            raise not_found(f"task {task_id}")
        return task_id


def _by_method(handlers: dict[str, Handler]) -> Handler:
    async def handle(request: Request) -> Response:
        if b"%2f" in request.scope["raw_path"].lower():
            # Decoded, it would have been taken for two parts of the path.
            raise not_found("such id: none has a slash in it")
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return handle


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return _problem(request, error.problem)


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = error.status_code
    detail = NO_ROUTE if status == 404 else NO_METHOD
    if status not in (404, 405):
        detail = error.detail
    title = TITLES.get(status, error.detail)
    return _problem(request, Problem(status=status, title=title, detail=detail), dict(error.headers or {}))


async def _unavailable(request: Request, error: Exception) -> Response:
    request.scope[WHY] = str(error)
    detail = f"Nothing was changed: {error}. Try again once that is mended."
    return _problem(request, Problem(status=503, title=TITLES[503], detail=detail), {"retry-after": "1"})


async def _unknown(request: Request, error: Exception) -> Response:
    request.scope[WHY] = str(error)
    again = "send the same again if it has an id of its own (task_id, operation_id …): then nothing is done twice"
    detail = f"It is not known whether this was done: {error}. Once that is mended, {again}. Without one, look first."
    return _problem(request, Problem(status=503, title=TITLES[503], detail=detail), {"retry-after": "1"})


def _named(request: Request) -> dict[str, object]:
    """What a line of the log says of its request."""
    return {"fields": {"request_id": request.scope["request_id"]}}


async def _exhausted(request: Request, error: Exception) -> Response:
    """This machine has no room, descriptors or memory: that passes, and is no defect of the backend."""
    assert isinstance(error, OSError)
    if error.errno not in _PASSING:
        return await _unforeseen(request, error)
    request.scope[WHY] = str(error)
    why = os.strerror(error.errno)
    detail = f"This machine has run out of something ({why}). Close what is not needed, then try again."
    return _problem(request, Problem(status=503, title=TITLES[503], detail=detail), {"retry-after": "1"})


async def _gone(request: Request, error: Exception) -> Response:
    # Nobody reads this any more; the client went away in the middle of its request.
    return Response(status_code=400)


async def _stale(request: Request, error: Exception) -> Response:
    # No refusal: asked once more, it may be done.
    detail = "The task was changed by somebody else at the same moment. Try again."
    return _problem(request, Problem(status=503, title=TITLES[503], detail=detail), {"retry-after": "1"})


async def _elsewhere(request: Request, error: Exception) -> Response:
    detail = f"This could not be done for now: {error}. Try again."
    return _problem(request, Problem(status=503, title=TITLES[503], detail=detail), {"retry-after": "1"})


async def _unforeseen(request: Request, error: Exception) -> Response:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error, extra=_named(request))
    detail = "The backend failed in an unforeseen way; its log says more under this request id."
    return _problem(request, Problem(status=500, title=TITLES[500], detail=detail))


def make_app(backend: Backend) -> Starlette:
    """The ASGI application, without the guard."""
    app = Starlette(
        routes=Routes(backend).routes(),
        exception_handlers={
            RefusedError: _refused,
            HTTPException: _no_route,
            StorageUnavailableError: _unavailable,
            OutcomeUnknownError: _unknown,
            StaleRevisionError: _stale,
            TaskElsewhereError: _elsewhere,
            HostLostError: _unknown,
            ClientDisconnect: _gone,
            OSError: _exhausted,
            Exception: _unforeseen,
        },
    )
    app.router.redirect_slashes = False
    backend.hosts.answer_with(answering(app))
    return app
