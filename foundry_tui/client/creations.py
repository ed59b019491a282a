"""What a task looks like between the user's request and the backend's word: records made of the request."""

from enum import StrEnum
from pathlib import PurePath

from msgspec import Struct
from msgspec.structs import replace

from foundry_tui.client.task_defaults import TaskDefaults
from foundry_tui.contract.attachments import Attachment, told
from foundry_tui.contract.problems import Problem
from foundry_tui.contract.questions import PermissionPolicy
from foundry_tui.contract.records import (
    ErrorKind,
    Prompt,
    PromptState,
    Repo,
    SessionDetail,
    SessionStatus,
    SessionSummary,
    StageRecord,
    TaskDetail,
    TaskError,
)
from foundry_tui.contract.requests import CreateSession, CreateTask
from foundry_tui.contract.status import STAGES, TaskStatus

FIRST_SESSION = "main"
"""What the first session is called until the backend has named it."""


class CreationState(StrEnum):
    """`pending`: the backend has not answered yet. `refused`: it has, and will not; the user retries or discards."""

    PENDING = "pending"
    REFUSED = "refused"


class Creation(Struct, frozen=True, kw_only=True):
    """A task that the user asked for and that the backend has not confirmed.

    `request` has its task_id and session_id. `since` is when the user asked, in milliseconds since the epoch.
    `defaults` are what the request is still to be filled with, once the backend has told which provider it takes for
    it. `attachments` tell what goes with its prompt, which is kept apart from it. `problem` is why it was refused, or
    why it was put off the last time.
    """

    request: CreateTask
    state: CreationState
    since: int
    defaults: TaskDefaults | None = None
    attachments: tuple[Attachment, ...] = ()
    problem: Problem | None = None

    @property
    def task_id(self) -> str:
        return self.request.task_id or ""

    @property
    def session_id(self) -> str:
        return self.request.session_id or ""


def files_key(task_id: str) -> str:
    """Where, among the drafts, it is kept what files were attached to a creation, until that is settled."""
    return f"files:{task_id}"


def new_creation(request: CreateTask, since: int, defaults: TaskDefaults | None = None) -> Creation:
    """A creation that is asked for now."""
    return Creation(
        request=replace(request, attachments=()),
        state=CreationState.PENDING,
        since=since,
        defaults=defaults,
        attachments=tuple(map(told, request.attachments)),
    )


class RequestedSession(Struct, frozen=True, kw_only=True):
    """A session that the user asked for and that the backend has not confirmed: what is shown, and the request."""

    summary: SessionSummary
    request: CreateSession


def task_of(creation: Creation, repo: Repo | None) -> TaskDetail:
    """The task as the user asked for it: revision 0, so that anything the backend says replaces it.

    A refused one stands in `error` with the backend's reason.
    """
    request = creation.request
    error = None
    status = TaskStatus.QUEUED
    if creation.state is CreationState.REFUSED:
        status = TaskStatus.ERROR
        detail = creation.problem.detail if creation.problem is not None else "The backend refused it."
        error = TaskError(kind=ErrorKind.INTERNAL, message=detail, retryable=True, at=creation.since)
    return TaskDetail(
        task_id=creation.task_id,
        repo_id=repo.repo_id if repo is not None else request.repo,
        repo_label=repo.label if repo is not None else label_of(request.repo),
        prompt=request.prompt,
        agent=request.agent or "",
        provider=request.provider or "",
        status=status,
        status_since=creation.since,
        created_at=creation.since,
        updated_at=creation.since,
        revision=0,
        title=request.title,
        branch=request.branch,
        base_branch=request.base_branch,
        permission_policy=PermissionPolicy(request.permissions or PermissionPolicy.ASK),
        error=error,
        sessions=(_session_of(creation),),
        stages=tuple(StageRecord(name=name) for name in STAGES),
    )


def session_of(creation: Creation) -> SessionDetail:
    """The first session of a task that is not confirmed, with its first prompt queued."""
    summary = _session_of(creation)
    prompt = Prompt(
        prompt_id=f"{creation.session_id}.first",
        session_id=creation.session_id,
        text=creation.request.prompt,
        attachments=creation.attachments,
        state=PromptState.QUEUED,
        at=creation.since,
    )
    fields = {name: getattr(summary, name) for name in SessionSummary.__struct_fields__}
    return SessionDetail(**fields, prompts=(prompt,))


def label_of(repo: str) -> str:
    """A name for a repository that only its path or URL is known of: its last part, without `.git`."""
    name = PurePath(repo.rstrip("/").replace(":", "/")).name or repo
    return name.removesuffix(".git") or name


def _session_of(creation: Creation) -> SessionSummary:
    return SessionSummary(
        session_id=creation.session_id,
        task_id=creation.task_id,
        name=FIRST_SESSION,
        agent=creation.request.agent or "",
        status=SessionStatus.PENDING_PROVISION,
        created_at=creation.since,
        updated_at=creation.since,
        revision=0,
    )
