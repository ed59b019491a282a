"""Conversations with agents: opens sessions, hands prompts over, follows turns to their end, stops them."""

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import count

import anyio
from anyio.abc import TaskGroup

from backend_stub.domain.agent import SaidOutsideTurn
from backend_stub.domain.call import Call
from backend_stub.domain.errors import (
    AgentError,
    CallError,
    CallTimedOutError,
    StaleRevisionError,
    StorageUnavailableError,
    TaskMovedError,
)
from backend_stub.domain.provider import Provider
from backend_stub.domain.storage import Opening, TaskState
from backend_stub.machine.faults import is_machine_fault
from backend_stub.task.actor import TaskActor
from backend_stub.task.checkpoints import TurnCheckpoints
from backend_stub.task.failures import NO_FAILURES, is_tried_again, task_error
from backend_stub.task.idle import IdleAgents
from backend_stub.task.options import Options
from backend_stub.task.rules import rules_of
from backend_stub.task.services import Services
from backend_stub.task.silence import Silences
from backend_stub.task.steering import Steering
from backend_stub.task.task_change import TaskChange
from backend_stub.task.turn import (
    IN_TURNS,
    Answers,
    LiveTurn,
    begin_delivery,
    begin_first_delivery,
    begin_turn,
    end_turn,
    fail_turn,
    next_prompt,
    waits_for_operation,
    was_stopped,
)
from backend_stub.task.work import WorkFinder
from foundry_tui.contract.attachments import NewAttachments
from foundry_tui.contract.records import (
    ErrorKind,
    Prompt,
    PromptState,
    SessionStatus,
    SessionSummary,
    StageState,
    TaskDetail,
    TaskError,
)
from foundry_tui.contract.replace import replace
from foundry_tui.contract.status import PROVISIONING, READY, StageName, TaskStatus

logger = logging.getLogger(__name__)

ATTACHING = 16
"""Tasks whose agents are looked for at the same time after a restart."""
TELL_SECONDS = 10
"""How long an agent may take to be told that a turn was stopped or a session closed."""


