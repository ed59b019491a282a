"""What a task changed, as the backend computes it: asked for when the task changes, never by the clock."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from foundry_tui.client.errors import ProblemError, UnreachableError
from foundry_tui.contract.records import FileDiff, TaskDetail, TaskSummary
from foundry_tui.contract.requests import Diff
from foundry_tui.contract.status import ENDED, TaskStatus
from foundry_tui.screens.task_in_view import TaskInView

T = TypeVar("T")

PATIENCE = (0.1, 0.3, 0.6, 1.2, 2.4)
"""Seconds after which changes that are being computed are asked for again; then it is left at that."""


class TaskChanges:
    """The changed files of the task that a screen shows, for its column and for its view of them."""

    def __init__(self, task: TaskInView, on_change: Callable[[], None]) -> None:
        """`on_change` is called whenever something else is known."""
        self._task = task
        self._on_change = on_change
        self._state: tuple[str, TaskStatus, int] | None = None
        """What the task was when its changes were asked for last."""
        self.files: Sequence[FileDiff] | None = None
        """The changed files; None while nobody knows."""
        self.note = ""
        """What is said where there are no files."""

    def look_anew(self) -> None:
        """Have the next `look` ask, whatever is known."""
        self._state = None

    def look(self, task: TaskSummary | None) -> None:
        """Ask for the changes, unless they were asked for since the task became what it is."""
        if task is None:
            return
        state = (task.task_id, task.status, task.work.at if task.work is not None else 0)
        if isinstance(task, TaskDetail) and task.sandbox is None and task.status not in ENDED:
            self._state = None
            self._tell(None, "There is no sandbox yet, so nothing was changed.")
        elif state != self._state:
            if self.files is None:
                self._tell(None, "Looking for changes")
            self._state = state
            self._task.screen.run_worker(self._fetch(), group="diff", exclusive=True)

    def _tell(self, files: Sequence[FileDiff] | None, note: str) -> None:
        if (files, note) != (self.files, self.note):
            self.files, self.note = files, note
            self._on_change()

    async def _fetch(self) -> None:
        diff = await self._diff()
        before = diff.computed_at if diff is not None else None
        for seconds in PATIENCE:
            if diff is None or (before is not None and self._is_over()):
                break
            if diff.computed_at is not None:
                self._tell(diff.files, "No file was changed.")
                if diff.computed_at != before:
                    return
            # The backend looks anew behind its answer, and no event tells when it is done.
            await asyncio.sleep(seconds)
            diff = await self._diff()
        if diff is None:
            self._tell(self.files, "The changes could not be read.")
        elif diff.computed_at is None:
            self._tell(None, "Changes are not known yet.")
        else:
            self._tell(diff.files, "No file was changed.")

    def _is_over(self) -> bool:
        task = self._task.record
        return task is not None and task.status in ENDED

    async def _diff(self) -> Diff | None:
        asking = self._task.foundry.commands.diff(self._task.task_id)
        return await ask(self._task, asking, "read the changes" if self._task.pane == "changes" else "")


async def ask(task: TaskInView, call: Awaitable[T], what: str) -> T | None:
    """Wait for an answer of the backend; a refusal is answered with None, and said if a person wanted `what`."""
    reason = ""
    try:
        return await call
    except ProblemError as refusal:
        reason = refusal.problem.detail or refusal.problem.title
    except UnreachableError:
        reason = "the backend does not answer"
    if what:
        task.screen.notify(f"Could not {what}: {reason}", severity="warning")
    return None
