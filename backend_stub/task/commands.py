"""What people ask of a task that exists. A command is one commit through the task's actor; then work is woken."""

from collections.abc import Callable, Sequence
from typing import BinaryIO, TypeVar

import anyio

from backend_stub.domain.attachments import check_attachments, check_room
from backend_stub.domain.call import Call
from backend_stub.domain.clock import Runtime
from backend_stub.domain.dispatch import Queue
from backend_stub.domain.errors import (
    CallError,
    IdTakenError,
    RefusedError,
    UnknownTaskError,
    conflict,
    not_found,
    wrong_values,
)
from backend_stub.domain.hosts import Hosts
from backend_stub.domain.names import check_name, check_title
from backend_stub.domain.options import offered, why_not
from backend_stub.domain.provider import Provider
from backend_stub.domain.settings import MAX_QUEUED_PROMPTS, MAX_QUEUED_TEXT
from backend_stub.domain.storage import Storage, TaskState
from backend_stub.known_agents import KnownAgents
from backend_stub.task.actor import Actors, TaskActor
from backend_stub.task.answers import answer_question
from backend_stub.task.release import Releasing
from backend_stub.task.sessions import Sessions
from backend_stub.task.task_change import TaskChange
from foundry_tui.contract.ids import is_id
from foundry_tui.contract.questions import Permission, PermissionState, QuestionKind
from foundry_tui.contract.records import (
    ErrorKind,
    Prompt,
    PromptState,
    SessionDetail,
    SessionStatus,
    SessionSummary,
    TaskDetail,
    TaskError,
)
from foundry_tui.contract.replace import replace
from foundry_tui.contract.requests import (
    AnswerPermission,
    CreatePrompt,
    CreateSession,
    EditPrompt,
    PatchTask,
    ReleaseTask,
    RetryTask,
    SetOption,
)
from foundry_tui.contract.status import ENDED, PROVISIONING, READY, RELEASING, TaskStatus

T = TypeVar("T")

RETRY = RetryTask()
PATCH_SECONDS = 120.0
"""How long a patch may take that somebody waits for."""

_IS_NOW: dict[TaskStatus, str] = {
    **dict.fromkeys(PROVISIONING, "is being prepared"),
    TaskStatus.RUNNING: "is working",
    TaskStatus.IDLE: "is ready",
    TaskStatus.ERROR: "has failed",
    TaskStatus.ARCHIVING: "is being archived",
    TaskStatus.ARCHIVED: "is archived",
    TaskStatus.KILLING: "is being killed",
    TaskStatus.KILLED: "is killed",
}
"""What a task of each status is, as it completes a refusal."""
_TOO_LATE: dict[PromptState, str] = {
    PromptState.DELIVERED: "is with the agent",
    PromptState.ANSWERED: "is answered",
    PromptState.FAILED: "has failed",
    PromptState.WITHDRAWN: "is withdrawn",
}
"""What became of a prompt that waits no more, as it completes a refusal."""


