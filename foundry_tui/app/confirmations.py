"""The questions that the app asks before something is destroyed, and those that come by themselves."""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from msgspec import Struct
from textual.screen import ModalScreen

from foundry_tui.actions.availability import is_living
from foundry_tui.client.commands import CommandProblem, session_draft_key
from foundry_tui.contract.records import TaskSummary
from foundry_tui.screens.base import FoundryScreen
from foundry_tui.view.labels import title_of, unsent_words

if TYPE_CHECKING:
    from foundry_tui.app.host import Host

QUIET_SECONDS = 0.7
"""How long nothing was typed when a question comes by itself, so that the next key is meant for it."""

TRUE_SECONDS = 10.0
"""How long what would be lost is taken to be just that: an agent works on while a question waits."""


NAMED = 100
"""How many tasks a question names by their titles."""


def quantity(tasks: Sequence[TaskSummary]) -> str:
    """`“Title”`, or `3 tasks`."""
    return f"“{title_of(tasks[0])}”" if len(tasks) == 1 else f"{len(tasks)} tasks"


def named(tasks: Sequence[TaskSummary]) -> list[str]:
    """Several tasks by their titles, each with how many files of it are not committed; of very many the first."""
    if len(tasks) < 2:
        return []
    told = []
    for task in tasks[:NAMED]:
        open_files = task.work.uncommitted if task.work is not None and is_living(task) else 0
        told.append(f"{title_of(task)}: {open_files} uncommitted" if open_files else title_of(task))
    return [*told, f"and {len(tasks) - NAMED:,} more"] if len(tasks) > NAMED else told


class RefusedRelease(Struct, frozen=True):
    """An `archive` or `kill` that was not done since work would be lost: whether to do it all the same is to be asked.

    `at` is when it was refused, in seconds of the monotonic clock.
    """

    action: str
    task_id: str
    losses: Sequence[str]
    at: float


class Confirmations:
    """Asks them, one after the other."""

    def __init__(self, host: "Host") -> None:
        self._host = host
        self._to_ask: deque[Callable[[], object]] = deque()
        """What opens the questions that came by themselves and wait for a moment in which they take nobody's keys."""
        self._refused: dict[str, dict[str, RefusedRelease]] = {}
        """What the next question about each action asks, by task."""
        self._branches_too: set[str] = set()
        """The tasks, by id, whose branch was to be deleted when they were killed."""

    @property
    def waiting(self) -> bool:
        """Whether a question that came by itself waits for its moment."""
        return bool(self._to_ask)

    def ask(self, question: str, losses: Sequence[str], yes: str, then: Callable[[], None]) -> None:
        """Ask before something is destroyed, and do it if the answer is yes."""
        from foundry_tui.screens.confirm import ConfirmScreen

        def answered(agreed: bool | None) -> None:
            if agreed:
                then()

        self._host.app.push_screen(ConfirmScreen(question, losses, yes), answered)

    def ask_to_kill(self, task: TaskSummary, then: Callable[[], None]) -> None:
        """Ask before this task is killed, with its branch if that is wanted too; `then` is called once it is."""
        from foundry_tui.screens.kill import KillScreen

        def answered(agreed: bool | None) -> None:
            if agreed:
                if screen.with_branch:
                    self._branches_too.add(task.task_id)
                self._host.commands.kill(task.task_id, delete_branch=screen.with_branch)
                then()

        losses = ["Its sandbox is destroyed; what was said stays readable."]
        if words := unsent_words(self._host.commands.comments.count(task.task_id)):
            losses.append(f"{words}: nobody can be sent them any more.")
        screen = KillScreen(f"Kill {quantity([task])}?", losses, task)
        self._host.app.push_screen(screen, answered)

    def _was_refused(self, refused: RefusedRelease) -> None:
        """Ask whether to do it all the same."""
        if self._occupied:
            self._host.app.notify(
                "Work would be lost. You are asked about it once you have left the field or the dialog.",
                title=self._question(refused),
                severity="warning",
            )
        together = self._refused.setdefault(refused.action, {})
        together[refused.task_id] = refused
        if len(together) == 1:
            self.ask_in_a_pause(partial(self._ask_all_the_same, refused.action))

    def _ask_all_the_same(self, action: str) -> None:
        """Ask in one dialog about all tasks for which this was refused until now."""
        now, known = monotonic(), self._host.store.tasks
        tasks: list[TaskSummary] = []
        fresh: list[RefusedRelease] = []
        for refused in self._refused.pop(action).values():
            task = known.get(refused.task_id)
            if task is None or not is_living(task):
                continue
            if now - refused.at < TRUE_SECONDS:
                tasks.append(task)
                fresh.append(refused)
            else:
                self._release(refused, force=False)
        if not fresh:
            return

        def release() -> None:
            for refused in fresh:
                self._release(refused, force=True)

        losses = [
            f"{title_of(task)}: {loss}" if len(tasks) > 1 else loss
            for task, refused in zip(tasks, fresh, strict=True)
            for loss in refused.losses
        ]
        question = f"{action.capitalize()} {quantity(tasks)}? This would be lost:"
        self.ask(question, losses, f"{action.capitalize()} all the same", release)

    def ask_in_a_pause(self, ask: Callable[[], object]) -> None:
        """Have `ask` open a dialog that nobody waits for, as soon as no other is open and nothing is being typed.

        What is typed now is meant for something else, and may say yes.
        """
        self._to_ask.append(ask)
        if len(self._to_ask) == 1:
            self._ask_next()

    def _ask_next(self) -> None:
        quiet = monotonic() - self._host.typed_at
        if self._occupied or quiet < QUIET_SECONDS:
            self._host.app.set_timer(QUIET_SECONDS - quiet if quiet < QUIET_SECONDS else QUIET_SECONDS, self._ask_next)
            return
        self._to_ask.popleft()()
        if self._to_ask:
            self._host.app.set_timer(QUIET_SECONDS, self._ask_next)

    def _question(self, refused: RefusedRelease) -> str:
        task = self._host.store.tasks.get(refused.task_id)
        return f"{refused.action.capitalize()} {quantity([task]) if task is not None else 'the task'}?"

    def _release(self, refused: RefusedRelease, *, force: bool) -> None:
        """Ask for it again; without `force` the answer tells what would be lost by now."""
        task_id = refused.task_id
        if refused.action == "kill":
            self._host.commands.kill(task_id, force=force, delete_branch=task_id in self._branches_too)
        else:
            self._host.commands.archive(task_id, force=force)

    @property
    def _occupied(self) -> bool:
        """Whether a dialog is open, or something is being written."""
        screen = self._host.app.screen
        return isinstance(screen, ModalScreen) or (isinstance(screen, FoundryScreen) and screen.writing)

    def tell_problem(self, problem: CommandProblem) -> None:
        """A command did not succeed: ask again where work would be lost, else say so."""
        losses = problem.problem.would_lose if problem.problem is not None else ()
        task_id = problem.task_id
        if losses and task_id is not None and problem.action in ("archive", "kill"):
            self._was_refused(RefusedRelease(problem.action, task_id, losses, monotonic()))
            return
        if problem.action == "operate":
            from foundry_tui.screens.way_home import WayHomeScreen

            for screen in self._host.app.screen_stack:
                if isinstance(screen, WayHomeScreen):
                    screen.refused()
        if problem.action == "add_session" and task_id is not None and task_id in self._host.sessions_asked:
            self._host.commands.drafts.put(session_draft_key(task_id), self._host.sessions_asked.pop(task_id))
        self._host.app.notify(problem.message, title=f"Could not {problem.action.replace('_', ' ')}", severity="error")
