"""Operations of the demo world, as its script has them: what they leave is remembered in the world's journal."""

import hashlib
from collections.abc import Sequence
from typing import Any

from backend_stub.demo.checkpoints import DemoCheckpoints
from backend_stub.demo.script import ScriptFile
from backend_stub.demo.world import World
from backend_stub.domain.call import Call
from backend_stub.domain.clock import Runtime
from backend_stub.domain.errors import ProviderError
from backend_stub.domain.forge import FailedCheck
from backend_stub.domain.hand_over import LOG_CHARACTERS, NO_PULL_REQUEST, give_checks, give_comments
from backend_stub.domain.start import Start
from backend_stub.domain.way_home import Done, Progress, undone
from foundry_tui.contract.operations import HandOver, StartOperation, Undo
from foundry_tui.contract.pull_request import (
    Checks,
    ChecksState,
    Comment,
    Mergeable,
    PullRequest,
    PullRequestState,
    Review,
)
from foundry_tui.contract.records import Operation, OperationKind, Repo, TaskDetail
from foundry_tui.contract.starts import StartedFrom

_STEPS = {
    OperationKind.COMMIT: ("commit",),
    OperationKind.UPDATE: ("fetch", "update"),
    OperationKind.PUSH: ("push",),
    OperationKind.PULL_REQUEST: ("commit", "push", "pull_request"),
    OperationKind.LAND: ("land",),
    OperationKind.APPLY: ("apply",),
    OperationKind.UNDO: ("checkpoint", "undo"),
    OperationKind.HAND_OVER: ("hand_over",),
}
"""The steps of each kind of operation; the last one is what the script times and fails."""

_CHECKS = {
    "none": Checks(),
    "pending": Checks(state=ChecksState.PENDING, passed=2, pending=1),
    "passing": Checks(state=ChecksState.PASSING, passed=3),
    "failing": Checks(state=ChecksState.FAILING, passed=2, failed=1, names=("tests",)),
}
"""Checks of which the script says the state alone."""