class Commands:
    """Every method raises `RefusedError` when the command cannot be done."""

    def __init__(
        self,
        storage: Storage,
        actors: Actors,
        sessions: Sessions,
        provisioning: Queue,
        release: Releasing,
        providers: dict[str, Provider],
        agents: KnownAgents,
        hosts: Hosts,
        runtime: Runtime,
    ) -> None:
        self._storage = storage
        self._actors = actors
        self._sessions = sessions
        self._provisioning = provisioning
        self._release = release
        self._providers = providers
        self._agents = agents
        self._hosts = hosts
        self._runtime = runtime

    async def task(self, task_id: str) -> TaskDetail:
        """The task with the end of its history."""
        task = await self._storage.task(task_id)
        if task is None:
            raise not_found(f"task {task_id}")
        return task

    def as_heard(self, session: SessionDetail) -> SessionDetail:
        """The session as it says since when its agent is silent, to the last word."""
        if session.turn_silent_since is None:
            return session
        heard = self._actors.of(session.task_id).heard.get(session.session_id, 0)
        return replace(session, turn_silent_since=max(session.turn_silent_since, heard))

    async def patch(self, task_id: str, request: PatchTask) -> TaskDetail:
        if request.title is not None and (why := check_title(request.title)):
            raise wrong_values(("title", why))

        def patch(draft: TaskChange) -> None:
            if request.title is not None and request.title != draft.task.title:
                draft.rename(request.title)
            if request.unread is not None:
                draft.mark_unread(request.unread)
            if request.unread is False:
                for session in draft.task.sessions:
                    draft.mark_session_unread(session.session_id, False)

        await self._commit(task_id, patch)
        return await self.task(task_id)

    async def retry(self, task_id: str, request: RetryTask = RETRY) -> TaskDetail:
        """Go on from the stage that failed. After a failed turn the task is ready again; `resend` has its prompt sent
        again.
        """

        def retry(draft: TaskChange) -> None:
            if draft.private.went_on and not request.resend and draft.status in PROVISIONING | READY:
                # A prompt has made the task go on already.
                draft.forgive_retry()
                return
            if draft.status is not TaskStatus.ERROR:
                raise conflict(f"Only a task that failed can be retried; this one {_IS_NOW[draft.status]}.")
            if (stranger := draft.offers.leave_out(request.without)) is not None:
                raise wrong_values(("without", f"No session that is yet to be opened was asked for {stranger}."))
            failed = _failed_prompts(draft) if request.resend else []
            # A prompt of an earlier retry that still waits is sent now.
            if request.resend and not (failed or draft.private.go_first) and _is_ready_but_failed(draft):
                raise conflict("No prompt failed that could be sent again; retry without that makes the task ready.")
            draft.go_on(resend=request.resend)
            for prompt in failed:
                draft.queue_again(prompt)

        await self._commit(task_id, retry)
        self._provisioning.wake(task_id)
        return await self.task(task_id)

    async def end(self, task_id: str, request: ReleaseTask, *, archive: bool) -> TaskDetail:
        """Archive or kill, at any moment; a task that is being ended, or has ended, is left as it is."""
        actor = self._actors.of(task_id)
        task = await self._state_of(actor)
        if task.status in ENDED | RELEASING:
            return await self.task(task_id)
        would_lose = self._would_lose(task, delete_branch=request.delete_branch)
        if would_lose and not request.force:
            raise conflict(
                f"This would lose {'; '.join(would_lose)}, as it was last looked at. If that has changed since, ask "
                "again; or say force to do it all the same.",
                would_lose=would_lose,
            )

        def end(draft: TaskChange) -> None:
            if draft.status not in ENDED | RELEASING:
                draft.begin_release(archive=archive, force=request.force, delete_branch=request.delete_branch)

        await self._commit(task_id, end)
        self.release(await actor.state())
        return await self.task(task_id)

    def _would_lose(self, task: TaskDetail, *, delete_branch: bool) -> tuple[str, ...]:
        provider = self._providers.get(task.provider)
        if provider is None:
            return ()
        if provider.bound and task.sandbox is not None and not self._hosts.has(task.host):
            return (f"whatever is in its sandbox alone, which is on the host {task.host}, and that is away",)
        return tuple(provider.would_lose(task, delete_branch=delete_branch))

    def release(self, state: TaskState) -> None:
        """End what goes on in the task and have it released, now that its rows say that it is to be."""
        self._release.cancel_work(state.task)
        for permission in state.task.permissions:
            self._sessions.settled(permission.permission_id)
        self._release.queue.wake(state.task.task_id)

    async def write_patch(self, task: TaskDetail, into: BinaryIO) -> None:
        """Write all changes in the task's sandbox, as they are now, as a patch."""
        provider, repo = self._providers.get(task.provider), await self._storage.repo(task.repo_id)
        if provider is None or repo is None:
            raise conflict(f"The provider {task.provider} is not available in this backend.")
        call = Call(task=task, repo=repo, log=lambda text: None, detail=lambda text: None)
        try:
            with anyio.fail_after(PATCH_SECONDS):
                found = await provider.write_patch(call, into)
        except TimeoutError:
            raise RefusedError(503, f"The changes were not compared within {PATCH_SECONDS:g} s. Try again.") from None
        except CallError as error:
            raise RefusedError(503 if error.retryable else 409, error.message) from None
        if not found:
            raise conflict(f"There is no patch of a task that {_IS_NOW[task.status]} and has no sandbox.")

    async def prune(self, task_id: str) -> None:
        task = await self._state_of(self._actors.of(task_id))
        if task.status not in ENDED:
            raise conflict(f"Only an archived or killed task can be pruned; this one {_IS_NOW[task.status]}.")
        await self._storage.prune(task_id)
        self._actors.forget(task_id)
        provider = self._providers.get(task.provider)
        if provider is not None:
            provider.forget(task_id)

    async def add_session(self, task_id: str, request: CreateSession) -> SessionSummary:
        if request.session_id is not None and not is_id(request.session_id):
            raise wrong_values(("session_id", "A session_id is 1 to 128 letters, digits, dots, dashes or underscores."))
        for field, value in (("agent", request.agent), ("name", request.name)):
            if value is not None and (why := check_name(f"The {field}", value)):
                raise wrong_values((field, why))
        session_id = request.session_id or self._runtime.new_id()
        holder = await self._storage.task_of_session(session_id)
        if holder not in (None, task_id):
            raise conflict("This session_id belongs to another task.")
        if holder is None and request.agent is not None:
            provider = (await self._state_of(self._actors.of(task_id))).provider
            if (why := await self._agents.why_not(provider, request.agent)) is not None:
                raise wrong_values(("agent", why))

        def add(draft: TaskChange) -> SessionSummary:
            for session in draft.task.sessions:
                if session.session_id == session_id:
                    return session
            _refuse_ended(draft)
            agent = request.agent or draft.task.agent
            session = SessionSummary(
                session_id=session_id,
                task_id=task_id,
                name=request.name or f"{agent} {len(draft.task.sessions) + 1}",
                agent=agent,
                status=SessionStatus.PENDING_CREATE if draft.status in READY else SessionStatus.PENDING_PROVISION,
                created_at=draft.now,
                updated_at=draft.now,
                revision=0,
            )
            draft.request_session(session)
            draft.offers.ask(session_id, request.options or {})
            return replace(session, revision=1)

        try:
            session = await self._commit(task_id, add)
        except IdTakenError:
            raise conflict("This session_id belongs to another task.") from None
        self._sessions.queue.wake(session_id)
        return session

    async def close_session(self, session_id: str) -> SessionSummary:
        def close(draft: TaskChange) -> None:
            error = TaskError(
                kind=ErrorKind.CANCELLED, message="The session was closed.", retryable=False, at=draft.now
            )
            draft.questions.cancel(session_id)
            draft.close_session(session_id, error)
            draft.settle()

        task_id = await self._task_of(session_id)
        await self._commit(task_id, close)
        self._sessions.close(session_id)
        return await self._session(task_id, session_id)

    async def set_option(self, session_id: str, option_id: str, request: SetOption) -> SessionSummary:
        """Keep what an option is set to; its agent is told behind, also while it works."""

        def set_option(draft: TaskChange) -> None:
            _refuse_ended(draft)
            if draft.session(session_id).status is SessionStatus.CLOSED:
                raise conflict("The session is closed; open another one.")
            options = draft.offer(session_id).options
            option = next((each for each in options if each.option_id == option_id), None)
            if option is None:
                raise not_found(f"option {option_id} in this session; there is {offered(options)}")
            if (why := why_not(option, request.value)) is not None:
                raise wrong_values(("value", why))
            if draft.offers.differs(session_id, option, request.value):
                draft.offers.set(session_id, option, request.value)

        task_id = await self._task_of(session_id)
        await self._commit(task_id, set_option)
        self._sessions.options.queue.wake(session_id)
        return await self._session(task_id, session_id)

    async def stop(self, session_id: str, *, hold: bool = False) -> SessionSummary:
        """Stop the turn that runs, at once; it is no failure when none runs. `hold`: what waits waits on after it."""
        task_id = await self._task_of(session_id)
        if await self._commit(task_id, lambda draft: draft.stop_turn(session_id, hold=hold)):
            self._sessions.stop(session_id)
        return await self._session(task_id, session_id)

    async def go_on(self, session_id: str) -> SessionSummary:
        """Hand over what waits in a session where it was held after a stop; nothing held is success."""

        def let_go(draft: TaskChange) -> None:
            _refuse_ended(draft)
            draft.let_go(session_id)

        task_id = await self._task_of(session_id)
        await self._commit(task_id, let_go)
        self._sessions.queue.wake(session_id)
        return await self._session(task_id, session_id)

    async def restart_agent(self, task_id: str) -> TaskDetail:
        """End the task's agent, with the turns that run, and begin it anew; a task in error goes on at its retry."""

        def restart(draft: TaskChange) -> list[str]:
            _refuse_ended(draft)
            if not draft.is_prepared():
                raise conflict(f"There is no agent to restart yet: the task {_IS_NOW[draft.status]}.")
            return draft.restart_agent()

        stopped = await self._commit(task_id, restart)
        self._sessions.restart(await self._state_of(self._actors.of(task_id)), stopped)
        return await self.task(task_id)

    async def prompt(self, session_id: str, request: CreatePrompt) -> Prompt:
        """Keep a prompt until it can be handed over; one that is known already is answered as it is now."""
        if not is_id(request.prompt_id):
            raise wrong_values(("prompt_id", "A prompt_id is 1 to 128 letters, digits, dots, dashes or underscores."))
        _check_text(request.text)
        check_attachments(request.attachments, request.text)
        task_id = await self._task_of(session_id)

        def queue(draft: TaskChange) -> tuple[Prompt, bool]:
            held = draft.prompt(session_id, request.prompt_id)
            if held is not None:
                return held, False
            _refuse_ended(draft)
            if draft.session(session_id).status is SessionStatus.CLOSED:
                raise conflict("The session is closed; open another one.")
            waiting = [each for each in draft.prompts(session_id) if each.state is PromptState.QUEUED]
            if len(waiting) >= MAX_QUEUED_PROMPTS:
                raise conflict(
                    f"{MAX_QUEUED_PROMPTS} prompts wait in this session already; let some be answered first."
                )
            _check_length(waiting, request.text)
            check_room(waiting, request.attachments)
            # What goes with a prompt goes with a turn of its own.
            goes_in = draft.steers.possible(session_id) and not request.attachments
            stopped = request.steer and not goes_in and draft.stop_turn(session_id)
            if draft.status in READY:
                draft.revive_session(session_id)
            prompt = draft.queue_prompt(
                session_id, request.prompt_id, request.text, request.attachments, steer=request.steer
            )
            if _is_ready_but_failed(draft):
                # Nothing is to be prepared again: whoever says more wants the conversation to go on.
                draft.go_on(for_prompt=True)
            return prompt, stopped

        try:
            prompt, stopped = await self._commit(task_id, queue)
        except IdTakenError:
            raise conflict("This prompt_id belongs to another session.") from None
        if stopped:
            self._sessions.stop(session_id)
        self._provisioning.wake(task_id)
        self._sessions.queue.wake(session_id)
        self._sessions.steering.queue.wake(session_id)
        return prompt

    async def edit_prompt(self, session_id: str, prompt_id: str, request: EditPrompt) -> Prompt:
        """Give a prompt that waits another text."""
        _check_text(request.text)

        def edit(draft: TaskChange) -> Prompt:
            held = _waiting_prompt(draft, session_id, prompt_id)
            if held.text == request.text:
                return held
            others = [each for each in draft.prompts(session_id) if each.state is PromptState.QUEUED]
            _check_length([each for each in others if each is not held], request.text)
            return draft.edit_prompt(held, request.text)

        return await self._commit(await self._task_of(session_id), edit)

    async def withdraw_prompt(self, session_id: str, prompt_id: str) -> Prompt:
        """Take back a prompt that waits."""

        def withdraw(draft: TaskChange) -> Prompt:
            return draft.withdraw_prompt(_waiting_prompt(draft, session_id, prompt_id))

        return await self._commit(await self._task_of(session_id), withdraw)

    async def answer(self, permission_id: str, request: AnswerPermission) -> Permission:
        task_id = await self._storage.task_of_permission(permission_id)
        if task_id is None:
            raise not_found(f"permission request {permission_id}")

        def answer(draft: TaskChange) -> Permission:
            held = draft.question(permission_id)
            if held is None or held.state is not PermissionState.OPEN:
                raise conflict("This question is no longer open.")
            return answer_question(draft, held, request)

        actor = self._actors.of(task_id)
        for asked in (await self._state_of(actor)).permissions:
            if asked.permission_id == permission_id and asked.kind is not QuestionKind.PERMISSION:
                await actor.load_items(asked.session_id)
        permission = await self._commit(task_id, answer)
        self._sessions.settled(permission_id)
        return permission

    async def _commit(self, task_id: str, decide: Callable[[TaskChange], T]) -> T:
        try:
            return await self._actors.of(task_id).commit_asked(decide)
        except UnknownTaskError:
            raise not_found(f"task {task_id}") from None

    async def _state_of(self, actor: TaskActor) -> TaskDetail:
        try:
            return (await actor.settled()).task
        except UnknownTaskError:
            raise not_found(f"task {actor.task_id}") from None

    async def _task_of(self, session_id: str) -> str:
        task_id = await self._storage.task_of_session(session_id)
        if task_id is None:
            raise not_found(f"session {session_id}")
        return task_id

    async def _session(self, task_id: str, session_id: str) -> SessionSummary:
        task = await self._state_of(self._actors.of(task_id))
        return next(session for session in task.sessions if session.session_id == session_id)


