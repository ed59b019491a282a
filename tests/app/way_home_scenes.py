"""Worlds in which a task's work is on its way home, made by hand."""

from typing import Any

from msgspec.structs import replace

from foundry_tui.client.store import Store
from foundry_tui.contract.pull_request import Checks, ChecksState, Mergeable, PullRequest, PullRequestState, Review
from foundry_tui.contract.records import ErrorKind, Operation, OperationKind, OperationState, OperationStep, TaskError
from foundry_tui.contract.starts import StartedFrom
from foundry_tui.contract.work import Work
from tests.app.factories import NOW, SECOND
from tests.app.task_scenes import TASK, a_session, a_task, store_with

WORK = Work(base="origin/main", ahead=1, behind=2, files=3, uncommitted=2, at=NOW)
PULL = PullRequest(
    number=212,
    url="https://forge.example/shop/pull/212",
    title="Fix the login redirect",
    state=PullRequestState.OPEN,
    checks=Checks(state=ChecksState.PASSING, passed=3),
    review=Review.APPROVED,
    mergeable=Mergeable.YES,
    at=NOW,
)


def an_operation(state: OperationState = OperationState.RUNNING, **changes: Any) -> Operation:
    done = OperationStep(name="commit", state=OperationState.DONE, detail="2 files")
    runs = OperationStep(name="push", state=state, started_at=NOW - SECOND, detail="fix/login-redirect to origin")
    operation = Operation(
        operation_id="op-1",
        task_id=TASK,
        kind=OperationKind.PULL_REQUEST,
        request={},
        state=state,
        steps=(done, runs),
        at=NOW - 2 * SECOND,
        revision=3,
    )
    return replace(operation, **changes)


def menu_scene() -> Store:
    """Something is to be committed, and the base has moved."""
    return store_with(a_task(work=WORK), a_session())


def running_scene() -> Store:
    """A pull request is being opened."""
    operation = an_operation()
    return store_with(a_task(work=WORK, operation=operation, operations=(operation,)), a_session())


def failed_scene() -> Store:
    """The push was refused."""
    message = "origin does not take this push to fix/login-redirect: main is protected"
    error = TaskError(kind=ErrorKind.GIT, message=message, retryable=False, at=NOW)
    operation = an_operation(OperationState.FAILED, error=error, finished_at=NOW)
    return store_with(a_task(work=replace(WORK, uncommitted=0), operations=(operation,)), a_session())


def proposed_scene() -> Store:
    """A pull request is open, its checks pass and it is approved."""
    operation = an_operation(OperationState.DONE, result={"number": 212, "url": PULL.url}, finished_at=NOW)
    work = replace(WORK, behind=0, uncommitted=0, pushed=True)
    return store_with(a_task(work=work, pull_request=PULL, operations=(operation,)), a_session())


def met_scene() -> Store:
    """A check of the open pull request has failed, and reviewers have said something."""
    checks = Checks(state=ChecksState.FAILING, passed=2, failed=2, names=("tests", "lint"))
    pull = replace(PULL, checks=checks, review=Review.CHANGES_REQUESTED, comments=3)
    start = StartedFrom(pull_request=212, title=PULL.title, url=PULL.url)
    work = replace(WORK, behind=0, uncommitted=0, pushed=True)
    return store_with(a_task(work=work, pull_request=pull, started_from=start), a_session())


def merged_scene() -> Store:
    """The pull request is merged."""
    merged = replace(PULL, state=PullRequestState.MERGED)
    return store_with(a_task(work=replace(WORK, uncommitted=0, pushed=True), pull_request=merged), a_session())
