"""The backend's routes as calls: one method a route, decoded answers, two kinds of failure."""

from typing import TypeVar
from urllib.parse import quote

import anyio
import httpx
import msgspec

from foundry_tui.client.connection import LARGEST_ANSWER, ORDERED
from foundry_tui.client.errors import ProblemError, UnreachableError
from foundry_tui.contract import codec
from foundry_tui.contract.attachments import body_limit
from foundry_tui.contract.checkpoints import BASE, CheckpointList
from foundry_tui.contract.memory import MemoryReport
from foundry_tui.contract.operations import StartOperation
from foundry_tui.contract.problems import Problem, too_large
from foundry_tui.contract.pull_request import CommentList
from foundry_tui.contract.questions import Permission
from foundry_tui.contract.records import Health, Operation, Prompt, Repo, SessionDetail, SessionSummary, TaskDetail
from foundry_tui.contract.requests import (
    AddRepo,
    AgentList,
    AnswerPermission,
    BranchList,
    CreatePrompt,
    CreateSession,
    CreateTask,
    Diff,
    EditPrompt,
    FileList,
    HistoryPage,
    LogPage,
    PatchTask,
    ReleaseTask,
    RepoList,
    RepoSetup,
    RetryTask,
    SetOption,
    StopTurn,
    TasksSnapshot,
    TrustRepo,
)

T = TypeVar("T")

WHOLE_ANSWER = 60.0
"""Seconds that an answer may take to its end."""


async def body_of(answer: httpx.Response) -> bytes:
    """The body of an answer that is being read; raises `httpx.HTTPError` when it breaks, or has no end in sight."""
    document = bytearray()
    async for piece in answer.aiter_bytes():
        document += piece
        if len(document) > LARGEST_ANSWER:
            raise httpx.ReadError(f"more than {LARGEST_ANSWER >> 20} MiB came")
    return bytes(document)


