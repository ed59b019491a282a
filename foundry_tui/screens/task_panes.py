"""The views of a task beside its conversation: history, stage log, changes, details; made when first opened."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from textual.widget import Widget

from foundry_tui.client.errors import ProblemError, UnreachableError
from foundry_tui.contract.records import TaskDetail, TaskSummary
from foundry_tui.contract.requests import Diff
from foundry_tui.contract.status import ENDED, PROVISIONING, TaskStatus
from foundry_tui.screens.review import ReviewActions
from foundry_tui.screens.scrolling import Scrolled
from foundry_tui.screens.task_in_view import TaskInView
from foundry_tui.view.history import local_clock
from foundry_tui.view.stepper import silent_failure
from foundry_tui.widgets.changes import ChangesView
from foundry_tui.widgets.details import Details
from foundry_tui.widgets.history import HistoryView
from foundry_tui.widgets.session_tabs import ViewTab
from foundry_tui.widgets.stage_log import StageLog
from foundry_tui.widgets.task_notices import FailureCard

T = TypeVar("T")

PANES = (
    ViewTab("history", "History", "h"),
    ViewTab("log", "Log", "l"),
    ViewTab("changes", "Changes", "c"),
    ViewTab("details", "Details", "d"),
)
"""The views, as their tabs name them."""

PATIENCE = (0.1, 0.3, 0.6, 1.2, 2.4)
"""Seconds after which changes that are being computed are asked for again; then it is left at that."""
HISTORY_WINDOW = 200
"""Events that a task's record brings along; a history as long as that may have begun earlier."""


class TaskPanes(ReviewActions):
    """Which view is open on a task screen, what it shows, and the actions that open one or close it."""

    def __init__(self, task: TaskInView) -> None:
        self._task = task
        self._made: dict[str, Widget] = {}
        self._asked_for_history = False
        self._diff_of: tuple[str, TaskStatus] | None = None
        self.current = ""
        """The name of the open view; empty for the conversation."""

    @property
    def scrolled(self) -> Scrolled | None:
        """What scrolls in the open view, if one is open that can."""
        view = self._made.get(self.current)
        return view if isinstance(view, (HistoryView, StageLog, ChangesView)) else None

    @property
    def changes(self) -> ChangesView | None:
        view = self._made.get("changes")
        return view if isinstance(view, ChangesView) else None

    async def toggle(self, name: str) -> None:
        """Open a view, or go back to the conversation if it is open."""
        if name == self.current:
            self.close()
            return
        if name not in self._made:
            screen = self._task.screen
            self._made[name] = self._make(name)
            await screen.mount(self._made[name], after=screen.query_one(FailureCard))
        self._open(name)
        self._diff_of = None
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
        if name != "changes":
            self._task.screen.workers.cancel_group(self._task.screen, "diff")
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
            self._show_changes(view, task)
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
        events = await self._ask(self._task.foundry.commands.history(self._task.task_id), "read the history")
        if events is not None:
            view.show(events)

    def show_log(self) -> None:
        """Show the stage log, if it is open."""
        view = self._made.get(self.current)
        if isinstance(view, StageLog):
            task = self._task.record
            working = task is not None and task.status in PROVISIONING
            empty = "Nothing was printed yet." if working else "Nothing was printed."
            log = self._task.store.log(self._task.task_id)
            view.show(log, empty=empty, end=silent_failure(task, log))

    def _show_changes(self, view: ChangesView, task: TaskSummary | None) -> None:
        if task is None:
            return
        state = (task.task_id, task.status)
        if isinstance(task, TaskDetail) and task.sandbox is None and task.status not in ENDED:
            self._diff_of = None
            view.show((), "There is no sandbox yet, so nothing was changed.")
        elif state != self._diff_of:
            if self._diff_of is None:
                view.show((), "Looking for changes")
            self._diff_of = state
            self._task.screen.run_worker(self._fetch_changes(view), group="diff", exclusive=True)

    async def _fetch_changes(self, view: ChangesView) -> None:
        """The changes as the backend knows them now; asked for again when the task's status changes."""
        diff = await self._diff()
        before = diff.computed_at if diff is not None else None
        for seconds in PATIENCE:
            if diff is None or (before is not None and self._is_over()):
                break
            if diff.computed_at is not None:
                view.show(diff.files, "No file was changed.")
                if diff.computed_at != before:
                    return
            # The backend looks anew behind its answer, and no event tells when it is done.
            await asyncio.sleep(seconds)
            diff = await self._diff()
        if diff is None:
            view.show((), "The changes could not be read.")
        else:
            known = diff.computed_at is not None
            view.show(diff.files, "No file was changed." if known else "Changes are not known yet.")

    def _is_over(self) -> bool:
        task = self._task.record
        return task is not None and task.status in ENDED

    async def _diff(self) -> Diff | None:
        return await self._ask(self._task.foundry.commands.diff(self._task.task_id), "read the changes")

    async def _ask(self, call: Awaitable[T], what: str) -> T | None:
        """Wait for an answer of the backend; a refusal is said, and answered with None."""
        try:
            return await call
        except ProblemError as refusal:
            self._task.screen.notify(f"Could not {what}: {refusal.problem.detail}", severity="warning")
        except UnreachableError:
            self._task.screen.notify(f"Could not {what}: the backend does not answer", severity="warning")
        return None
