"""The views of a task beside its conversation: history, stage log, changes, details; made when first opened."""

from collections.abc import Sequence

from textual.widget import Widget

from foundry_tui.client.errors import ProblemError, UnreachableError
from foundry_tui.contract.checkpoints import BASE
from foundry_tui.contract.records import FileDiff, TaskDetail, TaskSummary
from foundry_tui.contract.status import PROVISIONING
from foundry_tui.screens.review import ReviewActions
from foundry_tui.screens.scrolling import Highlight, Scrolled
from foundry_tui.screens.task_changes import TaskChanges, ask
from foundry_tui.screens.task_in_view import TaskInView
from foundry_tui.view.history import local_clock
from foundry_tui.view.stepper import silent_failure
from foundry_tui.widgets.changes import ChangesView
from foundry_tui.widgets.details import Details
from foundry_tui.widgets.history import HistoryView
from foundry_tui.widgets.session_tabs import ViewTab
from foundry_tui.widgets.since_chooser import SINCE_BASE, Moment
from foundry_tui.widgets.stage_log import StageLog
from foundry_tui.widgets.task_notices import FailureCard

PANES = (
    ViewTab("history", "History", "h"),
    ViewTab("log", "Log", "l"),
    ViewTab("changes", "Changes", "d"),
    ViewTab("details", "Details", "D"),
)
"""The views, as their tabs name them."""

HISTORY_WINDOW = 200
"""Events that a task's record brings along; a history as long as that may have begun earlier."""


class TaskPanes(ReviewActions):
    """Which view is open on a task screen, what it shows, and the actions that open one or close it."""

    def __init__(self, task: TaskInView, changes: TaskChanges) -> None:
        self._task = task
        self._changes = self._shown = changes
        """Those since base, and those that the view shows."""
        self._made: dict[str, Widget] = {}
        self._asked_for_history = False
        self.current = ""
        """The name of the open view; empty for the conversation."""

    @property
    def scrolled(self) -> Scrolled | None:
        """What scrolls in the open view, if one is open that can."""
        view = self._made.get(self.current)
        if isinstance(view, ChangesView) and view.chooser.display:
            return Highlight(view.chooser)
        return view if isinstance(view, (HistoryView, StageLog, ChangesView)) else None

    @property
    def changes(self) -> ChangesView | None:
        view = self._made.get("changes")
        return view if isinstance(view, ChangesView) else None

    @property
    def all_changes(self) -> Sequence[FileDiff]:
        return self._changes.files or ()

    async def toggle(self, name: str) -> None:
        """Open a view, or go back to the conversation if it is open."""
        if name == self.current:
            self.close()
            return
        if name not in self._made:
            screen = self._task.screen
            self._made[name] = self._make(name)
            await screen.mount(self._made[name], after=screen.query_one(FailureCard))
            if name == "changes":
                screen.watch(screen.app, "app_focus", self._look_again, init=False)
        self._open(name)
        if name == "changes":
            self._shown.look_anew()
            self._pull = None
        self.show(self._task.record)
        if name == "changes":
            self.show_comments()
        if name == "details":
            self._task.screen.run_worker(self._fetch_memory(), group="memory", exclusive=True)

    async def _fetch_memory(self) -> None:
        """What the agents take, read once each time that somebody looks; a backend that cannot tell says nothing."""
        view = self._made["details"]
        assert isinstance(view, Details)
        try:
            view.show_memory(await self._task.foundry.commands.memory(self._task.task_id))
        except (ProblemError, UnreachableError):
            view.show_memory(None)

    async def action_show_history(self) -> None:
        await self._task.toggle_pane("history")

    async def action_show_log(self) -> None:
        await self._task.toggle_pane("log")

    async def action_show_changes(self) -> None:
        await self._task.toggle_pane("changes")

    async def action_show_details(self) -> None:
        await self._task.toggle_pane("details")

    def close(self) -> None:
        """Go back to the conversation."""
        if self.current:
            self._open("")

    def _open(self, name: str) -> None:
        self.current = name
        self._task.hold_log(name == "log")
        self._task.screen.set_class(name == "changes", "-reviewing")
        self._shown.is_followed = name == "changes"
        self._task.give_place()
        for other, view in self._made.items():
            view.display = other == name

    def _make(self, name: str) -> Widget:
        if name == "history":
            return HistoryView(local_clock())
        if name == "log":
            return StageLog(local_clock())
        if name == "changes":
            return ChangesView(ascii_only=self._task.foundry.options.ascii)
        return Details(self._task.foundry.clock, self._task.key_of, id="details-pane")

    def show(self, task: TaskSummary | None) -> None:
        """Show the task in the open view."""
        view = self._made.get(self.current)
        if view is None:
            return
        if isinstance(view, HistoryView):
            self._show_history(view, task)
        elif isinstance(view, StageLog):
            self.show_log()
        elif isinstance(view, ChangesView):
            self._shown.look(task)
            self.look_at_reviews(task)
            self.show_changes()
        elif isinstance(view, Details):
            view.show(task)

    def _show_history(self, view: HistoryView, task: TaskSummary | None) -> None:
        if not isinstance(task, TaskDetail):
            return
        view.show(task.history)
        if len(task.history) >= HISTORY_WINDOW and not self._asked_for_history:
            self._asked_for_history = True
            self._task.screen.run_worker(self._fetch_history(view), group="history", exclusive=True)

    async def _fetch_history(self, view: HistoryView) -> None:
        """The events from before the window; the store keeps them for later."""
        events = await ask(self._task, self._task.foundry.commands.history(self._task.task_id), "read the history")
        if events is not None:
            view.show(events)

    def tick(self) -> None:
        """A second has passed: ages may have changed."""
        if isinstance(view := self._made.get(self.current), Details):
            view.tick()

    def show_log(self) -> None:
        """Show the stage log, if it is open."""
        view = self._made.get(self.current)
        if isinstance(view, StageLog):
            task = self._task.record
            working = task is not None and task.status in PROVISIONING
            empty = "Nothing was printed yet." if working else "Nothing was printed."
            log = self._task.store.log(self._task.task_id)
            view.show(log, empty=empty, end=silent_failure(task, log))

    def show_changes(self) -> None:
        """Show the changed files, if the view of changes is open."""
        view = self._made.get(self.current)
        if isinstance(view, ChangesView):
            view.show(self._shown.files or (), self._shown.note, whole=self._shown is self._changes)

    def follow_changes(self) -> None:
        """The agent did something: where its changes are read, look what became of them."""
        if self.current == "changes":
            self._shown.look(self._task.record)

    def _look_again(self, in_front: bool) -> None:
        """Somebody was elsewhere, where files are edited by hand: of that no task tells."""
        if in_front and self.current == "changes":
            self._shown.look_anew()
            self._shown.look(self._task.record)

    def show_since(self, moment: Moment) -> None:
        if moment.since != self._shown.since:
            self._shown.is_followed = False
            if moment.since == BASE:
                self._shown = self._changes
            else:
                self._shown = TaskChanges(self._task, self._task.changes_known, moment.since)
            self._shown.is_followed = True
            self._view.tell_since(moment)
        self._shown.look_anew()
        self.show(self._task.record)

    async def open_file(self, path: str) -> None:
        """Open all changes at this file."""
        if self.changes is not None:
            self.show_since(SINCE_BASE)
        if self.current != "changes":
            await self._task.toggle_pane("changes")
        view = self._made.get("changes")
        if isinstance(view, ChangesView):
            view.highlight(path)