class Sessions:
    """Goes on with each session for the dispatcher, one run at a time; the task's rows say where it stands."""

    def __init__(self, services: Services, tasks: TaskGroup, work: WorkFinder) -> None:
        self._services = services
        self._tasks = tasks
        self._work = work
        self._checkpoints = TurnCheckpoints(services)
        self._answers = Answers()
        self._unattached: dict[str, anyio.Lock] = {}
        """The tasks, by task_id, whose agents were not looked for since the restart; held by whoever does."""
        self._to_stop: set[str] = set()
        self._to_close: set[str] = set()
        """Ids of the sessions whose agents are still to be told that they were stopped, or closed."""
        self._attempts: dict[str, int] = {}
        """How many attempts failed: to find a task's agent, by task_id; to take a turn, by prompt_id."""
        self.on_turn_over: Callable[[str], None] = lambda task_id: None
        """Told the task_id when a turn may have ended."""
        self.queue = services.dispatcher.queue("session", self._converse)
        self.attaching = services.dispatcher.queue("attach", self._attach_again, ATTACHING)
        self.options = Options(services, self._attached, self._provider, self._call)
        self.idle = IdleAgents(services, self.queue.wake, self._provider, self._call)
        self.silences = Silences(services)
        self.steering = Steering(services, self.stop, self._attached, self._provider, self._call)
        tasks.start_soon(self.idle.alarms.run)
        tasks.start_soon(self.silences.alarms.run)

    def find_agent(self, task_id: str) -> None:
        """This process knows nothing of the agent of a task that is ready or has a turn: find it, then go on."""
        self._unattached.setdefault(task_id, anyio.Lock())
        self.attaching.wake(task_id)

    async def wake_all(self, actor: TaskActor) -> None:
        """The task is ready: go on with all its sessions that are open, or that its agent does not know as closed."""
        for session in (await actor.state()).task.sessions:
            if session.status is not SessionStatus.CLOSED or session.session_id in self._to_close:
                self.queue.wake(session.session_id)
                self.options.queue.wake(session.session_id)
                if session.status is SessionStatus.RUNNING:
                    self.steering.queue.wake(session.session_id)

    def settled(self, permission_id: str) -> None:
        """A question was answered or cancelled: the turn that waits for it goes on."""
        self._answers.settled(permission_id)

    def stop(self, session_id: str) -> None:
        """A turn was stopped in the task's rows: end it here, and tell the agent."""
        self._to_stop.add(session_id)
        self.queue.cancel(session_id)
        self.queue.wake(session_id)

    def restart(self, task: TaskDetail, stopped: Sequence[str]) -> None:
        """The task's agent is to be begun anew, and turns of these sessions were stopped: do so, then go on."""
        # Whoever looks for the agent just now holds the lock that is there.
        self._unattached.setdefault(task.task_id, anyio.Lock())
        for session in task.sessions:
            self.idle.used(session.session_id)
            # What is cut as the agent ends is no refusal: the next one is told of it.
            self.options.queue.cancel(session.session_id)
        for session_id in stopped:
            self.stop(session_id)
        self.attaching.wake(task.task_id)

    def close(self, session_id: str) -> None:
        """A session was closed in the task's rows: end what runs, and tell the agent."""
        self._to_close.add(session_id)
        self.stop(session_id)

    def cancel_task(self, task: TaskDetail) -> None:
        """The task is being released, or another host's: end every conversation, without waiting for that."""
        for session in task.sessions:
            self.queue.cancel(session.session_id)
            self.options.queue.cancel(session.session_id)
        self.attaching.cancel(task.task_id)
        self._unattached.pop(task.task_id, None)

    async def ended(self, state: TaskState) -> None:
        """Wait until no conversation of the task runs any more."""
        await self.attaching.ended(state.task.task_id)
        for session in state.task.sessions:
            await self.queue.ended(session.session_id)
            await self.options.queue.ended(session.session_id)

    async def lost(self, task_id: str, session_id: str, reason: str) -> None:
        """The agent of a session died by itself: its turn fails, and the task with it; other sessions' turns go on."""
        await self._lose(task_id, reason, session_id)

    async def _lose(self, task_id: str, reason: str, session_id: str | None = None) -> None:
        """The agent of one session is gone, or (None) of all: turns in progress fail, and a ready task with them."""

        def lose(draft: TaskChange) -> None:
            if draft.status not in IN_TURNS:
                return
            error = TaskError(kind=ErrorKind.AGENT, message=reason, retryable=True, at=draft.now)
            for session in draft.task.sessions:
                if session.status is SessionStatus.RUNNING and session_id in (None, session.session_id):
                    draft.fail_prompts(session.session_id, frozenset({PromptState.DELIVERED}), error)
                    draft.questions.cancel(session.session_id)
                    draft.fail_session(session.session_id, error)
            if draft.status in READY:
                draft.fail(error)

        actor = self._services.actors.of(task_id)
        await actor.commit(lose)
        for session in (await actor.state()).task.sessions:
            if session_id in (None, session.session_id):
                self.queue.cancel(session.session_id)
        self.on_turn_over(task_id)

    async def said(self, task_id: str, session_id: str, words: Sequence[SaidOutsideTurn]) -> None:
        """The agent said something outside of any turn: it is kept, however long the storage takes for it."""

        def say(draft: TaskChange) -> None:
            for word in words:
                draft.say(session_id, word.item_id, word.kind, word.body)
            if draft.status in READY:
                draft.mark_session_unread(session_id, True)
                draft.mark_unread(True)

        self.idle.used(session_id)
        actor = self._services.actors.of(task_id)
        for attempt in count(1):
            try:
                await actor.load_items(session_id)
                await actor.commit(say)
            except TaskMovedError:
                return
            except (StorageUnavailableError, StaleRevisionError):
                await anyio.sleep(self._services.settings.backoff(attempt, self._services.runtime.jitter()) / 1000)
            else:
                return

    async def open(self, actor: TaskActor, provider: Provider, call: Call, session_id: str) -> None:
        """Open the session with the agent, unless that was done before or it is closed."""
        state = await actor.state()
        session = _session(state, session_id)
        if session is None or session.status not in (SessionStatus.PENDING_CREATE, SessionStatus.PENDING_PROVISION):
            return
        await provider.agents.create_session(call, session, state.private.asked_options.get(session_id))

        def ready(draft: TaskChange) -> None:
            held = draft.session(session_id)
            if held.status is SessionStatus.PENDING_CREATE and draft.status in PROVISIONING | READY:
                draft.open_session(session_id)

        await actor.commit(ready)

    async def hand_over(
        self, actor: TaskActor, provider: Provider, call: Call, session_id: str
    ) -> Callable[[TaskChange], None]:
        """Hand the prompt over with which the task is ready, if there is one; what that changes in the task."""
        prompt = await actor.commit(partial(begin_first_delivery, session_id=session_id))
        if prompt is None:
            return TaskChange.become_ready
        await actor.load_items(session_id)
        turn = self._turn(actor, prompt)
        await self._checkpoints.before(actor, call, prompt.prompt_id)
        await provider.agents.deliver(call, prompt, turn, await self._attachments(prompt))

        def delivered(draft: TaskChange) -> None:
            held = draft.prompt(session_id, prompt.prompt_id)
            if held is None or held.state is not PromptState.QUEUED:
                draft.become_ready()
            else:
                draft.begin_turn(held)

        return delivered

    async def attach(self, actor: TaskActor, attempts: int = 0) -> TaskError | int | None:
        """Find the task's agent again: None once it is found, else when to try again, or the error if that is in vain.

        `attempts` have failed before.
        """
        timeout = self._services.settings.timeout_ms[StageName.CREATE_SESSION]
        try:
            provider = await self._provider(actor)
            call = await self._call(actor)
            while True:
                if (await actor.state()).private.restarting:
                    restart = partial(provider.agents.restart, call)
                    await self._services.calls.within(timeout / 1000, actor.task_id, restart)
                    await actor.commit(TaskChange.agent_restarted)
                await self._services.calls.within(timeout / 1000, actor.task_id, partial(provider.agents.attach, call))
                # It may have been asked for meanwhile.
                if not (await actor.state()).private.restarting:
                    break
        except NO_FAILURES:
            raise
        except Exception as failure:  # noqa: BLE001  # a defect of an agent must not hold the task for ever
            if is_tried_again(failure, attempts + 1, self._services.settings.attempts):
                logger.warning("the agent of task %s is looked for again later: %s", actor.task_id, failure)
                return self._next_attempt_at(attempts + 1)
            return task_error(failure, "finding the agent again", timeout, self._services.runtime.now())
        # The run of the backend before may have ended before it told the agent.
        state = await actor.state()
        self._to_stop |= {each.session_id for each in state.task.sessions if was_stopped(state, each)}
        self._unattached.pop(actor.task_id, None)
        self._attempts.pop(actor.task_id, None)
        return None

    def _next_attempt_at(self, attempts: int) -> int:
        """When the next attempt is due after so many have failed."""
        return self._services.runtime.now() + self._services.settings.backoff(attempts, self._services.runtime.jitter())

    async def _attach_again(self, task_id: str) -> int | None:
        """After a restart, find the task's agent and go on with its sessions; when to try again, if that follows."""
        actor = self._services.actors.of(task_id)
        task = (await actor.state()).task
        if not any(_goes_on(task, session) for session in task.sessions):
            return None
        attached = await self._attached(actor)
        if attached is True:
            await self.wake_all(actor)
        return None if isinstance(attached, bool) else attached

    async def _attached(self, actor: TaskActor) -> bool | int:
        """Whether the agent is there, which after a restart is looked for first; or when to look again."""
        lock = self._unattached.get(actor.task_id)
        if lock is None:
            return True
        async with lock:
            if actor.task_id not in self._unattached:
                return True
            attempts = self._attempts.get(actor.task_id, 0)
            outcome = await self.attach(actor, attempts)
            if isinstance(outcome, int):
                self._attempts[actor.task_id] = attempts + 1
                return outcome
            if outcome is not None:
                await self._lose(actor.task_id, outcome.message)
                self._unattached.pop(actor.task_id, None)
                self._attempts.pop(actor.task_id, None)
            return outcome is None

    async def _converse(self, session_id: str) -> int | None:
        """Go on with one session until it has nothing left to do; when to go on, if that is later."""
        task_id = await self._services.storage.task_of_session(session_id)
        if task_id is None:
            return None
        actor = self._services.actors.of(task_id)
        await actor.load_items(session_id)
        while True:
            await self.steering.settled(session_id)
            state = await actor.state()
            session = _session(state, session_id)
            if session is None:
                return None
            if state.task.operation is not None:
                # It may have waited for a prompt of this session that is in no agent's hands any more.
                self.on_turn_over(task_id)
            goes_on = _goes_on(state.task, session)
            if not (goes_on or self._is_to_tell(state.task, session_id)):
                await self.idle.rest(actor, session_id)
                return None
            attached = await self._attached(actor)
            if attached is not True:
                return attached or None
            provider = await self._provider(actor)
            await self._tell_agent(actor, provider, session_id)
            if not goes_on:
                return None
            if session.status in (SessionStatus.CLOSED, SessionStatus.ERROR):
                await self.idle.rest(actor, session_id)
                return None
            if session.status in (SessionStatus.PENDING_PROVISION, SessionStatus.PENDING_CREATE):
                next_at = await self._open_further(actor, provider, session_id)
                if next_at is not None:
                    return next_at
                continue
            prompt = next_prompt(state.prompts.get(session_id, ()), state.private, held=session.held)
            if prompt is None:
                await self.idle.rest(actor, session_id)
                return None
            if prompt.state is PromptState.QUEUED and waits_for_operation(prompt, state.task, state.private):
                # The end of an operation wakes the session again.
                return None
            next_at = await self._take_turn(actor, provider, prompt)
            self.on_turn_over(task_id)
            if next_at is not None:
                return next_at

    def _is_to_tell(self, task: TaskDetail, session_id: str) -> bool:
        """Whether the agent of a failed task is still to be told that this session was stopped or closed."""
        was_ready = all(stage.state is StageState.DONE for stage in task.stages)
        return task.status is TaskStatus.ERROR and was_ready and session_id in self._to_stop | self._to_close

    async def _tell_agent(self, actor: TaskActor, provider: Provider, session_id: str) -> None:
        """Tell the agent that the session was stopped or closed; if that fails, it is logged and all goes on."""
        call = await self._call(actor)
        for wanted, tell in ((self._to_stop, provider.agents.stop), (self._to_close, provider.agents.close_session)):
            if session_id in wanted:
                wanted.discard(session_id)
                try:
                    await self._services.calls.within(TELL_SECONDS, actor.task_id, partial(tell, call, session_id))
                except NO_FAILURES:
                    raise
                except Exception as failure:  # noqa: BLE001  # nor does a defect of the agent
                    call.log(f"the agent could not be told to stop: {failure!r}")
                await self._checkpoints.settle(actor, call)
                self._work.look_soon(actor.task_id)
                self.on_turn_over(actor.task_id)

    async def _open_further(self, actor: TaskActor, provider: Provider, session_id: str) -> int | None:
        """One attempt to open a session beside the first; when the next one is due, if one follows."""
        settings = self._services.settings
        before = (await actor.state()).private.openings.get(session_id, Opening())
        if not settings.is_due(before.next_at, before.attempts, self._services.runtime.now()):
            return before.next_at

        await actor.commit(lambda draft: draft.begin_opening(session_id))
        timeout = settings.timeout_ms[StageName.CREATE_SESSION]
        call = await self._call(actor)
        try:
            opening = partial(self.open, actor, provider, call, session_id)
            await self._services.calls.within(timeout / 1000, actor.task_id, opening)
        except NO_FAILURES:
            raise
        except Exception as failure:  # noqa: BLE001  # a defect of an agent must not hold the session for ever
            error = task_error(failure, "opening the session", timeout, self._services.runtime.now())
            attempts = before.attempts + 1

            def fail(draft: TaskChange) -> int | None:
                if error.retryable and attempts < settings.attempts:
                    next_at = draft.now + settings.backoff(attempts, self._services.runtime.jitter())
                    draft.open_later(session_id, attempts, next_at)
                    return next_at
                draft.fail_session(session_id, replace(error, stage=StageName.CREATE_SESSION))
                return None

            return await actor.commit(fail)
        # The agent has told of options before, which may have been set since.
        self.options.queue.wake(session_id)
        return None

    async def _take_turn(self, actor: TaskActor, provider: Provider, prompt: Prompt) -> int | None:
        """Hand the next prompt over, unless that was done before (`prompt`), and follow the turn to its end.

        After a fault of this machine the prompt waits on: when to go on with it.
        """
        turn = self._turn(actor, prompt)
        call = await self._call(actor)
        timeout = self._services.settings.timeout_ms[StageName.CREATE_SESSION]
        try:
            if prompt.state is PromptState.QUEUED:
                await self._find_branch(actor, provider, call)
                # By now another one may be the next.
                following = await actor.commit(partial(begin_delivery, session_id=prompt.session_id))
                if following is None:
                    self._attempts.pop(prompt.prompt_id, None)
                    return None
                prompt, turn = following, self._turn(actor, following)
                await self._checkpoints.before(actor, call, prompt.prompt_id)
                attachments = await self._attachments(prompt)
                delivering = partial(provider.agents.deliver, call, prompt, turn, attachments)
                await self._services.calls.within(timeout / 1000, actor.task_id, delivering)
                await actor.commit(partial(begin_turn, prompt=prompt))
            turn.begin()
            self.silences.listen(prompt.session_id)
            await self._services.calls.within(
                math.inf, actor.task_id, partial(provider.agents.follow, call, prompt, turn)
            )
            # If the sandbox is gone by now, the next turn says so; this one has ended well.
            with suppress(CallError, CallTimedOutError):
                await self._find_branch(actor, provider, call)
            work = await self._work.after_turn(call)
            made = await self._checkpoints.after(actor, call, (prompt.prompt_id,))
            await actor.commit(turn.ending(partial(end_turn, prompt=prompt, work=work, made=made)))
        except NO_FAILURES:
            raise
        except Exception as failure:  # noqa: BLE001  # a defect of an agent must not lose the task
            if is_machine_fault(failure):
                attempts = self._attempts[prompt.prompt_id] = self._attempts.get(prompt.prompt_id, 0) + 1
                logger.warning("prompt %s goes on later: %s", prompt.prompt_id, failure)
                return self._next_attempt_at(attempts)
            error = task_error(failure, "handing the prompt over", timeout, self._services.runtime.now())
            error = replace(error, kind=ErrorKind.AGENT)
            if not isinstance(failure, CallError):
                # The agent may be at work: it knows nothing of a defect of ours, or of time that is up.
                self._to_stop.add(prompt.session_id)
            made = await self._checkpoints.after(actor, call, (prompt.prompt_id,))
            await actor.commit(turn.ending(partial(fail_turn, prompt=prompt, error=error, made=made)))
            self._work.look_soon(actor.task_id)
        finally:
            turn.over.set()
        self._attempts.pop(prompt.prompt_id, None)
        return None

    async def _find_branch(self, actor: TaskActor, provider: Provider, call: Call) -> None:
        """Have the task show the branch that its sandbox is on; raises `CallError` when there is no sandbox."""
        timeout = self._services.settings.timeout_ms[StageName.CREATE_SESSION]
        branch = await self._services.calls.within(timeout / 1000, actor.task_id, partial(provider.find_branch, call))
        if branch is not None and branch != call.task.branch:

            def switch(draft: TaskChange) -> None:
                if draft.status in IN_TURNS and draft.task.branch != branch:
                    draft.names.switch_branch(branch)

            await actor.commit(switch)

    async def _attachments(self, prompt: Prompt) -> NewAttachments:
        """What goes with the prompt, which its record only tells of."""
        return await self._services.storage.attachments(prompt.prompt_id) if prompt.attachments else ()

    def _turn(self, actor: TaskActor, prompt: Prompt) -> LiveTurn:
        heard, rules = partial(self.silences.heard, actor, prompt.session_id), partial(rules_of, self._services)
        return LiveTurn(actor, prompt.session_id, prompt.prompt_id, self._tasks, self._answers, heard, rules)

    async def _provider(self, actor: TaskActor) -> Provider:
        task = (await actor.state()).task
        provider = self._services.providers.get(task.provider)
        if provider is None:
            raise AgentError(f"the provider {task.provider} is not available in this backend", retryable=False)
        return provider

    async def _call(self, actor: TaskActor) -> Call:
        task = (await actor.state()).task
        repo = await self._services.storage.repo(task.repo_id)
        if repo is None:
            raise LookupError(f"the repository {task.repo_id} of task {task.task_id} is unknown")
        return Call(task=task, repo=repo, log=partial(actor.log, "turn"), detail=lambda text: None)


def _goes_on(task: TaskDetail, session: SessionSummary) -> bool:
    """Whether there may be something to do in the session: a turn goes on also when another one failed the task."""
    return task.status in READY or (task.status is TaskStatus.ERROR and session.status is SessionStatus.RUNNING)


def _session(state: TaskState, session_id: str) -> SessionSummary | None:
    return next((each for each in state.task.sessions if each.session_id == session_id), None)
