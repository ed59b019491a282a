"""One turn: which prompt is the next, what the agent tells of it, and what its end makes of the task.

What is told is gathered for 50 ms; a question waits for a person, unless a rule answers it.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain
from typing import Any

import anyio
from anyio.abc import TaskGroup

from backend_stub.domain.agent import Reply
from backend_stub.domain.errors import StaleRevisionError, StorageUnavailableError, SupersededError, TaskMovedError
from backend_stub.domain.rulings import NOTHING_KNOWN, Intent, ruling
from backend_stub.domain.storage import Private, TaskState
from backend_stub.task.actor import TaskActor
from backend_stub.task.checkpoints import record_made
from backend_stub.task.task_change import TaskChange
from foundry_tui.contract.checkpoints import Checkpoint
from foundry_tui.contract.questions import AnswerAction, Permission, PermissionState, Question
from foundry_tui.contract.records import (
    ErrorKind,
    OperationState,
    Prompt,
    PromptState,
    SessionStatus,
    SessionSummary,
    TaskDetail,
    TaskError,
)
from foundry_tui.contract.replace import replace
from foundry_tui.contract.rules import Rule
from foundry_tui.contract.status import PROVISIONING, READY, TaskStatus
from foundry_tui.contract.transcript import TranscriptKind
from foundry_tui.contract.work import Work

GATHER_SECONDS = 0.05
IN_TURNS = READY | PROVISIONING | {TaskStatus.ERROR}
"""What the task may be while a turn is in progress."""
OPEN_STATES = frozenset({PromptState.QUEUED, PromptState.DELIVERED})
"""The states of a prompt that is not done with."""


def next_prompt(prompts: Sequence[Prompt], private: Private, *, held: bool) -> Prompt | None:
    """The prompt of a session to go on with, None for none. In this order:

    the one whose turn is in progress (the backend was cut during it), one that was being handed over, and then, unless
    what waits is `held`, those that go first, and the oldest of the others.
    """
    waiting = [each for each in prompts if each.state in OPEN_STATES]
    begun = (each for each in waiting if each.state is PromptState.DELIVERED)
    cut = (each for each in waiting if each.prompt_id in private.delivering)
    first = (each for each in waiting if each.prompt_id in private.go_first)
    return next(chain(begun, cut) if held else chain(begun, cut, first, waiting), None)


def was_stopped(state: TaskState, session: SessionSummary) -> bool:
    """Whether a person stopped the last turn of a session, and nothing was handed over since."""
    prompts = state.prompts.get(session.session_id, ())
    over = [each for each in prompts if each.state not in (PromptState.QUEUED, PromptState.WITHDRAWN)]
    if (
        not over
        or session.status is not SessionStatus.READY
        or any(each.prompt_id in state.private.delivering for each in prompts)
    ):
        return False
    error = over[-1].error
    return error is not None and error.kind is ErrorKind.CANCELLED


def waits_for_operation(prompt: Prompt, task: TaskDetail, private: Private) -> bool:
    """Whether the prompt is handed over after the operation under way. One that the agent may have already is not:
    the operation waits for the end of its turn.
    """
    operation = task.operation
    return operation is not None and (
        operation.state is OperationState.RUNNING or prompt.prompt_id not in private.delivering
    )


def begin_delivery(draft: TaskChange, session_id: str) -> Prompt | None:
    """The prompt that is to be handed over, as it is now; None when none waits, or the task is at something else."""
    held = draft.session(session_id).held
    prompt = next_prompt(draft.prompts(session_id), draft.private, held=held)
    if prompt is None or prompt.state is not PromptState.QUEUED or draft.status not in READY:
        return None
    if waits_for_operation(prompt, draft.task, draft.private):
        return None
    draft.begin_delivery(prompt)
    return prompt


def begin_first_delivery(draft: TaskChange, session_id: str) -> Prompt | None:
    """The same in a task being prepared: the first prompt that waits, None when one was handed over before. One that
    failed and is made ready again goes on with whatever is the next.
    """
    prompts, session = draft.prompts(session_id), draft.session(session_id)
    if draft.is_prepared():
        following = next_prompt(prompts, draft.private, held=session.held)
        goes_on = session.status is SessionStatus.READY and draft.task.operation is None
    else:
        following = next((each for each in prompts if each.state is PromptState.QUEUED), None)
        goes_on = all(each.state in (PromptState.QUEUED, PromptState.WITHDRAWN) for each in prompts)
    if following is None or following.state is not PromptState.QUEUED or not goes_on:
        return None
    draft.begin_delivery(following)
    return following


def begin_turn(draft: TaskChange, prompt: Prompt) -> None:
    """The agent has the prompt; raises `SupersededError` when it waits no more, or its task is not ready."""
    held = draft.prompt(prompt.session_id, prompt.prompt_id)
    if held is None or held.state is not PromptState.QUEUED or draft.status not in READY:
        raise SupersededError
    draft.begin_turn(held)


def end_turn(draft: TaskChange, prompt: Prompt, work: Work | None = None, made: Sequence[Checkpoint] = ()) -> None:
    """The turn has ended well, and made this of the branch, if that is known; checkpoints were `made` of it.

    Raises `SupersededError` when it was stopped or failed before.
    """
    held = draft.prompt(prompt.session_id, prompt.prompt_id)
    if held is None or held.state is not PromptState.DELIVERED:
        raise SupersededError
    record_made(draft, made)
    draft.end_turn(held)
    draft.find_work(work)


def fail_turn(draft: TaskChange, prompt: Prompt, error: TaskError, made: Sequence[Checkpoint] = ()) -> None:
    """The turn, or the handing over of its prompt, has failed; raises `SupersededError` as `end_turn` does."""
    held = draft.prompt(prompt.session_id, prompt.prompt_id)
    # What waits in a task that failed meanwhile waits on, until that is tried again.
    open_states = OPEN_STATES if draft.status in READY else {PromptState.DELIVERED}
    if held is None or held.state not in open_states or draft.status not in IN_TURNS:
        raise SupersededError
    record_made(draft, made)
    draft.fail_turn(held, error)


class Answers:
    """Wakes the turns that wait for the answer to a question."""

    def __init__(self) -> None:
        self._waiting: dict[str, anyio.Event] = {}

    def settled(self, permission_id: str) -> None:
        """The question was answered or cancelled."""
        event = self._waiting.pop(permission_id, None)
        if event is not None:
            event.set()

    def event(self, permission_id: str) -> anyio.Event:
        """What is set when the question is settled next."""
        return self._waiting.setdefault(permission_id, anyio.Event())


async def _first_of(*events: anyio.Event) -> None:
    """Wait until one of them is set."""

    async def wait(event: anyio.Event) -> None:
        await event.wait()
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for event in events:
            group.start_soon(wait, event)


class LiveTurn:
    """See `backend_stub.domain.agent.Turn`. What the agent says before `begin` is committed after it."""

    def __init__(
        self,
        actor: TaskActor,
        session_id: str,
        prompt_id: str,
        tasks: TaskGroup,
        answers: Answers,
        heard: Callable[[], None],
        rules_of: Callable[[str], Awaitable[Sequence[Rule]]],
    ) -> None:
        """`heard` is called with each thing that the agent tells. `rules_of` gives the config's rules about permission
        in a repository, by its id.
        """
        self.over = anyio.Event()
        self._actor = actor
        self._heard = heard
        self._rules_of = rules_of
        self._session_id = session_id
        self._prompt_id = prompt_id
        self._tasks = tasks
        self._answers = answers
        self._told: dict[str, tuple[TranscriptKind, str | dict[str, Any]]] = {}
        self._begun = False
        self._flushing = False

    def begin(self) -> None:
        """The prompt is now noted as delivered: from here on what the agent says is committed."""
        self._begun = True
        self._flush_soon()

    async def say(self, key: str, kind: TranscriptKind, body: str | dict[str, Any]) -> None:
        self._heard()
        self._told[self._item_id(key)] = (kind, body)
        self._flush_soon()

    async def ask(self, key: str, question: Question, intent: Intent = NOTHING_KNOWN) -> str | None:
        return (await self._asked(key, question, anyio.Event(), intent)).answer

    async def elicit(self, key: str, question: Question, over: anyio.Event) -> Reply:
        held = await self._asked(key, question, over, NOTHING_KNOWN)
        done = AnswerAction.CANCEL if held.answer is None else AnswerAction(held.answer)
        answers = (await self._actor.state()).private.form_answers
        return Reply(done, answers.get(held.permission_id, {}))

    async def _asked(self, key: str, question: Question, over: anyio.Event, intent: Intent) -> Permission:
        """The question once it is no longer open: answered, cancelled, or accepted as soon as it is `over`."""
        self._heard()
        digest = hashlib.sha256(f"{self._prompt_id}\0{key}".encode()).hexdigest()
        permission_id = f"perm-{digest[:24]}"
        configured = await self._rules_of((await self._actor.state()).task.repo_id)

        def opened(draft: TaskChange) -> Permission:
            self._expect_delivered(draft)
            if (held := draft.question(permission_id)) is not None:
                return held
            self._tell(draft)
            self._told.clear()
            # A question that is answered by a rule is never open: both are one commit.
            rules = (*configured, *draft.private.rules)
            ruled = ruling(question, intent, rules, draft.task.permission_policy)
            permission = Permission(
                **{name: getattr(question, name) for name in Question.__struct_fields__},
                permission_id=permission_id,
                task_id=draft.task.task_id,
                session_id=self._session_id,
                state=PermissionState.OPEN,
                answered_by=None if ruled is None else ruled.answered_by,
                at=draft.now,
            )
            draft.questions.open(permission, self._item_id(key))
            if ruled is None:
                return permission
            draft.questions.answer(permission_id, ruled.option_id)
            return replace(permission, state=PermissionState.ANSWERED, answer=ruled.option_id)

        def ended(draft: TaskChange) -> None:
            held = draft.question(permission_id)
            if held is not None and held.state is PermissionState.OPEN:
                draft.questions.reply(held, AnswerAction.ACCEPT, by="agent")

        event = self._answers.event(permission_id)
        permission = await self._actor.commit(opened)
        while permission.state is PermissionState.OPEN:
            await _first_of(event, over)
            if over.is_set():
                await self._actor.commit(ended)
                self._answers.settled(permission_id)
            event = self._answers.event(permission_id)
            held = (await self._actor.state()).task.permissions
            permission = next(each for each in held if each.permission_id == permission_id)
        # The agent was silent for a person's sake.
        self._heard()
        return permission

    def ending(self, end: Callable[[TaskChange], None]) -> Callable[[TaskChange], None]:
        """The change that writes what has not been written of the turn, and then does what `end` does."""

        def decide(draft: TaskChange) -> None:
            if self._has_begun(draft):
                self._tell(draft)
            end(draft)
            self._told.clear()

        return decide

    def _item_id(self, key: str) -> str:
        # No prompt_id has a colon in it, so that no item of a turn has the id of a prompt.
        return f"{self._prompt_id}:{key}"

    def _expect_delivered(self, draft: TaskChange) -> None:
        """Raise `SupersededError` unless the turn is in progress."""
        prompt = draft.prompt(self._session_id, self._prompt_id)
        if prompt is None or prompt.state is not PromptState.DELIVERED:
            raise SupersededError

    def _has_begun(self, draft: TaskChange) -> bool:
        """Whether the turn's prompt is in the transcript already, so that what the agent said comes behind it."""
        prompt = draft.prompt(self._session_id, self._prompt_id)
        return self._begun and prompt is not None and prompt.state is not PromptState.QUEUED

    def _tell(self, draft: TaskChange) -> None:
        draft.agents.tell_silence(self._session_id)
        for item_id, (kind, body) in self._told.items():
            draft.say(self._session_id, item_id, kind, body)

    def _flush_soon(self) -> None:
        if self._begun and self._told and not self._flushing:
            self._flushing = True
            self._tasks.start_soon(self._flush_later)

    async def _flush_later(self) -> None:
        await anyio.sleep(GATHER_SECONDS)
        self._flushing = False
        told = dict(self._told)

        def flush(draft: TaskChange) -> None:
            # What was said until a turn was stopped is written after that too.
            if not self._has_begun(draft):
                raise SupersededError
            self._tell(draft)
            self._told.clear()

        try:
            await self._actor.commit(flush)
        except TaskMovedError:
            self._told.clear()
        except (StorageUnavailableError, StaleRevisionError):
            self._told = told | self._told
            self._flush_soon()
