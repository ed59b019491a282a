"""Does operations for the dispatcher, one at a time for a task, while no turn runs; the rows say how far each is."""

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from itertools import count
from uuid import NAMESPACE_OID, uuid5

import anyio

from backend_stub.domain.call import Call
from backend_stub.domain.errors import CallError, CallTimedOutError, SupersededError
from backend_stub.domain.storage import Storage, TaskState
from backend_stub.domain.way_home import Done, WayHome
from backend_stub.task.actor import TaskActor
from backend_stub.task.checkpoints import record_made
from backend_stub.task.failures import NO_FAILURES, task_error
from backend_stub.task.services import Services
from backend_stub.task.task_change import TaskChange
from backend_stub.task.work import WorkFinder
from foundry_tui.contract.pull_request import IN_PROGRESS, Checks, Mergeable
from foundry_tui.contract.records import ErrorKind, Operation, OperationState, PromptState, SessionStatus
from foundry_tui.contract.replace import replace
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.transcript import TranscriptKind

AT_ONCE = 8
"""Operations of all tasks that run at once."""
LIMIT = 900.0
"""Seconds that an operation may take."""
CANCELLED = "cancelled"
"""The note of an operation that a person has cancelled while it ran."""
READY_FOR = frozenset({TaskStatus.IDLE, TaskStatus.ERROR})
"""What a task is while an operation begins; `error` only after all stages are done."""


class Operations:
    """Begins each operation once no turn runs, and has the task's provider do it."""

    def __init__(
        self,
        services: Services,
        work: WorkFinder,
        go_on: Callable[[TaskActor], Awaitable[None]],
    ) -> None:
        """`go_on` wakes the task's sessions."""
        self._services = services
        self._work = work
        self._go_on = go_on
        self.on_archived: Callable[[TaskState], None] | None = None
        """Told of a task that is to be released from now on."""
        self.on_ended: Callable[[str], None] = lambda task_id: None
        """Called with the id of a task whose operation has ended."""
        self.queue = services.dispatcher.queue("operation", self._run, AT_ONCE, LIMIT)

    async def cancelled(self, task_id: str) -> None:
        """One was cancelled in the task's rows: end what runs of it, and have what waited for it go on."""
        self.queue.cancel(task_id)
        self.queue.wake(task_id)
        await self._go_on(self._services.actors.of(task_id))

    async def _run(self, task_id: str) -> int | None:
        """Do what is under way in the task, if its turn has come; the end of a turn wakes it again."""
        actor = self._services.actors.of(task_id)
        operation = await actor.commit(_begin)
        if operation is None:
            return None
        progress = _Kept(self._services.storage, actor, operation, (await actor.state()).private.operation_notes)
        try:
            if CANCELLED in progress.notes:
                await self._abandon(actor, operation, progress)
                await actor.commit(lambda draft: draft.operations.cancel("The operation was cancelled."))
            else:
                done = await self._do(actor, operation, progress)
                # What is done is not to be taken back by a cancel that comes now.
                with anyio.CancelScope(shield=True):
                    await self._finish(actor, operation, done)
        except NO_FAILURES:
            raise
        except CallTimedOutError as failure:
            await self._abandon(actor, operation, progress)
            await self._fail(actor, operation, failure)
        except Exception as failure:  # noqa: BLE001  # a defect of a provider must not hold the task for ever
            if not isinstance(failure, CallError):
                # Whoever says in words why it could not be done has left nothing half-way; this one knew nothing of it.
                await self._abandon(actor, operation, progress)
            await self._fail(actor, operation, failure)
        self._work.look_at_what_is_left(task_id, operation.operation_id)
        self.on_ended(task_id)
        await self._go_on(actor)
        return None

    async def _finish(self, actor: TaskActor, operation: Operation, done: Done) -> None:
        task = (await actor.state()).task
        for session in task.sessions:
            await actor.load_items(session.session_id)
        lost = await self._would_lose(actor) if done.archive else ()
        if lost:
            # A task that still has what is nowhere else stays.
            done = dataclasses.replace(done, archive=False, result={**done.result, "not_archived": list(lost)})
        await actor.commit(partial(_finish, operation=operation, done=done))
        if done.archive and self.on_archived is not None:
            self.on_archived(await actor.state())

    async def _would_lose(self, actor: TaskActor) -> Sequence[str]:
        """What archiving would lose now: what is known of it may be of before the commit that was made a moment ago."""
        _, call = await self._side(actor)
        await self._work.look_now(call)
        return self._services.providers[call.task.provider].would_lose(call.task, delete_branch=False)

    async def _fail(self, actor: TaskActor, operation: Operation, failure: Exception) -> None:
        doing = f"the operation {operation.kind}"
        error = task_error(failure, doing, round(LIMIT * 1000), self._services.runtime.now())
        if isinstance(failure, CallError):
            error = replace(error, kind=ErrorKind.GIT)
        await actor.commit(lambda draft: draft.operations.fail(_expected(draft, operation), error))

    async def _abandon(self, actor: TaskActor, operation: Operation, progress: "_Kept") -> None:
        """Have the provider take back what is half-done; what it cannot is logged."""
        way_home, call = await self._side(actor)
        try:
            await self._services.calls.within(LIMIT, None, partial(way_home.abandon, call, operation, progress))
        except NO_FAILURES:
            raise
        except Exception as failure:  # noqa: BLE001  # a defect of a provider must not hold the task for ever
            actor.log("turn", f"what the operation {operation.kind} left could not be taken back: {failure}")

    async def _do(self, actor: TaskActor, operation: Operation, progress: "_Kept") -> Done:
        way_home, call = await self._side(actor)
        doing = partial(way_home.operate, call, operation, progress)
        return await self._services.calls.within(LIMIT, actor.task_id, doing)

    async def _side(self, actor: TaskActor) -> tuple[WayHome, Call]:
        task = (await actor.state()).task
        provider, repo = self._services.providers.get(task.provider), await self._services.storage.repo(task.repo_id)
        if provider is None or repo is None:
            raise CallError(f"the provider {task.provider} is not available in this backend", retryable=False)
        return provider.way_home, Call(task=task, repo=repo, log=partial(actor.log, "turn"), detail=lambda text: None)


