"""The commands of the app, carried out by one backend: each is shown in the store at once and settled by its answer."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from msgspec.structs import replace

from foundry_tui.client import kept_commands as kept
from foundry_tui.client.api import Api
from foundry_tui.client.commands import CommandProblem, Drafts, form_draft_key
from foundry_tui.client.comments import KeptComments
from foundry_tui.client.creations import CreationState, RequestedSession
from foundry_tui.client.delivery import Delivery
from foundry_tui.client.errors import RequestError
from foundry_tui.client.kept_commands import KeptCommand
from foundry_tui.client.older_tasks import OlderTasks
from foundry_tui.client.outbox import Outbox
from foundry_tui.client.settlement import Settlement
from foundry_tui.client.store import Store
from foundry_tui.client.subscriptions import Subscriptions
from foundry_tui.client.task_defaults import TaskDefaults
from foundry_tui.contract.attachments import NewAttachment, told
from foundry_tui.contract.memory import MemoryReport
from foundry_tui.contract.operations import StartOperation
from foundry_tui.contract.questions import AnswerAction, FieldValue
from foundry_tui.contract.records import (
    HistoryEvent,
    Prompt,
    PromptState,
    Repo,
    SessionStatus,
    SessionSummary,
    TaskDetail,
)
from foundry_tui.contract.requests import (
    AddRepo,
    AnswerPermission,
    CreateSession,
    CreateTask,
    EditPrompt,
    PatchTask,
    ReleaseTask,
    RetryTask,
    SetOption,
)
from foundry_tui.contract.status import PROVISIONING

HISTORY_PAGE = 500
"""History events asked for at a time."""


class BackendCommands:
    """`Commands` as that protocol describes them. `new_id` makes the ids of tasks, sessions and prompts."""

    def __init__(
        self,
        api: Api,
        store: Store,
        outbox: Outbox,
        settlement: Settlement,
        delivery: Delivery,
        subscriptions: Subscriptions,
        older_tasks: OlderTasks,
        new_id: Callable[[], str],
    ) -> None:
        self.on_problem: Callable[[CommandProblem], None] | None = None
        self.drafts: Drafts = outbox
        self.comments = KeptComments.beside(outbox.path)
        self.health, self.agents = api.health, api.agents
        self.diff, self.checkpoints, self.review_comments = api.diff, api.checkpoints, api.review_comments
        self.repo_setup, self.trust = api.repo_setup, api.trust
        self.task_files, self.repo_files = api.task_files, api.repo_files
        self.hold = subscriptions.hold
        self.read_older, self.search_older = older_tasks.read_on, older_tasks.search
        self._api = api
        self._store = store
        self._outbox = outbox
        self._settlement = settlement
        self._delivery = delivery
        self._subscriptions = subscriptions
        self._new_id = new_id

    def reconnect(self) -> None:
        self._subscriptions.reconnect()
        self._delivery.try_now()

    # Tasks.

    def create(self, request: CreateTask, defaults: TaskDefaults | None = None) -> str:
        task_id = request.task_id or self._new_id()
        request = replace(request, task_id=task_id, session_id=request.session_id or self._new_id())
        self._outbox.put_creation(self._store.create(request, defaults), request.attachments)
        self._settlement.send_creation(task_id)
        return task_id

    def retry_creation(self, task_id: str) -> None:
        creation = self._store.creations.get(task_id)
        if creation is None or creation.state is not CreationState.REFUSED:
            return
        again = self._store.retry_creation(task_id)
        if again is not None:
            self._outbox.put_creation(again)
            self._settlement.send_creation(task_id)

    def discard_creation(self, task_id: str) -> None:
        self._store.discard_creation(task_id)
        self._settlement.creation_changed(task_id)

    def retry(self, task_id: str, resend: bool = False, without: Sequence[str] = ()) -> None:
        if task_id in self._store.creations:
            self.retry_creation(task_id)
            return
        request = RetryTask(resend=resend, without=tuple(without)) if resend or without else None
        call = partial(self._api.retry, task_id, request)
        keep = kept.Retry(task_id, kept.RetryOptions(resend, tuple(without)))
        self._settlement.send_command("retry", call, task_id, lane=f"life:{task_id}", done=frozenset({409}), keep=keep)

    def archive(self, task_id: str, force: bool = False) -> None:
        if self._discard_refused(task_id):
            return
        call = partial(self._api.archive, task_id, ReleaseTask(force=force))
        self._settlement.send_command(
            "archive", call, task_id, lane=f"life:{task_id}", keep=kept.Archive(task_id, kept.ArchiveOptions(force))
        )

    def kill(self, task_id: str, force: bool = False, delete_branch: bool = False) -> None:
        if self._discard_refused(task_id):
            return
        call = partial(self._api.kill, task_id, ReleaseTask(force=force, delete_branch=delete_branch))
        keep = kept.Kill(task_id, kept.KillOptions(force, delete_branch))
        self._settlement.send_command("kill", call, task_id, lane=f"life:{task_id}", keep=keep)

    def prune(self, task_id: str) -> None:
        if self._discard_refused(task_id):
            return

        async def prune() -> None:
            life = self._store.life
            await self._api.prune(task_id)
            self._store.pruned(task_id, life)
            self.comments.forget(task_id)

        self._settlement.send_command("prune", prune, task_id, lane=f"life:{task_id}", keep=kept.Prune(task_id))

    def restart_agent(self, task_id: str) -> None:
        call = partial(self._api.restart_agent, task_id)
        self._settlement.send_command("restart the agent", call, task_id, lane=f"life:{task_id}")

    def rename(self, task_id: str, title: str) -> None:
        token = self._store.edit(task_id, title=title)
        keep = kept.Rename(task_id, kept.RenameOptions(title))
        self._patch("rename", task_id, PatchTask(title=title), token, keep=keep)

    def mark(self, task_id: str, unread: bool) -> None:
        self._patch("mark", task_id, PatchTask(unread=unread), self._store.edit(task_id, unread=unread))

    def operate(self, task_id: str, request: StartOperation) -> str:
        operation_id = request.operation_id or self._new_id()
        request = replace(request, operation_id=operation_id)
        call = partial(self._api.operate, task_id, request)
        keep = kept.Operate(task_id, kept.OperateOptions(request))
        self._settlement.send_command("operate", call, task_id, lane=f"operations:{task_id}", keep=keep)
        return operation_id

    def cancel_operation(self, task_id: str, operation_id: str) -> None:
        keep = kept.CancelOperation(task_id, kept.CancelOperationOptions(operation_id))
        call = partial(self._api.cancel_operation, operation_id)
        self._settlement.send_command("cancel_operation", call, task_id, lane=f"operations:{task_id}", keep=keep)

    # Sessions, prompts, questions.

    def add_session(self, task_id: str, name: str | None = None, agent: str | None = None) -> str:
        session_id = self._new_id()
        now = self._store.now_ms()
        task = self._store.tasks.get(task_id)
        unprovisioned = task is None or task.status in PROVISIONING
        session = SessionSummary(
            session_id=session_id,
            task_id=task_id,
            name=name or "",
            agent=agent or (task.agent if task is not None else ""),
            status=SessionStatus.PENDING_PROVISION if unprovisioned else SessionStatus.PENDING_CREATE,
            created_at=now,
            updated_at=now,
            revision=0,
        )
        requested = RequestedSession(
            summary=session, request=CreateSession(session_id=session_id, agent=agent, name=name)
        )
        self._outbox.put_session(requested)
        self._settlement.send_session(requested)
        return session_id

    def close_session(self, session_id: str) -> None:
        self._session_command("close_session", session_id, lambda: self._api.close_session(session_id))

    def stop(self, session_id: str) -> None:
        self._session_command("stop", session_id, lambda: self._api.stop(session_id, hold=True))

    def go_on(self, session_id: str) -> None:
        self._session_command("go on", session_id, lambda: self._api.go_on(session_id))

    def prompt(self, session_id: str, text: str, steer: bool = False, attachments: Sequence[NewAttachment] = ()) -> str:
        prompt = replace(self._new_prompt(session_id, text), steer=steer, attachments=tuple(map(told, attachments)))
        self._outbox.put_prompt(prompt, tuple(attachments))
        self._store.put_prompt(prompt)
        self._settlement.send_prompt(prompt)
        return prompt.prompt_id

    def discard_prompt(self, session_id: str, prompt_id: str) -> None:
        self._store.drop_prompt(session_id, prompt_id)
        self._outbox.drop_prompt(prompt_id)

    def edit_prompt(self, session_id: str, prompt_id: str, text: str) -> None:
        unsent = self._settlement.unsent_prompt(prompt_id)
        if unsent is not None:
            edited = replace(unsent, text=text)
            self._outbox.put_prompt(edited)
            self._store.put_prompt(edited)
            return
        keep = kept.PromptEdit(prompt_id, kept.PromptEditOptions(session_id, text))
        call = partial(self._api.edit_prompt, session_id, prompt_id, EditPrompt(text=text))

        def refused(error: RequestError) -> None:
            # What was written is not lost with the prompt that it was meant for.
            self._settlement.keep_refused(self._new_prompt(session_id, text), error)

        self._settlement.send_prompt_change(session_id, prompt_id, text, call, keep, refused)

    def withdraw_prompt(self, session_id: str, prompt_id: str) -> None:
        if self._settlement.unsent_prompt(prompt_id) is not None:
            self.discard_prompt(session_id, prompt_id)
            return
        keep = kept.PromptWithdrawal(prompt_id, kept.PromptWithdrawalOptions(session_id))
        call = partial(self._api.withdraw_prompt, session_id, prompt_id)
        self._settlement.send_prompt_change(session_id, prompt_id, None, call, keep)

    def set_option(self, session_id: str, option_id: str, value: str | bool) -> None:
        keep = kept.SetOption(session_id, kept.SetOptionOptions(option_id, value))
        call = partial(self._api.set_option, session_id, option_id, SetOption(value=value))
        self._settlement.send_option(session_id, option_id, value, call, keep)

    def answer(self, permission_id: str, option_id: str) -> None:
        self._answer(permission_id, kept.AnswerOptions(option_id=option_id))

    def reply(self, permission_id: str, action: AnswerAction, content: Mapping[str, FieldValue] | None = None) -> None:
        filled = None if content is None else dict(content)
        self._answer(permission_id, kept.AnswerOptions(action=action, content=filled))

    def given(self, permission_id: str) -> str | None:
        command = self._outbox.commands.get(kept.Answer(permission_id, kept.AnswerOptions()).key)
        return command.options.option_id or command.options.action if isinstance(command, kept.Answer) else None

    def _answer(self, permission_id: str, said: kept.AnswerOptions) -> None:
        request = AnswerPermission(option_id=said.option_id, action=said.action, content=said.content)

        async def answer() -> None:
            await self._api.answer(permission_id, request)
            self._outbox.discard(form_draft_key(permission_id))

        keep = kept.Answer(permission_id, said)
        self._settlement.send_command("answer", answer, None, done=frozenset({409}), patience=math.inf, keep=keep)

    # What is read.

    async def task(self, task_id: str) -> TaskDetail:
        return await self._api.task(task_id)

    async def memory(self, task_id: str) -> MemoryReport:
        return await self._api.memory(task_id)

    async def branches(self, repo_id: str) -> Sequence[str]:
        return (await self._api.branches(repo_id)).branches

    async def history(self, task_id: str) -> Sequence[HistoryEvent]:
        events: list[HistoryEvent] = []
        after = 0
        while True:
            page = (await self._api.history(task_id, after, HISTORY_PAGE)).events
            events += page
            if len(page) < HISTORY_PAGE:
                return self._store.add_history(task_id, events)
            after = page[-1].seq

    async def add_repo(self, *, path: str | None = None, remote: str | None = None) -> Repo:
        repo = await self._api.add_repo(AddRepo(path=path, remote=remote))
        self._store.task_list.add_repo(repo)
        return repo

    def _new_prompt(self, session_id: str, text: str) -> Prompt:
        return Prompt(
            prompt_id=self._new_id(),
            session_id=session_id,
            text=text,
            state=PromptState.QUEUED,
            at=self._store.now_ms(),
        )

    def _session_command(self, action: str, session_id: str, call: Callable[[], Awaitable[object]]) -> None:
        task_id = self._store.task_of_session(session_id)
        self._settlement.send_command(action, call, task_id, session_id=session_id)

    def _patch(
        self, action: str, task_id: str, request: PatchTask, token: int, keep: KeptCommand | None = None
    ) -> None:
        async def patch() -> None:
            life = self._store.life
            self._store.answered(await self._api.patch(task_id, request), life)
            self._store.settle(task_id, token)

        def failed(_: RequestError | None) -> None:
            self._store.settle(task_id, token)

        self._settlement.send_command(action, patch, task_id, lane=f"edit:{task_id}", failed=failed, keep=keep)

    def _discard_refused(self, task_id: str) -> bool:
        """A refused creation has nothing to release: dropping it is all there is to do."""
        creation = self._store.creations.get(task_id)
        if creation is None or creation.state is not CreationState.REFUSED:
            return False
        self.discard_creation(task_id)
        return True