def problem_of(status: int, body: bytes) -> Problem:
    """The problem that an error answer tells; 502 for an answer that is not from a backend of ours."""
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

    Every method raises `ProblemError` when the backend refuses and `UnreachableError` when no answer came.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def create(self, request: CreateTask) -> TaskDetail:
        """The new task, or the one that this id made before."""
        return await self._call("POST", "/v1/tasks", TaskDetail, request)

    async def tasks(self) -> TasksSnapshot:
        """All tasks and repositories, as of one moment."""
        return await self._call("GET", "/v1/tasks", TasksSnapshot)

    async def ended_before(self, task_id: str, limit: int) -> TasksSnapshot:
        """The newest `limit` ended tasks that are older than this one; 404 when there is no such task."""
        return await self._call("GET", "/v1/tasks", TasksSnapshot, params={"before": task_id, "limit": str(limit)})

    async def find_tasks(self, query: str, before: str | None, limit: int) -> TasksSnapshot:
        """The newest `limit` of all tasks that the filter holds for, of those older than `before` if it is given."""
        params = {"filter": query, "limit": str(limit), **({} if before is None else {"before": before})}
        return await self._call("GET", "/v1/tasks", TasksSnapshot, params=params)

    async def task(self, task_id: str) -> TaskDetail:
        return await self._call("GET", f"/v1/tasks/{_part(task_id)}", TaskDetail)

    async def patch(self, task_id: str, request: PatchTask) -> TaskDetail:
        return await self._call("PATCH", f"/v1/tasks/{_part(task_id)}", TaskDetail, request)

    async def retry(self, task_id: str, request: RetryTask | None = None) -> None:
        """Go on from the stage that failed, or after the turn that did."""
        await self._order("POST", f"/v1/tasks/{_part(task_id)}/retry", request)

    async def archive(self, task_id: str, request: ReleaseTask) -> None:
        await self._order("POST", f"/v1/tasks/{_part(task_id)}/archive", request)

    async def kill(self, task_id: str, request: ReleaseTask) -> None:
        await self._order("POST", f"/v1/tasks/{_part(task_id)}/kill", request)

    async def restart_agent(self, task_id: str) -> None:
        """End the task's agent, with the turns that run, and begin it anew."""
        await self._order("POST", f"/v1/tasks/{_part(task_id)}/restart-agent")

    async def prune(self, task_id: str) -> None:
        """Forget an archived or killed task for good."""
        await self._order("DELETE", f"/v1/tasks/{_part(task_id)}")

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

    async def diff(self, task_id: str, since: str = BASE, newer: int | None = None) -> Diff:
        """What differs since the base, the last prompt or a checkpoint, as it was compared last; it is compared anew
        behind the answer. `newer`: wait for one of a later `computed_at`.
        """
        params = {"since": since} if newer is None else {"since": since, "newer": str(newer)}
        return await self._call("GET", f"/v1/tasks/{_part(task_id)}/diff", Diff, params=params)

    async def checkpoints(self, task_id: str) -> CheckpointList:
        return await self._call("GET", f"/v1/tasks/{_part(task_id)}/checkpoints", CheckpointList)

    async def review_comments(self, task_id: str) -> CommentList:
        """What reviewers said about the task's pull request."""
        return await self._call("GET", f"/v1/tasks/{_part(task_id)}/comments", CommentList)

    async def task_files(self, task_id: str, newer: int | None = None) -> FileList:
        """The files of the task's sandbox as they are known; `newer`: wait for a list of a later `computed_at`."""
        return await self._files(f"/v1/tasks/{_part(task_id)}/files", newer)

    async def repo_files(self, repo_id: str, newer: int | None = None) -> FileList:
        """The files that a new task of the repository would have, in the same way."""
        return await self._files(f"/v1/repos/{_part(repo_id)}/files", newer)

    async def _files(self, path: str, newer: int | None) -> FileList:
        return await self._call("GET", path, FileList, params={} if newer is None else {"newer": str(newer)})

    async def operate(self, task_id: str, request: StartOperation) -> Operation:
        """Have something done with the task's work; the same operation_id again changes nothing."""
        return await self._call("POST", f"/v1/tasks/{_part(task_id)}/operations", Operation, request)

    async def cancel_operation(self, operation_id: str) -> Operation:
        return await self._call("POST", f"/v1/operations/{_part(operation_id)}/cancel", Operation)

    async def add_session(self, task_id: str, request: CreateSession) -> SessionSummary:
        return await self._call("POST", f"/v1/tasks/{_part(task_id)}/sessions", SessionSummary, request)

    async def session(self, session_id: str) -> SessionDetail:
        return await self._call("GET", f"/v1/sessions/{_part(session_id)}", SessionDetail)

    async def close_session(self, session_id: str) -> None:
        await self._order("DELETE", f"/v1/sessions/{_part(session_id)}")

    async def stop(self, session_id: str, *, hold: bool = False) -> None:
        """Stop the running turn; with `hold` what waits is not handed over then."""
        await self._order("POST", f"/v1/sessions/{_part(session_id)}/stop", StopTurn(hold=hold))

    async def go_on(self, session_id: str) -> None:
        """Hand over what waits and was held."""
        await self._order("POST", f"/v1/sessions/{_part(session_id)}/go-on")

    async def prompt(self, session_id: str, request: CreatePrompt) -> Prompt:
        return await self._call("POST", f"/v1/sessions/{_part(session_id)}/prompts", Prompt, request)

    async def edit_prompt(self, session_id: str, prompt_id: str, request: EditPrompt) -> Prompt:
        """Replace the text of a queued prompt; 409 when it is queued no longer."""
        return await self._call("PATCH", _prompt_path(session_id, prompt_id), Prompt, request)

    async def withdraw_prompt(self, session_id: str, prompt_id: str) -> Prompt:
        """Take a queued prompt back; 409 when it is queued no longer."""
        return await self._call("DELETE", _prompt_path(session_id, prompt_id), Prompt)

    async def set_option(self, session_id: str, option_id: str, request: SetOption) -> SessionSummary:
        """Set an option that the session's agent offers; 422 when it cannot have this value."""
        path = f"/v1/sessions/{_part(session_id)}/options/{_part(option_id)}"
        return await self._call("POST", path, SessionSummary, request)

    async def answer(self, permission_id: str, request: AnswerPermission) -> Permission:
        return await self._call("POST", f"/v1/permissions/{_part(permission_id)}", Permission, request)

    async def repos(self) -> RepoList:
        return await self._call("GET", "/v1/repos", RepoList)

    async def add_repo(self, request: AddRepo) -> Repo:
        return await self._call("POST", "/v1/repos", Repo, request)

    async def repo_setup(self, repo_id: str) -> RepoSetup:
        """What the repository's `.foundry/` would run, to be read before it is trusted."""
        return await self._call("GET", f"/v1/repos/{_part(repo_id)}/setup", RepoSetup)

    async def trust(self, repo_id: str, digest: str) -> Repo:
        """Let the repository's set-up run, as it was shown."""
        return await self._call("POST", f"/v1/repos/{_part(repo_id)}/trust", Repo, TrustRepo(digest=digest))

    async def branches(self, repo_id: str) -> BranchList:
        return await self._call("GET", f"/v1/repos/{_part(repo_id)}/branches", BranchList)

    async def agents(self) -> AgentList:
        return await self._call("GET", "/v1/agents", AgentList)

    async def memory(self, task_id: str) -> MemoryReport:
        """What the task's agents take now."""
        return await self._call("GET", "/v1/agents/memory", MemoryReport, params={"task": task_id})

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
        _, answer = await self._exchange(method, path, body, params)
        try:
            return codec.decode(answer, type_)
        except msgspec.DecodeError as error:
            problem = Problem(
                status=502,
                title="Unreadable answer",
                detail=f"The backend's answer to {method} {path} is not: {error}.",
            )
            raise ProblemError(problem) from error

    async def _order(self, method: str, path: str, body: msgspec.Struct | None = None) -> None:
        """Have something done that is answered by its status alone."""
        status, answer = await self._exchange(method, path, body)
        if status not in ORDERED:
            raise ProblemError(problem_of(status, answer))

    async def _exchange(
        self, method: str, path: str, body: msgspec.Struct | None = None, params: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of a good answer."""
        content = None if body is None else await _document(body)
        headers = None if body is None else {"Content-Type": "application/json"}
        try:
            # the transport's own time-outs end no answer that comes byte by byte
            with anyio.fail_after(WHOLE_ANSWER):
                async with self.http.stream(method, path, params=params, content=content, headers=headers) as answer:
                    document = await body_of(answer)
        except TimeoutError as error:
            raise UnreachableError("the backend did not answer in time", sent=True) from error
        except httpx.HTTPError as error:
            untouched = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
            raise UnreachableError(reason_of(error), sent=not untouched) from error
        if answer.is_success:
            return answer.status_code, document
        raise ProblemError(problem_of(answer.status_code, document))


async def _document(body: msgspec.Struct) -> bytes:
    attachments = getattr(body, "attachments", None)
    try:
        # Megabytes, perhaps, of which nothing else is to wait for the encoding.
        document = await anyio.to_thread.run_sync(codec.encode, body) if attachments else codec.encode(body)
    except UnicodeEncodeError as error:
        detail = f"This cannot be sent, because it is no text: {error.object.encode('utf-8', 'replace').decode()}"
        raise ProblemError(Problem(status=422, title="No text", detail=detail)) from error
    limit = body_limit(attachments)
    if len(document) > limit:
        raise ProblemError(too_large(len(document), limit))
    return document


def _prompt_path(session_id: str, prompt_id: str) -> str:
    return f"/v1/sessions/{_part(session_id)}/prompts/{_part(prompt_id)}"


def _part(id_: str) -> str:
    """An id as one part of a path, whatever a person typed."""
    return quote(id_, safe="")
