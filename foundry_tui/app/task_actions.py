"""What can be done to tasks from any screen: retry, archive with a moment to undo, kill, remove, copy."""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from msgspec import Struct
from textual.notifications import Notification, SeverityLevel
from textual.screen import ModalScreen
from textual.timer import Timer

from foundry_tui.actions.context import failed_in_turn, has_ended, has_failed, is_living
from foundry_tui.app.key_order import KeysInOrder
from foundry_tui.client.commands import CommandProblem
from foundry_tui.client.errors import RequestError
from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.requests import CreateTask
from foundry_tui.screens.base import FoundryScreen
from foundry_tui.view.labels import retry_words, title_of
from foundry_tui.view.new_session import draft_key

if TYPE_CHECKING:
    from foundry_tui.actions.context import Context
    from foundry_tui.client.commands import Commands
    from foundry_tui.client.store import Store

UNDO_SECONDS = 5.0
"""How long an archiving can be taken back before it is asked of the backend."""

QUIET_SECONDS = 0.7
"""How long nothing was typed when a question comes by itself, so that the next key is meant for it."""

TRUE_SECONDS = 10.0
"""How long what would be lost is taken to be just that: an agent works on while a question waits."""


class Undo(Struct, frozen=True):
    """Tasks that will be archived when `timer` ends."""

    task_ids: tuple[str, ...]
    timer: Timer


def quantity(tasks: Sequence[TaskSummary]) -> str:
    """`“Title”`, or `3 tasks`."""
    return f"“{title_of(tasks[0])}”" if len(tasks) == 1 else f"{len(tasks)} tasks"


class Refused(Struct, frozen=True):
    """An `archive` or `kill` that was not done since work would be lost: whether to do it all the same is to be asked.

    `at` is when it was refused, in seconds of the monotonic clock.
    """

    action: str
    task_id: str
    losses: Sequence[str]
    at: float


