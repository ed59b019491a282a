"""Provisioning: runs the four stages of a task one after the other, going on wherever the task's rows say it stands."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from backend_stub.domain.call import Call
from backend_stub.domain.errors import BranchTakenError, CallError, ProviderError, SupersededError
from backend_stub.domain.provider import Provider
from backend_stub.domain.storage import TaskState
from backend_stub.machine.faults import is_machine_fault
from backend_stub.task.actor import TaskActor
from backend_stub.task.branches import Name, NameChooser
from backend_stub.task.failures import NO_FAILURES, task_error
from backend_stub.task.naming import title_from
from backend_stub.task.services import Services
from backend_stub.task.sessions import Sessions
from backend_stub.task.starting import issue_words
from backend_stub.task.task_change import TaskChange
from foundry_tui.contract.records import ErrorKind, HistoryKind, StageRecord, StageState, TaskError
from foundry_tui.contract.replace import replace
from foundry_tui.contract.status import PROVISIONING, STAGES, STATUS_OF_STAGE, StageName
from foundry_tui.contract.transcript import TranscriptKind

DOING = {
    StageName.ENSURE_NAME: "settling the name",
    StageName.CREATE_SANDBOX: "creating the sandbox",
    StageName.ENSURE_AGENT: "starting the agent",
    StageName.CREATE_SESSION: "opening the session",
}
"""What each stage does, as it completes "… did not end within 30 s"."""

Outcome = Callable[[TaskChange], None]
"""What a stage that was done changes in its task, beside that it is done."""


@dataclass(frozen=True)
class _Attempt:
    """One attempt at a stage. `number` counts from 1; `deadline_at` is in milliseconds since the epoch."""

    stage: StageName
    number: int
    deadline_at: int


class Provisioning:
    """Runs `provision(task_id)` for the dispatcher; safe to run again after a kill at any point."""

    def __init__(self, services: Services, sessions: Sessions) -> None:
        self._services = services
        self._sessions = sessions
        self._names = NameChooser(services.storage)
        self._interrupted: dict[str, int] = {}

    def interrupted(self, task_id: str, downtime: int) -> None:
        """A restart cut this task's provisioning: its next run says so in the history.

        `downtime` milliseconds, in which nobody worked, do not count against the stage that was cut.
        """
        self._interrupted[task_id] = downtime

    async def provision(self, task_id: str) -> int | None:
        """Go on with the task until it is ready, has failed, or has to wait; then the answer is until when."""
        actor = self._services.actors.of(task_id)
        while True:
            state = await actor.state()
            if state.task.status not in PROVISIONING:
                return None
            waits_until = state.private.next_attempt_at
            stages = state.task.stages
            tried = next((stage.attempt for stage in stages if stage.state is not StageState.DONE), 0)
            if not self._services.settings.is_due(waits_until, tried, self._services.runtime.now()):
                return waits_until
            attempt = await self._next_attempt(actor, state)
            if attempt is None:
                return await self._become_ready_again(actor, state.private.attaching)
            wake_at = await self._make(attempt, actor)
            if wake_at is not None:
                return wake_at

    async def _next_attempt(self, actor: TaskActor, state: TaskState) -> _Attempt | None:
        """Begin an attempt at the first stage that is not done; None when all are done."""
        target = next((each.name for each in state.task.stages if each.state is not StageState.DONE), None)
        for stage in STAGES:
            attempt = await actor.commit(partial(self._begin_or_pass, stage, target))
            self._interrupted.pop(actor.task_id, None)
            if attempt is not None:
                return attempt
        return None

    def _begin_or_pass(self, stage: StageName, target: StageName | None, draft: TaskChange) -> _Attempt | None:
        """Begin an attempt if this is the stage to run (`target`), else pass it."""
        _expect_provisioning(draft)
        downtime = self._interrupted.get(draft.task.task_id)
        if downtime is not None:
            draft.resume_provisioning(target, downtime)
        if stage is target:
            return self._begin(stage, draft)
        draft.pass_stage(stage)
        return None

    def _begin(self, stage: StageName, draft: TaskChange) -> _Attempt:
        """Begin an attempt, or go on with one that a restart cut: it keeps its number, and its deadline unless that is
        over.
        """
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
                draft.stages.extend(stage, deadline)
            return _Attempt(stage, record.attempt, deadline)
        draft.begin_stage(stage, record.attempt + 1, timeout)
        return _Attempt(stage, record.attempt + 1, draft.now + timeout)

    async def _make(self, attempt: _Attempt, actor: TaskActor) -> int | None:
        """Run the attempt and commit its outcome; when the next one is due, if one follows."""
        state = await actor.state()
        task = state.task
        provider = self._services.providers.get(task.provider)
        repo = await self._services.storage.repo(task.repo_id)
        if provider is None or repo is None:
            missing = f"provider {task.provider}" if provider is None else f"repository {task.repo_label}"
            error = ProviderError(f"the {missing} is not available in this backend", retryable=False)
            return await self._fail(attempt, actor, error)
        call = Call(
            task=task,
            repo=repo,
            log=partial(actor.log, attempt.stage),
            detail=partial(actor.detail, attempt.stage),
            trust=state.private.trust,
        )
        runs: dict[StageName, Callable[[], Awaitable[Outcome]]] = {
            StageName.ENSURE_NAME: partial(self._ensure_name, provider, call),
            StageName.CREATE_SANDBOX: partial(self._create_sandbox, provider, call, actor),
            StageName.ENSURE_AGENT: partial(_ensure_agent, provider, call),
            StageName.CREATE_SESSION: partial(self._create_session, provider, call, actor),
        }
        remaining = max(0.0, (attempt.deadline_at - self._services.runtime.now()) / 1000)
        try:
            outcome = await self._services.calls.within(remaining, actor.task_id, runs[attempt.stage])
            return await self._complete(attempt, actor, outcome)
        except NO_FAILURES:
            raise
        except Exception as failure:  # noqa: BLE001  # a defect of a provider must not lose the task
            return await self._fail(attempt, actor, failure)

    async def _complete(self, attempt: _Attempt, actor: TaskActor, outcome: Outcome) -> int | None:
        """Mark the stage done and begin the next in the same commit, so that no kill falls between them."""

        def complete(draft: TaskChange) -> None:
            _expect_running(draft, attempt)
            outcome(draft)
            draft.stages.complete(attempt.stage)
            following = STAGES.index(attempt.stage) + 1
            if following < len(STAGES):
                stage = STAGES[following]
                if draft.stage(stage).state is not StageState.DONE:
                    draft.begin_stage(stage, 1, self._services.settings.timeout_ms[stage])

        try:
            await actor.commit(complete)
        except BranchTakenError:
            # Another task took the branch before this commit: choose again, within the same attempt.
            return await self._make(attempt, actor)
        if attempt.stage is StageName.CREATE_SESSION:
            await self._sessions.wake_all(actor)
        return None

    async def _fail(self, attempt: _Attempt, actor: TaskActor, failure: Exception) -> int | None:
        """Commit that the attempt failed; when the next one is due, if one follows."""
        stage, timeout = attempt.stage, self._services.settings.timeout_ms[attempt.stage]

        def fail(draft: TaskChange) -> int | None:
            record = _expect_running(draft, attempt)
            error = task_error(failure, DOING[stage], timeout, draft.now, stage)
            if not error.retryable or attempt.number >= record.max_attempts:
                draft.fail_stage(stage, error)
                return None
            wait = self._services.settings.backoff(attempt.number, self._services.runtime.jitter())
            draft.retry_stage(stage, error, draft.now + wait)
            return draft.now + wait

        return await actor.commit(fail)

    async def _become_ready_again(self, actor: TaskActor, attempts: int) -> int | None:
        """All stages were done before: find the sandbox and the agent again, and hand over what waits to be said, or
        the task would seem to have nothing to do; fail where they are not found.

        `attempts` have failed so far; when the next one is due, if one follows.
        """
        restored, error = await self._restore(actor)
        failed = error or await self._sessions.attach(actor, attempts)
        outcome = await self._go_on(actor, attempts) if failed is None else failed

        def finish(draft: TaskChange) -> None:
            _expect_provisioning(draft)
            sandbox = draft.task.sandbox
            if restored and sandbox is not None:
                draft.get_sandbox(sandbox)
            if isinstance(outcome, int):
                draft.find_agent_later(attempts + 1, outcome)
                return
            draft.end_finding_agent()
            if isinstance(outcome, TaskError):
                draft.fail(outcome)
            else:
                outcome(draft)

        await actor.commit(finish)
        if isinstance(outcome, int):
            return outcome
        await self._sessions.wake_all(actor)
        return None

    async def _go_on(self, actor: TaskActor, attempts: int) -> Outcome | int:
        """Hand over what waits in the first session where something does; what that makes of the task, or when to try
        again.
        """
        task = (await actor.state()).task
        provider, repo = self._services.providers.get(task.provider), await self._services.storage.repo(task.repo_id)
        if provider is None or repo is None:
            return TaskChange.become_ready
        call = Call(task=task, repo=repo, log=partial(actor.log, "turn"), detail=lambda text: None)
        timeout = self._services.settings.timeout_ms[StageName.CREATE_SESSION]
        for session in task.sessions:
            handing = partial(self._sessions.hand_over, actor, provider, call, session.session_id)
            try:
                outcome = await self._services.calls.within(timeout / 1000, actor.task_id, handing)
            except NO_FAILURES:
                raise
            except Exception as failure:  # noqa: BLE001  # a defect of an agent must not lose the task
                now = self._services.runtime.now()
                if is_machine_fault(failure):
                    return now + self._services.settings.backoff(attempts + 1, self._services.runtime.jitter())
                if not isinstance(failure, CallError):
                    # The agent may be at work: it knows nothing of a defect of ours, or of time that is up.
                    self._sessions.stop(session.session_id)
                error = task_error(failure, "handing the prompt over", timeout, now)
                return partial(_fail_delivery, session_id=session.session_id, error=error)
            if outcome is not TaskChange.become_ready:
                return outcome
        return TaskChange.become_ready

    async def _restore(self, actor: TaskActor) -> tuple[bool, TaskError | None]:
        """Whether the sandbox had to be made again; and the error, if that failed."""
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

    async def _ensure_name(self, provider: Provider, call: Call) -> Outcome:
        asked = call.task.started_from
        if asked is None:
            name = await self._names.choose(call.task, await provider.ensure_name(call))
            return lambda draft: draft.names.settle(name.title, name.branch)
        start = await provider.find_start(call, asked)
        if start.branch is not None:
            title = call.task.title or title_from(start.title or call.task.prompt)
            chosen = Name(title, start.branch)
        else:
            chosen = await self._names.choose(call.task, await provider.ensure_name(call), start.title)

        def outcome(draft: TaskChange) -> None:
            draft.names.begin_from(start, chosen.title, chosen.branch)
            if start.pull_request is not None:
                draft.find_pull_request(start.pull_request)
            if asked.issue is not None:
                draft.say_first(issue_words(asked.issue, start))

        return outcome

    async def _create_sandbox(self, provider: Provider, call: Call, actor: TaskActor) -> Outcome:
        made = await provider.create_sandbox(call)
        first = call.task.sessions[0].session_id
        if made.repo is not None:
            await self._services.storage.put_repo(made.repo)
        if made.notice:
            await actor.load_items(first)

        def outcome(draft: TaskChange) -> None:
            draft.get_sandbox(made.sandbox, resumed=made.resumed, rules=made.rules)
            if made.notice:
                draft.say(first, f"{first}:setup", TranscriptKind.NOTICE, made.notice)

        return outcome

    async def _create_session(self, provider: Provider, call: Call, actor: TaskActor) -> Outcome:
        first = call.task.sessions[0]
        await self._sessions.open(actor, provider, call, first.session_id)
        return await self._sessions.hand_over(actor, provider, call, first.session_id)


async def _ensure_agent(provider: Provider, call: Call) -> Outcome:
    await provider.agents.ensure_agent(call)
    return lambda draft: draft.record(HistoryKind.AGENT_READY, agent=draft.task.agent)


def _fail_delivery(draft: TaskChange, session_id: str, error: TaskError) -> None:
    """The agent did not take the prompt that was being handed over, and the task fails as if its turn had."""
    error = replace(error, kind=ErrorKind.AGENT)
    if (prompt := draft.delivering(session_id)) is None:
        draft.become_ready()
    else:
        draft.fail_turn(prompt, error)
        draft.fail(error)


def _expect_provisioning(draft: TaskChange) -> None:
    """Raise `SupersededError` unless the task is still being provisioned."""
    if draft.status not in PROVISIONING:
        raise SupersededError


def _expect_running(draft: TaskChange, attempt: _Attempt) -> StageRecord:
    """The record of the stage; raises `SupersededError` unless this very attempt at it is under way."""
    record = draft.stage(attempt.stage)
    if (
        draft.status is not STATUS_OF_STAGE[attempt.stage]
        or record.state is not StageState.RUNNING
        or record.attempt != attempt.number
    ):
        raise SupersededError
    return record