def _refuse_ended(draft: TaskChange) -> None:
    if draft.status in ENDED | RELEASING:
        raise conflict(f"The task {_IS_NOW[draft.status]}; create a new one.")


def _check_text(text: str) -> None:
    if not text.strip():
        raise wrong_values(("text", "Say something: the prompt is empty."))


def _check_length(waiting: Sequence[Prompt], text: str) -> None:
    """A prompt may be as long as a request; those that wait beside others are bounded together."""
    if waiting and sum(len(each.text) for each in waiting) + len(text) > MAX_QUEUED_TEXT:
        raise conflict("The prompts that wait in this session are too long together; let some be answered.")


def _waiting_prompt(draft: TaskChange, session_id: str, prompt_id: str) -> Prompt:
    """The prompt, which nobody has begun to hand over yet; raises `RefusedError`: 404, or 409 when it is too late."""
    held = draft.prompt(session_id, prompt_id)
    if held is None:
        raise not_found(f"prompt {prompt_id} in session {session_id}")
    if held.state is not PromptState.QUEUED:
        raise conflict(f"This prompt {_TOO_LATE[held.state]}: only one that waits can be edited or withdrawn.")
    if prompt_id in draft.private.delivering:
        raise conflict("The agent may have this prompt by now: stop the turn, or say more.")
    return held


def _is_ready_but_failed(draft: TaskChange) -> bool:
    """Whether the task was prepared to the end and failed later: in a turn, or as its agent was lost."""
    return draft.status is TaskStatus.ERROR and draft.is_prepared()


def _failed_prompts(draft: TaskChange) -> list[Prompt]:
    """Of each failed session the prompt whose turn, or handing over, has failed it."""
    return [
        prompt
        for session in draft.task.sessions
        if session.status is SessionStatus.ERROR
        for prompt in draft.prompts(session.session_id)
        if prompt.state is PromptState.FAILED and prompt.error == session.error
    ]
