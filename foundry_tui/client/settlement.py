"""Brings what a person asked for to its end: the backend has taken it, has refused it, or never will have it."""

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import anyio
import msgspec
from msgspec.structs import replace

from foundry_tui.client.api import Api
from foundry_tui.client.changes import Changes
from foundry_tui.client.commands import CommandProblem
from foundry_tui.client.creations import Creation, CreationState, RequestedSession
from foundry_tui.client.delivery import PATIENCE, Delivery
from foundry_tui.client.errors import ProblemError, RequestError, UnreachableError
from foundry_tui.client.kept_commands import Answer, KeptCommand
from foundry_tui.client.outbox import Outbox
from foundry_tui.client.store import Store
from foundry_tui.client.task_defaults import TaskDefaults
from foundry_tui.contract.attachments import Attachment, NewAttachments
from foundry_tui.contract.options import OptionValue
from foundry_tui.contract.problems import Problem
from foundry_tui.contract.records import ErrorKind, Prompt, PromptState, SessionSummary, TaskDetail, TaskError
from foundry_tui.contract.requests import CreatePrompt, EditPrompt


class Settlement:
    """Sends creations, sessions, prompts and other commands by the delivery, and settles each by its answer.

    To settle is to drop it from the outbox and to have the store show what the backend committed. A failure is told to
    `report`. What concerns a task or a session that the backend does not have yet waits until it does.
    """

    def __init__(
        self, api: Api, store: Store, outbox: Outbox, delivery: Delivery, report: Callable[[CommandProblem], None]
    ) -> None:
        self.on_settled: Callable[[], None] = lambda: None
        """Called each time that a task or a session has become real, or never will."""
        self._api = api
        self._store = store
        self._outbox = outbox
        self._delivery = delivery
        self._report = report
        self._expected: dict[str, anyio.Event] = {}
        """Tasks and sessions, by id, that the backend has not confirmed; each event is set when that is settled."""
        self._unsent: set[str] = set()
        """Prompts, by id, that cannot have reached the backend yet."""
        self._waiting: Counter[str] = Counter()
        """How many commands wait for each of them."""

    @property
    def under_way(self) -> bool:
        """Whether a command is unsettled that does not wait for a task that the backend has refused."""
        refused = [one.task_id for one in self._store.creations.values() if one.state is CreationState.REFUSED]
        return self._delivery.unsettled > sum(self._waiting[task_id] for task_id in refused)

    def expect(self, id_: str) -> None:
        """The backend does not have this task or session: what concerns it waits until it is settled."""
        self._expected.setdefault(id_, anyio.Event())

    def send_creation(self, task_id: str) -> None:
        """Ask for a pending creation until the backend has answered, however long that takes."""
        self.expect(task_id)

        def owed() -> bool:
            creation = self._store.creations.get(task_id)
            return creation is not None and creation.state is CreationState.PENDING

        async def create() -> TaskDetail | None:
            while owed():
                life = self._store.life
                creation = self._store.creations[task_id]
                if creation.defaults is not None:
                    await self._fill(creation, creation.defaults)
                    continue
                attachments = await self._attachments(task_id, creation.attachments)
                task = await self._api.create(replace(creation.request, attachments=attachments))
                if self._store.created(task, life):
                    return task
            return None

        async def job() -> None:
            try:
                put_off = partial(self._store.put_off, task_id)
                await self._delivery.deliver(create, patience=math.inf, needed=owed, put_off=put_off)
            except RequestError as error:
                if isinstance(error, ProblemError) and owed():
                    self._store.refused(task_id, error.problem)
                    self._outbox.put_creation(self._store.creations[task_id])
                    self._tell("create", error, task_id, None)
                    return
            self.creation_changed(task_id)

        self._delivery.send(job)

    async def _fill(self, creation: Creation, defaults: TaskDefaults) -> None:
        """Have a creation name what was left to the defaults: they go by the provider that the backend takes for it."""
        default_provider = next(iter((await self._api.health()).providers), None)
        if self._store.creations.get(creation.task_id) is creation:
            filled = replace(creation, request=defaults.fill(creation.request, default_provider), defaults=None)
            self._store.put_creation(filled)
            self._outbox.put_creation(filled)

    def send_session(self, session: RequestedSession) -> None:
        """Ask for a session until the backend has answered, however long that takes."""
        task_id, session_id = session.summary.task_id, session.summary.session_id
        token = self._store.edit(task_id, session=session.summary)
        self._expected[session_id] = anyio.Event()

        async def add() -> None:
            life = self._store.life
            self._store.session_made(token, await self._api.add_session(task_id, session.request), life)
            self._end(session_id)

        def failed(_: RequestError | None) -> None:
            self._store.settle(task_id, token)
            self._end(session_id)

        self.send_command("add_session", add, task_id, lane=f"sessions:{task_id}", patience=math.inf, failed=failed)

    def unsent_prompt(self, prompt_id: str) -> Prompt | None:
        """The prompt as it is in the outbox, if it cannot have reached the backend yet."""
        return self._outbox.prompts.get(prompt_id) if prompt_id in self._unsent else None

    def send_prompt(self, prompt: Prompt, *, maybe_sent: bool = False) -> None:
        """Hand over a prompt, however long that takes, after those of its session before it. Refused, it is kept.

        It goes as it is in the outbox by then, or not at all when it is there no longer. `maybe_sent`: an earlier run
        of the app, or another app that still runs, may have sent it, and may have changed it since.
        """
        session_id, prompt_id = prompt.session_id, prompt.prompt_id
        task_id = self._store.task_of_session(session_id)
        if not maybe_sent:
            self._unsent.add(prompt_id)

        def wanted() -> bool:
            return prompt_id in self._outbox.prompts

        async def send() -> Prompt | None:
            here = self._outbox.prompts[prompt_id]
            kept = await anyio.to_thread.run_sync(self._outbox.prompt_as_kept, here) if maybe_sent else here
            if kept is None:
                return None
            attachments = await self._attachments(prompt_id, kept.attachments)
            unsent = prompt_id in self._unsent
            self._unsent.discard(prompt_id)
            try:
                request = CreatePrompt(prompt_id=prompt_id, text=kept.text, steer=kept.steer, attachments=attachments)
                sent = await self._api.prompt(session_id, request)
                if sent.text == prompt.text != kept.text and sent.state is PromptState.QUEUED:
                    # Another app had sent it, before it was edited here.
                    sent = await self._api.edit_prompt(session_id, prompt_id, EditPrompt(text=kept.text))
                return sent
            except UnreachableError as error:
                if unsent and not error.sent:
                    self._unsent.add(prompt_id)
                raise

        async def job() -> None:
            if not await self._is_real(task_id, session_id):
                self._drop_prompt(session_id, prompt_id)
                return
            life = self._store.life
            try:
                accepted = await self._delivery.deliver(send, patience=math.inf, needed=wanted)
            except RequestError as error:
                self.keep_refused(self._outbox.prompts.get(prompt_id, prompt), error)
                self._tell("prompt", error, task_id, session_id)
                return
            if accepted is None:
                self._drop_prompt(session_id, prompt_id)
                return
            self._store.accepted(accepted, life)
            self._outbox.drop_prompt(prompt_id)

        self._delivery.send(job, f"prompts:{session_id}")

    async def _attachments(self, id_: str, told: Sequence[Attachment]) -> NewAttachments:
        """What goes with a prompt or a new task; raises `ProblemError` when that cannot be read any more."""
        if not told:
            return ()
        try:
            return await anyio.to_thread.run_sync(self._outbox.attachments_of, id_)
        except (OSError, msgspec.DecodeError) as error:
            names = ", ".join(each.name for each in told)
            detail = f"What was attached ({names}) cannot be read any more: {error}. Attach it again."
            raise ProblemError(Problem(status=422, title="Attachments lost", detail=detail)) from error

    def send_prompt_change(
        self,
        session_id: str,
        prompt_id: str,
        text: str | None,
        call: Callable[[], Awaitable[Prompt]],
        keep: KeptCommand,
        refused: Callable[[RequestError], None] | None = None,
    ) -> None:
        """Show another text of a queued prompt (None: it is withdrawn), and have `call` ask for it.

        Handed over however long that takes, after what was asked of the session's prompts before. `refused` is told
        why it was not done.
        """
        token = self._store.change_prompt(session_id, prompt_id, text)

        async def change() -> None:
            refused_prompt = self._outbox.prompts.get(prompt_id)
            if refused_prompt is not None:
                self._change_refused(refused_prompt, text)
                self._store.settle_prompt_change(session_id, token, None)
                return
            life = self._store.life
            try:
                await call()
            except ProblemError as error:
                if error.problem.status != 409 or not await self._has_changed(session_id, prompt_id, text):
                    raise
            self._store.settle_prompt_change(session_id, token, life)

        def failed(error: RequestError | None) -> None:
            self._store.settle_prompt_change(session_id, token, None)
            if refused is not None and error is not None:
                refused(error)

        task_id = self._store.task_of_session(session_id)
        self.send_command(
            keep.action,
            change,
            task_id,
            session_id=session_id,
            lane=f"prompts:{session_id}",
            patience=math.inf,
            failed=failed,
            keep=keep,
        )

    def send_option(
        self,
        session_id: str,
        option_id: str,
        value: OptionValue,
        call: Callable[[], Awaitable[SessionSummary]],
        keep: KeptCommand,
    ) -> None:
        """Show another value of an option, and have `call` ask for it, after those of the session asked for before."""
        token = self._store.change_option(session_id, option_id, value)

        async def change() -> None:
            life = self._store.life
            session = await call()
            self._store.settle_option(session_id, token, session.revision if life == self._store.life else None)

        def failed(_: RequestError | None) -> None:
            self._store.settle_option(session_id, token, None)

        self.send_command(
            keep.action,
            change,
            self._store.task_of_session(session_id),
            session_id=session_id,
            lane=f"options:{session_id}",
            patience=math.inf,
            failed=failed,
            keep=keep,
        )

    def _change_refused(self, prompt: Prompt, text: str | None) -> None:
        """The prompt was refused before it could be changed: it is kept with the new text, or (None) no longer."""
        if text is None:
            self._drop_prompt(prompt.session_id, prompt.prompt_id)
        else:
            self._keep_prompt(replace(prompt, text=text))

    def _drop_prompt(self, session_id: str, prompt_id: str) -> None:
        self._outbox.drop_prompt(prompt_id)
        self._store.drop_prompt(session_id, prompt_id)

    def _keep_prompt(self, prompt: Prompt) -> None:
        self._store.put_prompt(prompt)
        self._outbox.put_prompt(prompt)

    async def _has_changed(self, session_id: str, prompt_id: str, text: str | None) -> bool:
        """Whether an earlier attempt got through whose answer was lost: the prompt is then as it was asked to be."""
        session = await self._api.session(session_id)
        found = [prompt for prompt in session.prompts if prompt.prompt_id == prompt_id]
        return any(one.state is PromptState.WITHDRAWN if text is None else one.text == text for one in found)

    def keep_refused(self, prompt: Prompt, error: RequestError) -> None:
        """Show and keep a prompt as failed, with the reason, until it is discarded."""
        reason = TaskError(kind=ErrorKind.INTERNAL, message=str(error), retryable=True, at=self._store.now_ms())
        self._keep_prompt(replace(prompt, state=PromptState.FAILED, error=reason))

    def send_command(
        self,
        action: str,
        call: Callable[[], Awaitable[object]],
        task_id: str | None,
        *,
        session_id: str | None = None,
        lane: str | None = None,
        done: frozenset[int] = frozenset(),
        patience: float = PATIENCE,
        failed: Callable[[RequestError | None], None] | None = None,
        keep: KeptCommand | None = None,
    ) -> None:
        """Have `call` carried out, after those of its `lane` before it.

        `done` and `patience` are those of `Delivery.deliver`; `failed` is called when it was not carried out, with the
        error if there was one. `keep` outlives the app until the command is answered or told to have failed.
        """
        again = kept_before = False
        if keep is not None:
            # Asked for in an earlier run of the app, it may be done, but an answer's refusal is told also then; on a
            # task that is gone nothing is left to do.
            kept_before = self._outbox.commands.get(keep.key) == keep
            again = kept_before and not isinstance(keep, Answer)
            done |= {404}
            self._outbox.put_command(keep)
        delivered = False

        async def once() -> None:
            nonlocal delivered
            if keep is not None and kept_before and not await anyio.to_thread.run_sync(self._outbox.is_kept, keep):
                self._outbox.forget_command(keep)
                return
            await call()
            delivered = True

        async def job() -> None:
            refusal = None
            if await self._is_real(task_id, session_id):
                try:
                    await self._delivery.deliver(once, done=done, patience=patience, maybe_done=again)
                except RequestError as error:
                    refusal = error
                    self._tell(action, error, task_id, session_id)
            if failed is not None and not delivered:
                failed(refusal)
            if keep is not None:
                self._outbox.drop_command(keep)

        self._delivery.send(job, lane)

    def creations_changed(self, changes: Changes) -> None:
        """A listener of the store: creations that it holds no longer are settled."""
        for task_id in changes.creations:
            self.creation_changed(task_id)

    def creation_changed(self, task_id: str) -> None:
        """Settle this creation if the store holds it no longer: the backend has the task, or it was discarded."""
        if task_id not in self._store.creations:
            self._end(task_id)

    def _end(self, id_: str) -> None:
        """A task or a session is real now, or never will be: what waited for it goes on."""
        self._outbox.drop_creation(id_)
        self._outbox.drop_session(id_)
        expected = self._expected.pop(id_, None)
        if expected is not None:
            expected.set()
        self.on_settled()

    async def _is_real(self, task_id: str | None, session_id: str | None) -> bool:
        """Wait until the backend has the task and the session; False when the task was discarded instead."""
        for id_ in (task_id, session_id):
            expected = self._expected.get(id_ or "")
            if id_ is not None and expected is not None:
                self._waiting[id_] += 1
                try:
                    await expected.wait()
                finally:
                    self._waiting[id_] -= 1
                if id_ == task_id and task_id not in self._store.tasks:
                    return False
        return True

    def _tell(self, action: str, error: RequestError, task_id: str | None, session_id: str | None) -> None:
        problem = error.problem if isinstance(error, ProblemError) else None
        self._report(
            CommandProblem(action=action, message=str(error), task_id=task_id, session_id=session_id, problem=problem)
        )
