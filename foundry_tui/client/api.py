"""The backend's routes as calls: one method a route, decoded answers, two kinds of failure."""

from typing import TypeVar
from urllib.parse import quote

import httpx
import msgspec

from foundry_tui.contract import codec
from foundry_tui.contract.problems import Problem
from foundry_tui.contract.records import Health, Permission, Prompt, Repo, SessionDetail, SessionSummary, TaskDetail
from foundry_tui.contract.requests import (
    AddRepo,
    AnswerPermission,
    BranchList,
    CreatePrompt,
    CreateSession,
    CreateTask,
    Diff,
    HistoryPage,
    LogPage,
    PatchTask,
    ReleaseTask,
    RepoList,
    RetryTask,
    TasksSnapshot,
)

T = TypeVar("T")


class ApiProblem(Exception):  # noqa: N818
    """The backend answered, and refused; `problem.status` is the HTTP status."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail or problem.title)
        self.problem = problem


class Unreachable(Exception):  # noqa: N818
    """No answer came: nobody listens, or the connection was lost on the way.

    `maybe_done` is False when the request cannot have reached the backend, True when it may have been carried out.
    """

    def __init__(self, message: str, *, maybe_done: bool) -> None:
        super().__init__(message)
        self.maybe_done = maybe_done


def problem_of(status: int, body: bytes) -> Problem:
    """The problem of an error answer; one that is none is not the backend's word, and has status 502."""
    found = codec.decode_problem(body)
    if found is not None:
        return found
    text = " ".join(body[:200].decode("utf-8", "replace").split())
    detail = f"Something that is no Foundry backend answered HTTP {status}{': ' if text else '.'}{text}"
    return Problem(status=502, title=f"HTTP {status}", detail=detail)


def reason_of(error: Exception) -> str:
    """What went wrong on the way, in words; never the empty text that some transport errors carry."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        from foundry_tui.client.tls import trouble_of

        if (trouble := trouble_of(error)) is not None:
            return trouble.what
        return "nobody answers at the backend's address"
    if isinstance(error, httpx.TimeoutException):
        return "the backend did not answer in time"
    if isinstance(error, httpx.TransportError):
        return "the connection was lost"
    return str(error) or type(error).__name__


class Api:
    """The calls of the contract over an HTTP client.

    Every method raises `ApiProblem` when the backend refuses and `Unreachable` when no answer came.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def create(self, request: CreateTask) -> TaskDetail:
        """The new task, or the one that this id made before."""
        return await self._call("POST", "/v1/tasks", TaskDetail, request)

    async def tasks(self) -> TasksSnapshot:
        """All tasks and repositories, as of one moment."""
        return await self._call("GET", "/v1/tasks", TasksSnapshot)

    async def task(self, task_id: str) -> TaskDetail:
        return await self._call("GET", f"/v1/tasks/{_part(task_id)}", TaskDetail)

    async def patch(self, task_id: str, request: PatchTask) -> TaskDetail:
        return await self._call("PATCH", f"/v1/tasks/{_part(task_id)}", TaskDetail, request)

    async def retry(self, task_id: str, request: RetryTask | None = None) -> None:
        """Go on from the stage that failed, or after the turn that did."""
        await self._send("POST", f"/v1/tasks/{_part(task_id)}/retry", request)

    async def archive(self, task_id: str, request: ReleaseTask) -> None:
        await self._send("POST", f"/v1/tasks/{_part(task_id)}/archive", request)

    async def kill(self, task_id: str, request: ReleaseTask) -> None:
        await self._send("POST", f"/v1/tasks/{_part(task_id)}/kill", request)

    async def prune(self, task_id: str) -> None:
        """Forget an archived or killed task for good."""
        await self._send("DELETE", f"/v1/tasks/{_part(task_id)}")

    async def history(self, task_id: str | None = None, after: int = 0, limit: int = 200) -> HistoryPage:
        """Up to `limit` events with a seq above `after`, oldest first; of all tasks when `task_id` is None."""
        path = "/v1/history" if task_id is None else f"/v1/tasks/{_part(task_id)}/history"
        return await self._call("GET", path, HistoryPage, params={"after": str(after), "limit": str(limit)})

    async def log(self, task_id: str, stage: str | None = None, after: int | None = None) -> LogPage:
        """Stage log lines with an index above `after`, of one stage or of all."""
        params: dict[str, str] = {}
        if stage is not None:
            params["stage"] = stage
        if after is not None:
            params["after"] = str(after)
        return await self._call("GET", f"/v1/tasks/{_part(task_id)}/log", LogPage, params=params)

    async def diff(self, task_id: str) -> Diff:
        return await self._call("GET", f"/v1/tasks/{_part(task_id)}/diff", Diff)

    async def add_session(self, task_id: str, request: CreateSession) -> SessionSummary:
        return await self._call("POST", f"/v1/tasks/{_part(task_id)}/sessions", SessionSummary, request)

    async def session(self, session_id: str) -> SessionDetail:
        return await self._call("GET", f"/v1/sessions/{_part(session_id)}", SessionDetail)

    async def close_session(self, session_id: str) -> None:
        await self._send("DELETE", f"/v1/sessions/{_part(session_id)}")

    async def stop(self, session_id: str) -> None:
        """Stop the running turn."""
        await self._send("POST", f"/v1/sessions/{_part(session_id)}/stop")

    async def prompt(self, session_id: str, request: CreatePrompt) -> Prompt:
        return await self._call("POST", f"/v1/sessions/{_part(session_id)}/prompts", Prompt, request)

    async def answer(self, permission_id: str, request: AnswerPermission) -> Permission:
        return await self._call("POST", f"/v1/permissions/{_part(permission_id)}", Permission, request)

    async def repos(self) -> RepoList:
        return await self._call("GET", "/v1/repos", RepoList)

    async def add_repo(self, request: AddRepo) -> Repo:
        return await self._call("POST", "/v1/repos", Repo, request)

    async def branches(self, repo_id: str) -> BranchList:
        return await self._call("GET", f"/v1/repos/{_part(repo_id)}/branches", BranchList)

    async def health(self) -> Health:
        return await self._call("GET", "/v1/health", Health)

    async def _call(
        self,
        method: str,
        path: str,
        type_: type[T],
        body: msgspec.Struct | None = None,
        params: dict[str, str] | None = None,
    ) -> T:
        answer = await self._send(method, path, body, params)
        try:
            return codec.decode(answer, type_)
        except msgspec.DecodeError as error:
            problem = Problem(
                status=502,
                title="Unreadable answer",
                detail=f"The backend's answer to {method} {path} is not: {error}.",
            )
            raise ApiProblem(problem) from error

    async def _send(
        self, method: str, path: str, body: msgspec.Struct | None = None, params: dict[str, str] | None = None
    ) -> bytes:
        content = None if body is None else _document(body)
        headers = None if body is None else {"Content-Type": "application/json"}
        try:
            answer = await self.http.request(method, path, params=params, content=content, headers=headers)
        except httpx.HTTPError as error:
            untouched = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
            raise Unreachable(reason_of(error), maybe_done=not untouched) from error
        if answer.is_success:
            return answer.content
        raise ApiProblem(problem_of(answer.status_code, answer.content))


def _document(body: msgspec.Struct) -> bytes:
    try:
        return codec.encode(body)
    except UnicodeEncodeError as error:
        detail = f"This cannot be sent, because it is no text: {error.object.encode('utf-8', 'replace').decode()}"
        raise ApiProblem(Problem(status=422, title="No text", detail=detail)) from error


def _part(id_: str) -> str:
    """An id as one part of a path, whatever a person typed."""
    return quote(id_, safe="")
