"""The client as the app gets it: a store, and commands that return at once."""

import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskStatus
from msgspec.structs import replace

from foundry_tui.client import kept_commands as kept
from foundry_tui.client.api import Api
from foundry_tui.client.changes import Changes
from foundry_tui.client.commands import CommandProblem, Drafts
from foundry_tui.client.connection import Target, make_http
from foundry_tui.client.creations import AskedSession, CreationState
from foundry_tui.client.delivery import PATIENCE, Courier
from foundry_tui.client.errors import ProblemError, RequestError
from foundry_tui.client.kept_commands import KeptCommand
from foundry_tui.client.outbox import Outbox
from foundry_tui.client.saving import Saver
from foundry_tui.client.statistics import Diagnostics
from foundry_tui.client.store import Store, wall_ms
from foundry_tui.client.subscriptions import GRACE, Subscriptions
from foundry_tui.contract.events import Topic
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.records import (
    ErrorKind,
    HistoryEvent,
    Prompt,
    PromptState,
    Repo,
    SessionStatus,
    SessionSummary,
    TaskDetail,
    TaskError,
)
from foundry_tui.contract.requests import (
    AddRepo,
    AnswerPermission,
    CreatePrompt,
    CreateSession,
    CreateTask,
    PatchTask,
    ReleaseTask,
    RetryTask,
)
from foundry_tui.contract.status import PROVISIONING

if TYPE_CHECKING:
    import httpx

FRAME = 0.05
"""Seconds between two flushes at least."""
HISTORY_PAGE = 500
"""History events asked for at a time."""