class DemoWayHome:
    """See `backend_stub.domain.way_home.WayHome`."""

    def __init__(self, world: World, script: ScriptFile, runtime: Runtime, checkpoints: DemoCheckpoints) -> None:
        self._world = world
        self._script = script
        self._runtime = runtime
        self._checkpoints = checkpoints

    def why_not(self, task: TaskDetail, repo: Repo, request: StartOperation) -> str | None:
        if isinstance(request, Undo) and self._checkpoints.target(task.task_id, request.checkpoint_id) is None:
            why = "No turn has changed anything yet" if request.checkpoint_id is None else "There is no such checkpoint"
            return f"{why}: there is nothing to go back to."
        if isinstance(request, HandOver) and task.pull_request is None:
            return NO_PULL_REQUEST
        return None

    async def operate(self, call: Call, operation: Operation, progress: Progress) -> Done:
        if operation.kind is OperationKind.UNDO:
            return await self._undo(call, operation, progress)
        kind, task_id = operation.kind, call.task.task_id
        for name in _STEPS.get(kind, (str(kind),)):
            await progress.step(name)
        if operation.operation_id not in self._world.operations:

            async def effect() -> None:
                await self._world.effect(str(kind), task_id, operation_id=operation.operation_id)

            await self._world.play(str(kind), call, effect)
        if kind is OperationKind.PULL_REQUEST:
            opened = self._pull_request(call, draft=operation.request.get("draft", _is_draft(call.task)))
            assert opened is not None
            return Done(result={"number": opened.number, "url": opened.url}, pull_request=opened)
        if kind is OperationKind.HAND_OVER:
            return self._hand_over(call, operation)
        archive = kind is OperationKind.LAND and bool(operation.request.get("archive"))
        return Done(result=self._result(operation), archive=archive)

    def _hand_over(self, call: Call, operation: Operation) -> Done:
        pull = self._pull_request(call, draft=False)
        if pull is None:
            raise ProviderError(NO_PULL_REQUEST, retryable=False)
        said = self._script.read().pull_request(call.task.prompt)
        if operation.request.get("what") == "comments":
            return give_comments(pull.number, said.comments)
        asked = operation.request.get("checks") or ()
        failed = [
            FailedCheck(name, f"{pull.url}/checks", said.logs.get(name, "")[-LOG_CHARACTERS:])
            for name in pull.checks.names
            if not asked or name in asked
        ]
        return give_checks(pull.number, failed, asked)

    async def _undo(self, call: Call, operation: Operation, progress: Progress) -> Done:
        task_id, operation_id = call.task.task_id, operation.operation_id
        for name in _STEPS[OperationKind.UNDO]:
            await progress.step(name)
        if operation_id not in self._world.operations:

            async def effect() -> None:
                target = self._checkpoints.target(task_id, operation.request.get("checkpoint_id"))
                if target is None:
                    raise ProviderError("There is no such checkpoint.", retryable=False)
                await self._world.effect(str(OperationKind.UNDO), task_id, operation_id=operation_id)
                await self._checkpoints.undo(call.task, operation_id, target)

            await self._world.play(str(OperationKind.UNDO), call, effect)
        asked = operation.request.get("checkpoint_id")
        made = self._world.kept(task_id)[-1]
        target = self._checkpoints.target(task_id, asked)
        if target is None:
            raise ProviderError("There is no such checkpoint.", retryable=False)
        files = len(set(made.edited) ^ set(made.left))
        notice = undone(target.checkpoint, await progress.prompt(target.checkpoint.prompt_id))
        result: dict[str, Any] = {
            "checkpoint_id": made.checkpoint.checkpoint_id,
            "to": target.checkpoint.checkpoint_id,
            "files": files,
            "commits": [],
        }
        return Done(result=result, notice=notice, checkpoints=(made.checkpoint,))

    async def abandon(self, call: Call, operation: Operation, progress: Progress) -> None:
        """Nothing in the demo world is ever half-done."""

    async def pull_request(self, call: Call) -> PullRequest | None:
        return self._pull_request(call, draft=_is_draft(call.task))

    def start_of(self, call: Call, asked: StartedFrom) -> Start:
        """What the task starts from; a branch as it was asked for."""
        if asked.issue is not None:
            issue = self._script.read().issue(call.task.prompt)
            url = f"https://forge.invalid/demo/issues/{asked.issue}"
            return Start(title=issue.title or f"Issue {asked.issue}", text=issue.text, url=url)
        if asked.branch is not None:
            return Start(branch=asked.branch)
        said = self._script.read().pull_request(call.task.prompt)
        found = self._pull_request(call, draft=False)
        assert found is not None
        return Start(said.branch or f"pull-{asked.pull_request}", said.base, found.title, "", found.url, found)

    async def comments(self, call: Call) -> Sequence[Comment]:
        if call.task.pull_request is None:
            return ()
        return self._script.read().pull_request(call.task.prompt).comments

    def _pull_request(self, call: Call, *, draft: bool) -> PullRequest | None:
        """The one that the task started from, or that its first operation of that kind has opened, as the script says
        that it stands now.
        """
        task = call.task
        number = task.started_from.pull_request if task.started_from is not None else None
        opening = (task.task_id, str(OperationKind.PULL_REQUEST))
        done = self._world.operations.items()
        first, opened_at = next(((key, each.at) for key, each in done if each[:2] == opening), ("", None))
        if not first and number is None:
            return None
        said = self._script.read().pull_request(task.prompt)
        number = number or 1 + int(_digest(first)[:4], 16) % 999
        checks = said.checks if isinstance(said.checks, Checks) else _CHECKS[said.checks]
        if opened_at is not None and (age := self._runtime.now() - opened_at) < said.checks_ms:
            checks = _running(checks, age / said.checks_ms)
        return PullRequest(
            number=number,
            url=f"https://forge.invalid/demo/pull/{number}",
            title=said.title or task.title or task.prompt.strip().splitlines()[0][:72],
            state=PullRequestState(said.state or ("draft" if draft else "open")),
            checks=checks,
            review=Review(said.review),
            mergeable=Mergeable(said.mergeable),
            comments=sum(not comment.resolved for comment in said.comments),
            at=self._runtime.now(),
        )

    def _result(self, operation: Operation) -> dict[str, Any]:
        if operation.kind in (OperationKind.COMMIT, OperationKind.LAND, OperationKind.UPDATE):
            return {"sha": _digest(operation.operation_id)}
        return {}


def _running(checks: Checks, done: float) -> Checks:
    """Checks that come to these, when such a part of their time is over; those that fail are the last."""
    total = checks.passed + checks.failed + checks.pending
    passed = min(checks.passed, int(total * max(0.0, done)))
    return Checks(state=ChecksState.PENDING, passed=passed, pending=total - passed) if total else checks


def _is_draft(task: TaskDetail) -> bool:
    return task.pull_request is not None and task.pull_request.state is PullRequestState.DRAFT


def _digest(operation_id: str) -> str:
    """Forty hexadecimal digits, the same for an operation each time."""
    return hashlib.sha1(operation_id.encode(), usedforsecurity=False).hexdigest()
