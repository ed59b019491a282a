"""Provisioning: the four stages, each run until it is done, resumed wherever the task's rows say it stands."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from backend_stub.domain.call import Call
from backend_stub.domain.errors import BranchTakenError, ProviderError, SupersededError
from backend_stub.domain.provider import Provider
from backend_stub.domain.storage import TaskState
from backend_stub.task.actor import TaskActor
from backend_stub.task.branches import Branches
from backend_stub.task.failures import NO_FAILURES, task_error
from backend_stub.task.services import Services
from backend_stub.task.sessions import Sessions
from backend_stub.task.task_change import TaskChange
from foundry_tui.contract.records import (
    HistoryKind,
    StageRecord,
    StageState,
    TaskError,
    TranscriptKind,
)
from foundry_tui.contract.status import (
    PROVISIONING,
    STAGES,
    STATUS_OF_STAGE,
    StageName,
)

DOING = {
    StageName.ENSURE_NAME: "settling the name",
    StageName.CREATE_SANDBOX: "creating the sandbox",
    StageName.ENSURE_AGENT: "starting the agent",
    StageName.CREATE_SESSION: "opening the session",
}

Apply = Callable[[TaskChange], None]
"""What the outcome of a stage changes in the task, beside marking the stage done."""


@dataclass(frozen=True)
class _Next:
    """The stage to run, in which attempt and until when; `fresh` unless the attempt was begun before."""

    stage: StageName
    attempt: int
    deadline_at: int


class Provisioning:
    """Runs `provision(task_id)` for the dispatcher; safe to run again after a kill at any point."""

    def __init__(self, services: Services, sessions: Sessions) -> None:
        self._services = services
        self._sessions = sessions
        self._branches = Branches(services.storage)
        self._interrupted: dict[str, int] = {}

    def interrupted(self, task_id: str, downtime: int) -> None:
        """A restart cut this task's provisioning: its next run says so in the history.

        `downtime` milliseconds, in which nobody worked, do not count against the stage that was cut.
        """
        self._interrupted[task_id] = downtime

    async def provision(self, task_id: str) -> int | None:
        """Go on with the task until it is ready, failed, or has to wait; when to come back, if it has to."""
        actor = self._services.actors.of(task_id)
        while True:
            state = await actor.state()
            if state.task.status not in PROVISIONING:
                return None
            waits_until = state.private.next_attempt_at
            stages = state.task.stages
            attempt = next((stage.attempt for stage in stages if stage.state is not StageState.DONE), 0)
            if not self._services.settings.is_due(waits_until, attempt, self._services.runtime.now()):
                return waits_until
            step = await self._enter(actor, state)
            if step is None:
                return await self._finish_again(actor, state.private.attaching)
            wake_at = await self._attempt(actor, step)
            if wake_at is not None:
                return wake_at

    async def _enter(self, actor: TaskActor, state: TaskState) -> _Next | None:
        """Walk to the first stage that is not done and mark it running; None when all are done."""
        target = next((each.name for each in state.task.stages if each.state is not StageState.DONE), None)
        for stage in STAGES:
            step = await actor.commit(partial(self._walk, stage, target))
            self._interrupted.pop(actor.task_id, None)
            if step is not None:
                return step
        return None

    def _walk(self, stage: StageName, target: StageName | None, draft: TaskChange) -> _Next | None:
        _expect(draft)
        downtime = self._interrupted.get(draft.task.task_id)
        if downtime is not None:
            draft.resume_provisioning(target, downtime)
        if stage is target:
            return self._begin(stage, draft)
        draft.pass_stage(stage)
        return None

    def _begin(self, stage: StageName, draft: TaskChange) -> _Next:
        """Begin an attempt, or go on with one that a restart cut: same number, same deadline if that is still ahead."""
        record = draft.stage(stage)
        timeout = self._services.settings.timeout_ms[stage]
        if (
            draft.status is STATUS_OF_STAGE[stage]
            and record.state is StageState.RUNNING
            and record.finished_at is None
            and draft.private.next_attempt_at is None
        ):
            deadline = record.deadline_at or 0
            if not draft.now < deadline <= draft.now + timeout:
                deadline = draft.now + timeout
                draft.extend_stage(stage, deadline)
            return _Next(stage, record.attempt, deadline)
        draft.begin_stage(stage, record.attempt + 1, timeout)
        return _Next(stage, record.attempt + 1, draft.now + timeout)

    async def _attempt(self, actor: TaskActor, step: _Next) -> int | None:
        """Run one attempt and commit its outcome; when to try again, if that is what follows."""
        state = await actor.state()
        task = state.task
        provider = self._services.providers.get(task.provider)
        repo = await self._services.storage.repo(task.repo_id)
        if provider is None or repo is None:
            missing = f"provider {task.provider}" if provider is None else f"repository {task.repo_label}"
            error = ProviderError(f"the {missing} is not available in this backend", retryable=False)
            return await self._fail(actor, step, error)
        call = Call(
            task=task,
            repo=repo,
            log=partial(actor.log, step.stage),
            detail=partial(actor.detail, step.stage),
            trust=state.private.trust,
        )
        runs: dict[StageName, Callable[[], Awaitable[Apply]]] = {
            StageName.ENSURE_NAME: partial(self._ensure_name, provider, call),
            StageName.CREATE_SANDBOX: partial(self._create_sandbox, provider, call, actor),
            StageName.ENSURE_AGENT: partial(_ensure_agent, provider, call),
            StageName.CREATE_SESSION: partial(self._create_session, provider, call, actor),
        }
        remaining = max(0.0, (step.deadline_at - self._services.runtime.now()) / 1000)
        try:
            apply = await self._services.calls.within(remaining, actor.task_id, runs[step.stage])
            return await self._complete(actor, step, apply)
        except NO_FAILURES:
            raise
        except Exception as failure:  # noqa: BLE001  # a defect of a provider must not lose the task
            return await self._fail(actor, step, failure)

    async def _complete(self, actor: TaskActor, step: _Next, apply: Apply) -> int | None:
        """Mark the stage done and go on to the next in the same commit, so that no kill falls between them."""

        def complete(draft: TaskChange) -> None:
            _expect_running(draft, step)
            apply(draft)
            draft.complete_stage(step.stage)
            following = STAGES.index(step.stage) + 1
            if following < len(STAGES):
                stage = STAGES[following]
                if draft.stage(stage).state is not StageState.DONE:
                    draft.begin_stage(stage, 1, self._services.settings.timeout_ms[stage])

        try:
            await actor.commit(complete)
        except BranchTakenError:
            # Another task took the branch between looking and committing: look again, within the same attempt.
            return await self._attempt(actor, step)
        if step.stage is StageName.CREATE_SESSION:
            await self._sessions.wake_all(actor)
        return None

    async def _fail(self, actor: TaskActor, step: _Next, failure: Exception) -> int | None:
        timeout = self._services.settings.timeout_ms[step.stage]

        def fail(draft: TaskChange) -> int | None:
            record = _expect_running(draft, step)
            error = task_error(failure, DOING[step.stage], timeout, draft.now, step.stage)
            if not error.retryable or step.attempt >= record.max_attempts:
                draft.fail_stage(step.stage, error)
                return None
            wait = self._services.settings.backoff(step.attempt, self._services.runtime.jitter())
            draft.retry_stage(step.stage, error, draft.now + wait)
            return draft.now + wait

        return await actor.commit(fail)

    async def _finish_again(self, actor: TaskActor, attempts: int) -> int | None:
        """All stages were done before: find the sandbox and the agent again and be ready, or fail for the reason that
        they cannot. When to try that again, after so many attempts, if it may go better then.
        """
        restored, error = await self._restore(actor)
        outcome = error or await self._sessions.attach(actor, attempts)

        def finish(draft: TaskChange) -> None:
            _expect(draft)
            sandbox = draft.task.sandbox
            if restored and sandbox is not None:
                draft.get_sandbox(sandbox)
            if isinstance(outcome, int):
                draft.find_agent_later(attempts + 1, outcome)
                return
            draft.end_finding_agent()
            if outcome is None:
                draft.become_ready()
            else:
                draft.fail(outcome)

        await actor.commit(finish)
        if outcome is None:
            await self._sessions.wake_all(actor)
        return outcome if isinstance(outcome, int) else None

    async def _restore(self, actor: TaskActor) -> tuple[bool, TaskError | None]:
        """Whether the sandbox had to be made again, and why that cannot be."""
        task = (await actor.state()).task
        provider, repo = self._services.providers.get(task.provider), await self._services.storage.repo(task.repo_id)
        if provider is None or repo is None:
            return False, None
        stage = StageName.CREATE_SANDBOX
        call = Call(task=task, repo=repo, log=partial(actor.log, stage), detail=lambda text: None)
        timeout = self._services.settings.timeout_ms[stage]
        restoring = partial(provider.restore_sandbox, call)
        try:
            return await self._services.calls.within(timeout / 1000, actor.task_id, restoring), None
        except NO_FAILURES:
            raise
        except Exception as failure:  # noqa: BLE001  # a defect of a provider must not lose the task
            return False, task_error(failure, DOING[stage], timeout, self._services.runtime.now())

    async def _ensure_name(self, provider: Provider, call: Call) -> Apply:
        name = await self._branches.settle(call.task, await provider.ensure_name(call))

        return lambda draft: draft.settle_name(name.title, name.branch)

    async def _create_sandbox(self, provider: Provider, call: Call, actor: TaskActor) -> Apply:
        made = await provider.create_sandbox(call)
        first = call.task.sessions[0].session_id
        if made.repo is not None:
            await self._services.storage.put_repo(made.repo)
        if made.notice:
            await actor.load_items(first)

        def apply(draft: TaskChange) -> None:
            draft.get_sandbox(made.sandbox, resumed=made.resumed)
            if made.notice:
                draft.say(first, f"{first}:setup", TranscriptKind.NOTICE, made.notice)

        return apply

    async def _create_session(self, provider: Provider, call: Call, actor: TaskActor) -> Apply:
        first = call.task.sessions[0]
        await self._sessions.open(actor, provider, call, first.session_id)
        return await self._sessions.hand_over(actor, provider, call, first.session_id)


async def _ensure_agent(provider: Provider, call: Call) -> Apply:
    await provider.agents.ensure_agent(call)
    return lambda draft: draft.record(HistoryKind.AGENT_READY, agent=draft.task.agent)


def _expect(draft: TaskChange) -> None:
    """Raise `SupersededError` unless the task is still being provisioned."""
    if draft.status not in PROVISIONING:
        raise SupersededError


def _expect_running(draft: TaskChange, step: _Next) -> StageRecord:
    """The record of the stage; raises `SupersededError` unless this very attempt of it is running."""
    record = draft.stage(step.stage)
    if (
        draft.status is not STATUS_OF_STAGE[step.stage]
        or record.state is not StageState.RUNNING
        or record.attempt != step.attempt
    ):
        raise SupersededError
    return record