class Foundry:
    """The client's parts, put together around one backend.

    `keep` is the file for what must outlive the app (None: nothing does). Screens get `store` and this as their
    `Commands`; listeners of the store run in the task that runs `run`. Use: `await tg.start(foundry.run)`.
    """

    def __init__(
        self,
        target: Target,
        *,
        keep: Path | None = None,
        transport: "httpx.AsyncBaseTransport | None" = None,
        store: Store | None = None,
        now_ms: Callable[[], int] = wall_ms,
        rng: random.Random | None = None,
        new_id: Callable[[], str] = uuid7,
        grace: float = GRACE,
    ) -> None:
        self.on_problem: Callable[[CommandProblem], None] | None = None
        self.store = store if store is not None else Store(now_ms)
        self.http = make_http(target, transport)
        self.api = Api(self.http)
        self.repo_setup, self.trust = self.api.repo_setup, self.api.trust
        self.health, self.diff = self.api.health, self.api.diff
        self.outbox = Outbox(keep)
        self.drafts: Drafts = self.outbox
        self._saver = Saver(self.outbox, self._cannot_keep)
        # Nothing is sent before it is kept.
        self._courier = Courier(rng, before=self._saver.saved if keep is not None else None)
        live = self._courier.try_now
        self.subscriptions = Subscriptions(self.store, self.http, rng=rng, grace=grace, on_live=live)
        self._new_id = new_id
        self._work = anyio.Event()
        self._last_flush = -math.inf
        self._settled: dict[str, anyio.Event] = {}
        self._waiting: Counter[str] = Counter()
        self.store.on_dirty = lambda: self._work.set()
        self._restore()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Connect, carry commands and flush, until cancelled; closes all connections and keeps what is unsettled."""
        stop = self.store.listen(self._forget_settled)
        try:
            async with self.http, anyio.create_task_group() as group:
                await group.start(self.subscriptions.run)
                self._courier.start(group)
                group.start_soon(self._keep_flushing)
                group.start_soon(self._saver.run)
                task_status.started()
                if (said := self.outbox.remarks) and self.on_problem is not None:
                    self.on_problem(CommandProblem(action="keep", message=said))
                await anyio.sleep_forever()
        finally:
            self._courier.stop()
            stop()
            self._saver.save_now()

    async def hand_over(self, seconds: float) -> None:
        """Wait until nothing is on its way to the backend any more, for so many seconds and for one that may answer."""
        with anyio.move_on_after(seconds):
            while self._on_the_way() and self.subscriptions.may_answer():
                await self._courier.one_more_ends()

    def _on_the_way(self) -> bool:
        """Whether a command is unsettled that does not wait for a task that the backend has refused."""
        refused = [one.task_id for one in self.store.creations.values() if one.state is CreationState.REFUSED]
        return self._courier.unsettled > sum(self._waiting[task_id] for task_id in refused)

    def diagnostics(self) -> Diagnostics:
        """What is known of every connection, frozen."""
        return Diagnostics(
            at=self.store.now_ms(),
            freshness=self.store.freshness(),
            topics=self.subscriptions.topics(),
            log=self.subscriptions.log(),
            tasks=len(self.store.tasks),
            creations=len(self.store.creations),
            flushes=self.store.flushes,
            unsettled_commands=self._courier.unsettled,
        )

    # Commands.

    def hold(self, topic: Topic) -> Callable[[], None]:
        return self.subscriptions.hold(topic)

    def reconnect(self) -> None:
        self.subscriptions.reconnect()
        self._courier.try_now()

    def create(self, request: CreateTask) -> str:
        task_id = request.task_id or self._new_id()
        request = replace(request, task_id=task_id, session_id=request.session_id or self._new_id())
        self.outbox.put_creation(self.store.create(request))
        self._settle_creation(task_id)
        return task_id

    def retry_creation(self, task_id: str) -> None:
        creation = self.store.creations.get(task_id)
        if creation is None or creation.state is not CreationState.REFUSED:
            return
        again = self.store.retry_creation(task_id)
        if again is not None:
            self.outbox.put_creation(again)
            self._settle_creation(task_id)

    def discard_creation(self, task_id: str) -> None:
        self.store.discard_creation(task_id)
        self._creation_settled(task_id)

    def retry(self, task_id: str, resend: bool = False) -> None:
        if task_id in self.store.creations:
            self.retry_creation(task_id)
            return
        call = partial(self.api.retry, task_id, RetryTask(resend=True) if resend else None)
        keep = kept.Retry(task_id, kept.RetryOptions(resend))
        self._command("retry", call, task_id, lane="life", done=frozenset({409}), keep=keep)

    def archive(self, task_id: str, force: bool = False) -> None:
        if self._discard_refused(task_id):
            return
        call = partial(self.api.archive, task_id, ReleaseTask(force=force))
        self._command("archive", call, task_id, lane="life", keep=kept.Archive(task_id, kept.ArchiveOptions(force)))

    def kill(self, task_id: str, force: bool = False, delete_branch: bool = False) -> None:
        if self._discard_refused(task_id):
            return
        call = partial(self.api.kill, task_id, ReleaseTask(force=force, delete_branch=delete_branch))
        keep = kept.Kill(task_id, kept.KillOptions(force, delete_branch))
        self._command("kill", call, task_id, lane="life", keep=keep)

    def prune(self, task_id: str) -> None:
        if self._discard_refused(task_id):
            return

        async def prune() -> None:
            life = self.store.life
            await self.api.prune(task_id)
            self.store.pruned(task_id, life)

        self._command("prune", prune, task_id, lane="life", keep=kept.Prune(task_id))

    def rename(self, task_id: str, title: str) -> None:
        token = self.store.edit(task_id, title=title)
        keep = kept.Rename(task_id, kept.RenameOptions(title))
        self._patch("rename", task_id, PatchTask(title=title), token, keep=keep)

    def mark(self, task_id: str, unread: bool) -> None:
        self._patch("mark", task_id, PatchTask(unread=unread), self.store.edit(task_id, unread=unread))

    def add_session(self, task_id: str, name: str | None = None, agent: str | None = None) -> str:
        session_id = self._new_id()
        now = self.store.now_ms()
        task = self.store.tasks.get(task_id)
        early = task is None or task.status in PROVISIONING
        session = SessionSummary(
            session_id=session_id,
            task_id=task_id,
            name=name or "",
            agent=agent or (task.agent if task is not None else ""),
            status=SessionStatus.PENDING_PROVISION if early else SessionStatus.PENDING_CREATE,
            created_at=now,
            updated_at=now,
            revision=0,
        )
        asked = AskedSession(summary=session, request=CreateSession(session_id=session_id, agent=agent, name=name))
        self.outbox.put_session(asked)
        self._settle_session(asked)
        return session_id

    def close_session(self, session_id: str) -> None:
        self._session_command("close_session", session_id, lambda: self.api.close_session(session_id))

    def stop(self, session_id: str) -> None:
        self._session_command("stop", session_id, lambda: self.api.stop(session_id))

    def prompt(self, session_id: str, text: str) -> str:
        prompt = Prompt(
            prompt_id=self._new_id(),
            session_id=session_id,
            text=text,
            state=PromptState.QUEUED,
            at=self.store.now_ms(),
        )
        self.outbox.put_prompt(prompt)
        self.store.put_prompt(prompt)
        self._deliver_prompt(prompt)
        return prompt.prompt_id

    def discard_prompt(self, session_id: str, prompt_id: str) -> None:
        self.store.drop_prompt(session_id, prompt_id)
        self.outbox.drop_prompt(prompt_id)

    def answer(self, permission_id: str, option_id: str) -> None:
        request = AnswerPermission(option_id=option_id)

        async def answer() -> None:
            await self.api.answer(permission_id, request)

        keep = kept.Answer(permission_id, kept.AnswerOptions(option_id))
        self._command("answer", answer, None, done=frozenset({409}), patience=math.inf, keep=keep)

    async def branches(self, repo_id: str) -> Sequence[str]:
        return (await self.api.branches(repo_id)).branches

    async def history(self, task_id: str) -> Sequence[HistoryEvent]:
        events: list[HistoryEvent] = []
        after = 0
        while True:
            page = (await self.api.history(task_id, after, HISTORY_PAGE)).events
            events += page
            if len(page) < HISTORY_PAGE:
                return self.store.add_history(task_id, events)
            after = page[-1].seq

    async def add_repo(self, *, path: str | None = None, remote: str | None = None) -> Repo:
        repo = await self.api.add_repo(AddRepo(path=path, remote=remote))
        self.store.add_repo(repo)
        return repo

    # Carrying them out.

    def _command(
        self,
        action: str,
        call: Callable[[], Awaitable[object]],
        task_id: str | None,
        *,
        session_id: str | None = None,
        lane: str | None = None,
        done: frozenset[int] = frozenset(),
        patience: float = PATIENCE,
        failed: Callable[[], None] | None = None,
        keep: KeptCommand | None = None,
    ) -> None:
        """`keep` outlives the app until it is answered or told to have failed."""
        again = False
        if keep is not None:
            # Asked for in an earlier run of the app, it may be done, but an answer's refusal is told also then; on a
            # task that is gone nothing is left to do.
            again = keep.key in self.outbox.commands and not isinstance(keep, kept.Answer)
            done |= {404}
            self.outbox.put_command(keep)

        async def job() -> None:
            delivered = False
            if await self._is_real(task_id, session_id):
                try:
                    await self._courier.deliver(call, done=done, patience=patience, maybe_done=again)
                    delivered = True
                except RequestError as error:
                    self._report(action, error, task_id, session_id)
            if failed is not None and not delivered:
                failed()
            if keep is not None:
                self.outbox.drop_command(keep)

        self._courier.send(job, None if lane is None else f"{lane}:{task_id}")

    def _session_command(self, action: str, session_id: str, call: Callable[[], Awaitable[object]]) -> None:
        task_id = self.store.task_of_session(session_id)
        self._command(action, call, task_id, session_id=session_id)

    def _patch(
        self, action: str, task_id: str, request: PatchTask, token: int, keep: KeptCommand | None = None
    ) -> None:
        async def patch() -> None:
            life = self.store.life
            self.store.answered(await self.api.patch(task_id, request), life)
            self.store.settle(task_id, token)

        failed = partial(self.store.settle, task_id, token)
        self._command(action, patch, task_id, lane="edit", failed=failed, keep=keep)

    def _deliver_prompt(self, prompt: Prompt) -> None:
        session_id, prompt_id = prompt.session_id, prompt.prompt_id
        task_id = self.store.task_of_session(session_id)
        request = CreatePrompt(prompt_id=prompt_id, text=prompt.text)

        async def job() -> None:
            if not await self._is_real(task_id, session_id):
                self.outbox.drop_prompt(prompt_id)
                self.store.drop_prompt(session_id, prompt_id)
                return
            life = self.store.life
            try:
                # Kept until the backend has it, however long that takes: a prompt is never lost.
                accepted = await self._courier.deliver(lambda: self.api.prompt(session_id, request), patience=math.inf)
            except RequestError as error:
                reason = TaskError(kind=ErrorKind.INTERNAL, message=str(error), retryable=True, at=self.store.now_ms())
                refused = replace(prompt, state=PromptState.FAILED, error=reason)
                self.store.put_prompt(refused)
                self.outbox.put_prompt(refused)
                self._report("prompt", error, task_id, session_id)
                return
            if accepted is not None:
                self.store.accepted(accepted, life)
            self.outbox.drop_prompt(prompt_id)

        self._courier.send(job, f"prompts:{session_id}")

    def _settle_creation(self, task_id: str) -> None:
        self._settled.setdefault(task_id, anyio.Event())

        def owed() -> bool:
            creation = self.store.creations.get(task_id)
            return creation is not None and creation.state is CreationState.PENDING

        async def create() -> TaskDetail | None:
            while owed():
                life = self.store.life
                task = await self.api.create(self.store.creations[task_id].request)
                if self.store.created(task, life):
                    return task
            return None

        async def job() -> None:
            try:
                put_off = partial(self.store.put_off, task_id)
                await self._courier.deliver(create, patience=math.inf, needed=owed, put_off=put_off)
            except RequestError as error:
                if isinstance(error, ProblemError) and owed():
                    self.store.refused(task_id, error.problem)
                    self.outbox.put_creation(self.store.creations[task_id])
                    self._report("create", error, task_id, None)
                    return
            self._creation_settled(task_id)

        self._courier.send(job)

    def _settle_session(self, asked: AskedSession) -> None:
        task_id, session_id = asked.summary.task_id, asked.summary.session_id
        token = self.store.edit(task_id, session=asked.summary)
        self._settled[session_id] = anyio.Event()

        async def add() -> None:
            life = self.store.life
            self.store.session_made(token, await self.api.add_session(task_id, asked.request), life)
            self._settle(session_id)

        def failed() -> None:
            self.store.settle(task_id, token)
            self._settle(session_id)

        self._command("add_session", add, task_id, lane="sessions", patience=math.inf, failed=failed)

    def _settle(self, id_: str) -> None:
        """A task or a session is real now, or never will be: what waited for it goes on."""
        self.outbox.drop_creation(id_)
        self.outbox.drop_session(id_)
        settled = self._settled.pop(id_, None)
        if settled is not None:
            settled.set()
        self.subscriptions.nudge()

    def _creation_settled(self, task_id: str) -> None:
        if task_id not in self.store.creations:
            self._settle(task_id)

    async def _is_real(self, task_id: str | None, session_id: str | None) -> bool:
        """Wait until the backend has the task and the session; False when the task was discarded instead."""
        for id_ in (task_id, session_id):
            settled = self._settled.get(id_ or "")
            if settled is not None:
                self._waiting[id_ or ""] += 1
                try:
                    await settled.wait()
                finally:
                    self._waiting[id_ or ""] -= 1
                if id_ == task_id and task_id not in self.store.tasks:
                    return False
        return True

    def _discard_refused(self, task_id: str) -> bool:
        """A refused creation has nothing to release: dropping it is all there is to do."""
        creation = self.store.creations.get(task_id)
        if creation is None or creation.state is not CreationState.REFUSED:
            return False
        self.discard_creation(task_id)
        return True

    def _report(self, action: str, error: RequestError, task_id: str | None, session_id: str | None) -> None:
        if self.on_problem is not None:
            problem = error.problem if isinstance(error, ProblemError) else None
            self.on_problem(
                CommandProblem(
                    action=action, message=str(error), task_id=task_id, session_id=session_id, problem=problem
                )
            )

    # Settling what the last run of the app left.

    def _restore(self) -> None:
        for creation in list(self.outbox.creations.values()):
            self.store.restore_creation(creation)
            if creation.state is CreationState.PENDING:
                self._settle_creation(creation.task_id)
            else:
                self._settled.setdefault(creation.task_id, anyio.Event())
        for session in list(self.outbox.sessions.values()):
            self._settle_session(session)
        for command in list(self.outbox.commands.values()):
            self._ask_again(command)
        for prompt in list(self.outbox.prompts.values()):
            self.store.put_prompt(prompt)
            if prompt.state is PromptState.QUEUED:
                self._deliver_prompt(prompt)

    def _ask_again(self, command: KeptCommand) -> None:
        match command:
            case kept.Retry():
                self.retry(command.task_id, command.options.resend)
            case kept.Archive():
                self.archive(command.task_id, command.options.force)
            case kept.Kill():
                self.kill(command.task_id, command.options.force, command.options.delete_branch)
            case kept.Prune():
                self.prune(command.task_id)
            case kept.Rename():
                self.rename(command.task_id, command.options.title)
            case kept.Answer():
                self.answer(command.task_id, command.options.option_id)

    def _forget_settled(self, changes: Changes) -> None:
        for task_id in changes.creations:
            self._creation_settled(task_id)

    # Telling listeners.

    async def _keep_flushing(self) -> None:
        while True:
            await self._work.wait()
            # What came with the same bytes is told together.
            await anyio.sleep(max(0, self._last_flush + FRAME - anyio.current_time()))
            self._work = anyio.Event()
            if self.store.flushes:
                # The first flush tells no more than that a connection begins; the list is not to wait behind it.
                self._last_flush = anyio.current_time()
            self.store.flush()

    def _cannot_keep(self, error: OSError) -> None:
        if self.on_problem is not None:
            message = f"Drafts and unanswered tasks cannot be kept in {self.outbox.path}: {error.strerror}."
            self.on_problem(CommandProblem(action="keep", message=message))