class _Kept:
    """See `backend_stub.domain.way_home.Progress`: kept in the task's rows."""

    def __init__(self, storage: Storage, actor: TaskActor, operation: Operation, notes: Mapping[str, str]) -> None:
        self._storage = storage
        self._actor = actor
        self._operation = operation
        self.notes = notes

    async def last_words(self) -> str | None:
        return await self._storage.last_words(self._operation.task_id)

    async def prompt(self, prompt_id: str | None) -> str:
        held = (await self._actor.state()).prompts.values()
        return next((each.text for prompts in held for each in prompts if each.prompt_id == prompt_id), "")

    async def step(self, name: str) -> None:
        def begin(draft: TaskChange) -> Mapping[str, str]:
            draft.operations.begin_step(_expected(draft, self._operation), name)
            return draft.private.operation_notes

        self.notes = await self._actor.commit(begin)

    async def tell(self, detail: str) -> None:
        await self._actor.commit(lambda draft: draft.operations.tell_step(_expected(draft, self._operation), detail))

    async def note(self, name: str, value: str) -> None:
        def note(draft: TaskChange) -> Mapping[str, str]:
            _expected(draft, self._operation)
            draft.operations.note(name, value)
            return draft.private.operation_notes

        self.notes = await self._actor.commit(note)


def _begin(draft: TaskChange) -> Operation | None:
    """What is to be done now: None while a turn runs, and when nothing is under way."""
    operation = draft.operations.under_way
    if operation is None or operation.state is OperationState.RUNNING:
        return operation
    if draft.status not in READY_FOR or any(each.status is SessionStatus.RUNNING for each in draft.task.sessions):
        return None
    if draft.private.delivering:
        # The agent may have the prompt, and be at work on it.
        return None
    draft.operations.begin(operation)
    return draft.operations.under_way


def _expected(draft: TaskChange, operation: Operation) -> Operation:
    """The operation as it is now; raises `SupersededError` when it is not the one under way any more."""
    held = draft.operations.under_way
    if held is None or held.operation_id != operation.operation_id:
        raise SupersededError
    return held


def _finish(draft: TaskChange, operation: Operation, done: Done) -> None:
    """All is done, and what follows from it begins: a kill between the two would leave it undone."""
    record_made(draft, done.checkpoints)
    open_sessions = [each for each in draft.task.sessions if each.status is not SessionStatus.CLOSED]
    result = dict(done.result)
    if done.prompt is not None and open_sessions:
        session_id = open_sessions[0].session_id
        prompt_id = _once(draft, session_id, done.prompt) if done.once else draft.new_id()
        result |= {"handed_over": prompt_id is not None}
        if prompt_id is not None:
            draft.queue_prompt(session_id, prompt_id, done.prompt)
    draft.operations.finish(_expected(draft, operation), result)
    if done.pull_request is not None:
        draft.find_pull_request(done.pull_request)
    held = draft.task.pull_request
    if done.pushed and held is not None and held.state in IN_PROGRESS:
        # No check has seen the new commit, and who waits for its checks is not to be told of others.
        draft.find_pull_request(replace(held, checks=Checks(), mergeable=Mergeable.UNKNOWN))
    if done.notice is not None:
        for session in open_sessions:
            draft.say(session.session_id, f"operation:{operation.operation_id}", TranscriptKind.NOTICE, done.notice)
    if done.archive:
        draft.begin_release(archive=True, force=False, delete_branch=False)


def _once(draft: TaskChange, session_id: str, text: str) -> str | None:
    """The id of a prompt with this text; None when the session has one that was not given up."""
    for attempt in count():
        prompt_id = str(uuid5(NAMESPACE_OID, f"{session_id}\0{attempt}\0{text}"))
        held = draft.prompt(session_id, prompt_id)
        if held is None:
            return prompt_id
        if held.state not in (PromptState.FAILED, PromptState.WITHDRAWN):
            return None
    raise AssertionError("counting has no end")
