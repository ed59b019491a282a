"""Records made by hand, with the least that a test has to say."""

from typing import Any

from msgspec.structs import replace

from foundry_tui.contract.records import (
    ErrorKind,
    Repo,
    SessionStatus,
    SessionSummary,
    StageProgress,
    StageRecord,
    StageState,
    TaskDetail,
    TaskError,
    TaskSummary,
    summary_of,
)
from foundry_tui.contract.status import ENDED, STAGE_OF_STATUS, STAGES, StageName, TaskStatus

NOW = 1_780_000_000_000
"""The moment at which all test worlds stand, in milliseconds since the epoch."""
SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

_SESSION_STATUS = {
    TaskStatus.CREATE_SESSION: SessionStatus.PENDING_CREATE,
    TaskStatus.RUNNING: SessionStatus.RUNNING,
    TaskStatus.IDLE: SessionStatus.READY,
    TaskStatus.ERROR: SessionStatus.PENDING_PROVISION,
}


def task_id(number: int) -> str:
    """The id of a test task: a UUIDv7 that ends in its number."""
    return f"019e0000-0000-7000-8000-{number:012d}"


def make_repo(label: str = "shop", **changes: Any) -> Repo:
    """A repository in a folder of its label's name."""
    repo = Repo(repo_id=f"repo-{label}", label=label, path=f"/src/{label}", default_branch="main")
    return replace(repo, **changes)


def make_error(message: str = "no room left on the machine", **changes: Any) -> TaskError:
    """A retryable failure of the sandbox stage."""
    error = TaskError(
        kind=ErrorKind.PROVIDER, message=message, retryable=True, at=NOW - MINUTE, stage=StageName.CREATE_SANDBOX
    )
    return replace(error, **changes)


def make_session(number: int = 1, **changes: Any) -> SessionSummary:
    """The first session of task `number`."""
    session = SessionSummary(
        session_id=f"session-{number}",
        task_id=task_id(number),
        name="main",
        agent="claude",
        status=SessionStatus.PENDING_PROVISION,
        created_at=NOW - 5 * MINUTE,
        updated_at=NOW - MINUTE,
        revision=1,
    )
    return replace(session, **changes)


def make_detail(number: int = 1, status: TaskStatus = TaskStatus.IDLE, **changes: Any) -> TaskDetail:
    """Task `number` whole: five minutes old, in its status for twelve seconds, its stages as the status demands."""
    stage_now = STAGE_OF_STATUS.get(status)
    error = make_error() if status is TaskStatus.ERROR else None
    failed_stage = error.stage if error is not None else None
    at_stage = stage_now or failed_stage
    finished = 0 if status is TaskStatus.QUEUED else len(STAGES)
    done = STAGES.index(at_stage) if at_stage is not None else finished
    named = done > 0
    since = NOW - 12 * SECOND
    session_status = SessionStatus.CLOSED if status in ENDED else _SESSION_STATUS.get(status)
    stages = tuple(
        StageRecord(
            name=name,
            state=(
                StageState.DONE
                if index < done
                else StageState.RUNNING
                if name is stage_now
                else StageState.FAILED
                if name is failed_stage
                else StageState.PENDING
            ),
            attempt=3 if name is failed_stage else 1 if index < done or name is stage_now else 0,
            max_attempts=3,
            started_at=NOW - (30 - 5 * index) * SECOND if index < done else since if name is at_stage else None,
            finished_at=NOW - (26 - 5 * index) * SECOND if index < done else NOW if name is failed_stage else None,
            error=error if name is failed_stage else None,
        )
        for index, name in enumerate(STAGES)
    )
    task = TaskDetail(
        task_id=task_id(number),
        repo_id="repo-shop",
        repo_label="shop",
        prompt=f"fix the login redirect of page {number}",
        agent="claude",
        provider="local",
        status=status,
        status_since=since,
        created_at=NOW - 5 * MINUTE - number * SECOND,
        updated_at=since,
        revision=1 + number % 5,
        title=f"Fix the login redirect of page {number}" if named else None,
        branch=f"fix/login-redirect-{number}" if named else None,
        stage=StageProgress(name=stage_now, attempt=1, max_attempts=3, started_at=since) if stage_now else None,
        stages_done=done,
        error=error,
        sessions=(make_session(number, status=session_status or SessionStatus.PENDING_PROVISION),),
        base_branch="main",
        stages=stages,
    )
    return replace(task, **changes)


def make_task(number: int = 1, status: TaskStatus = TaskStatus.IDLE, **changes: Any) -> TaskSummary:
    """The summary of `make_detail`."""
    return replace(summary_of(make_detail(number, status)), **changes)