class TaskActions(KeysInOrder):
    """The part of the app that acts on the tasks of the current context."""

    store: "Store"
    commands: "Commands"
    sessions_asked: dict[str, CreateTask]
    """The session asked for last, by task: it is in the dialog again if the backend refuses it."""
    _undo: Undo | None = None
    _reply: Notification | None = None
    """What was said last about a key."""
    _branches_too: set[str]
    """The tasks, by id, whose branch was to be deleted when they were killed."""
    _to_ask: deque[Callable[[], object]]
    """What opens the questions that came by themselves and wait for a moment in which they take nobody's keys."""

    def context(self) -> "Context":
        """What actions would act on now."""
        raise NotImplementedError

    def context_changed(self) -> None:
        """Footer and marks are to be drawn anew."""
        raise NotImplementedError

    def unmark(self, tasks: Sequence[TaskSummary]) -> None:
        """An action was done to those of these that it is for: they are marked no longer."""
        raise NotImplementedError

    def open_new_task(self, repo: str | None = None, draft: CreateTask | None = None) -> None:
        """Open the new-task dialog."""
        raise NotImplementedError

    @property
    def undoable(self) -> bool:
        """Whether something was done that `u` takes back."""
        return self._undo is not None

    @property
    def leaving(self) -> frozenset[str]:
        """The tasks that will be archived in a moment, unless that is undone."""
        return frozenset(self._undo.task_ids) if self._undo is not None else frozenset()

    def action_retry(self) -> None:
        creations = self.store.creations
        targets = self.context().targets
        tasks = list(filter(has_failed, targets))
        for task in tasks:
            if task.task_id in creations:
                self.commands.retry_creation(task.task_id)
            else:
                self.commands.retry(task.task_id)
        if len(tasks) > 1:
            self.notify(f"Retrying {quantity(tasks)}.", timeout=4)
        elif tasks and tasks[0].task_id not in creations:
            self.notify(retry_words(tasks[0]), title=f"Retry {quantity(tasks)}", timeout=4)
        self.unmark(targets)

    def action_resend(self) -> None:
        targets = self.context().targets
        tasks = list(filter(failed_in_turn, targets))
        for task in tasks:
            self.commands.retry(task.task_id, resend=True)
        if tasks:
            prompts = "The prompt whose turn failed is" if len(tasks) == 1 else "The prompts whose turns failed are"
            self.notify(f"{prompts} sent again.", title=f"Send again in {quantity(tasks)}", timeout=4)
        self.unmark(targets)

    def action_archive(self) -> None:
        targets = self.context().targets
        tasks = list(filter(is_living, targets))
        self._archive_pending_now()
        if not tasks:
            return
        timer = self.set_timer(UNDO_SECONDS, self._archive_pending_now)
        self._undo = Undo(tuple(task.task_id for task in tasks), timer)
        self._have_looked_at(tasks)
        self.unmark(targets)
        self.notify(f"Archiving {quantity(tasks)}. Press u to undo.", timeout=UNDO_SECONDS)
        self.context_changed()

    def action_undo(self) -> None:
        if self._undo is not None:
            self._undo.timer.stop()
            self._undo = None
            self.clear_notifications()
            self.notify("Not archived.", timeout=2)
            self.context_changed()

    def _archive_pending_now(self) -> None:
        undo, self._undo = self._undo, None
        if undo is not None:
            undo.timer.stop()
            for task_id in undo.task_ids:
                self.commands.archive(task_id)
            self.context_changed()

    def action_kill(self) -> None:
        targets = self.context().targets
        tasks = list(filter(is_living, targets))

        def kill() -> None:
            for task in tasks:
                self.commands.kill(task.task_id)
            self.unmark(targets)

        if len(tasks) == 1:
            self._ask_to_kill(tasks[0], lambda: self.unmark(targets))
        elif tasks:
            self._have_looked_at(tasks)
            losses = ["Their sandboxes are destroyed; what was said stays readable."]
            self.ask(f"Kill {quantity(tasks)}?", losses, "Kill", kill)

    def _ask_to_kill(self, task: TaskSummary, then: Callable[[], None]) -> None:
        from foundry_tui.screens.kill import KillScreen

        def answered(agreed: bool | None) -> None:
            if agreed:
                if screen.with_branch:
                    self._branches_too.add(task.task_id)
                self.commands.kill(task.task_id, delete_branch=screen.with_branch)
                then()

        losses = ["Its sandbox is destroyed; what was said stays readable."]
        screen = KillScreen(f"Kill {quantity([task])}?", losses, task)
        self.push_screen(screen, answered)

    def _have_looked_at(self, tasks: Sequence[TaskSummary]) -> None:
        """Have the backend look at these worktrees, so that it knows what would be lost by the time it is asked to."""

        async def look() -> None:
            for task in tasks:
                # Who asks for the changes has them computed anew. That fails where there is nothing to be lost.
                with suppress(RequestError):
                    await self.commands.diff(task.task_id)

        self.run_worker(look(), group="look")

    def action_prune(self) -> None:
        targets = self.context().targets
        tasks = list(filter(has_ended, targets))

        def prune() -> None:
            for task in tasks:
                self.commands.prune(task.task_id)
            self.unmark(targets)

        if tasks:
            what = "Its history, log and transcript" if len(tasks) == 1 else "Their histories, logs and transcripts"
            self.ask(f"Remove {quantity(tasks)} for good?", [f"{what} will be gone."], "Remove", prune)

    def action_trust_setup(self) -> None:
        from foundry_tui.screens.trust import look_at_setup

        task = self.context().task
        if task is not None:
            look = look_at_setup(self, task.repo_id, task.repo_label)
            self.run_worker(look, group="trust", exit_on_error=False)

    def action_discard(self) -> None:
        for task in self.context().targets:
            if task.task_id in self.store.creations:
                self.commands.discard_creation(task.task_id)

    def action_edit_again(self) -> None:
        task = self.context().task
        if task is None:
            return
        creation = self.store.creations.get(task.task_id)
        if creation is not None:
            request = creation.request
            draft = CreateTask(
                repo=request.repo,
                prompt=request.prompt,
                title=request.title,
                branch=request.branch,
                base_branch=request.base_branch,
                agent=request.agent,
                provider=request.provider,
            )
        else:
            detail = self.store.detail(task.task_id)
            draft = CreateTask(
                repo=task.repo_id,
                prompt=detail.prompt if detail is not None else task.prompt,
                base_branch=detail.base_branch if detail is not None else None,
                agent=task.agent,
                provider=task.provider,
            )
        self.open_new_task(task.repo_id, draft)

    def action_toggle_unread(self) -> None:
        tasks = self.context().targets
        unread = not any(task.unread for task in tasks)
        for task in tasks:
            self.commands.mark(task.task_id, unread)
        self.unmark(tasks)

    def action_copy_branch(self) -> None:
        task = self.context().task
        if task is not None and task.branch:
            self.copy(task.branch)

    def action_copy_id(self) -> None:
        task = self.context().task
        if task is not None:
            self.copy(task.task_id)

    def ask(self, question: str, losses: Sequence[str], yes: str, then: Callable[[], None]) -> None:
        """Ask before something is destroyed, and do it if the answer is yes."""
        from foundry_tui.screens.confirm import ConfirmScreen

        def answered(agreed: bool | None) -> None:
            if agreed:
                then()

        self.push_screen(ConfirmScreen(question, losses, yes), answered)

    def _was_refused(self, refused: Refused) -> None:
        """Ask whether to do it all the same."""
        if self._occupied:
            self.notify(
                "Work would be lost. You are asked about it once you have left the field or the dialog.",
                title=self._question(refused),
                severity="warning",
            )
        self.ask_in_a_pause(partial(self._ask_all_the_same, refused))

    def _ask_all_the_same(self, refused: Refused) -> None:
        task = self.store.tasks.get(refused.task_id)
        if task is None or not is_living(task):
            return
        if monotonic() - refused.at < TRUE_SECONDS:
            yes = f"{refused.action.capitalize()} all the same"
            then = partial(self._release, refused, force=True)
            self.ask(f"{self._question(refused)} This would be lost:", refused.losses, yes, then)
        else:
            self._release(refused, force=False)

    def ask_in_a_pause(self, ask: Callable[[], object]) -> None:
        """Have `ask` open a dialog that nobody waits for, as soon as no other is open and nothing is being typed.

        What is typed now is meant for something else, and may say yes.
        """
        self._to_ask.append(ask)
        if len(self._to_ask) == 1:
            self._ask_next()

    def _ask_next(self) -> None:
        quiet = monotonic() - self.typed_at
        if self._occupied or quiet < QUIET_SECONDS:
            self.set_timer(QUIET_SECONDS - quiet if quiet < QUIET_SECONDS else QUIET_SECONDS, self._ask_next)
            return
        self._to_ask.popleft()()
        if self._to_ask:
            self.set_timer(QUIET_SECONDS, self._ask_next)

    def _question(self, refused: Refused) -> str:
        task = self.store.tasks.get(refused.task_id)
        return f"{refused.action.capitalize()} {quantity([task]) if task is not None else 'the task'}?"

    def _release(self, refused: Refused, *, force: bool) -> None:
        """Ask for it again; without `force` the answer tells what would be lost by now."""
        task_id = refused.task_id
        if refused.action == "kill":
            self.commands.kill(task_id, force=force, delete_branch=task_id in self._branches_too)
        else:
            self.commands.archive(task_id, force=force)

    @property
    def _occupied(self) -> bool:
        """Whether a dialog is open, or something is being written."""
        screen = self.screen
        return isinstance(screen, ModalScreen) or (isinstance(screen, FoundryScreen) and screen.writing)

    def tell_problem(self, problem: CommandProblem) -> None:
        """A command did not succeed: ask again where work would be lost, else say so."""
        losses = problem.problem.would_lose if problem.problem is not None else ()
        task_id = problem.task_id
        if losses and task_id is not None and problem.action in ("archive", "kill"):
            self._was_refused(Refused(problem.action, task_id, losses, monotonic()))
            return
        if problem.action == "add_session" and task_id is not None and task_id in self.sessions_asked:
            self.commands.drafts.put(draft_key(task_id), self.sessions_asked.pop(task_id))
        self.notify(problem.message, title=f"Could not {problem.action.replace('_', ' ')}", severity="error")

    def reply(self, words: str, title: str = "", *, severity: SeverityLevel = "information") -> None:
        """Say what came of a key, in place of what came of the key before; nothing if that is being said."""
        last = self._reply
        if last is not None and last in self._notifications:
            if not last.has_expired and (last.message, last.title) == (words, title):
                return
            self._unnotify(last, refresh=False)
        self._reply = Notification(words, title, severity, timeout=3, markup=False)
        self._notifications.add(self._reply)
        self._refresh_notifications()

    def copy(self, text: str) -> None:
        """Put this on the clipboard, and say so."""
        self.copy_to_clipboard(text)
        self.reply(f"Copied {text}")
