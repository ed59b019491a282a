"""What a task changed, as the backend compares it: asked for when the task changes, never by the clock."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from foundry_tui.client.errors import ProblemError, UnreachableError
from foundry_tui.contract.checkpoints import BASE
from foundry_tui.contract.records import FileDiff, TaskDetail, TaskSummary
from foundry_tui.contract.requests import Diff
from foundry_tui.contract.status import ENDED, TaskStatus
from foundry_tui.contract.transcript import TranscriptKind
from foundry_tui.screens.task_in_view import TaskInView

if TYPE_CHECKING:
    from foundry_tui.client.commands import Commands

T = TypeVar("T")

PACE = 1.0
"""Seconds from one comparison to the next while the agent works."""
NO_SANDBOX = "There is no sandbox yet, so nothing was changed."


async def compared_now(commands: "Commands", task_id: str, since: str) -> Diff:
    """What differs as of now, whatever was compared before. Raises `RequestError`."""
    known = await commands.diff(task_id, since)
    return await commands.diff(task_id, since, known.computed_at or 0)


class TaskChanges:
    """What differs in the task that a screen shows, since one moment."""

    def __init__(self, task: TaskInView, on_change: Callable[[], None], since: str = BASE) -> None:
        """`on_change` is called whenever something else is known."""
        self._task = task
        self._on_change = on_change
        self.since = since
        """The base, the last prompt, or a checkpoint."""
        self.is_followed = False
        """Whether somebody reads them, so that they are compared anew while the agent works, too."""
        self._state: tuple[str, TaskStatus, int, tuple[int, int]] | None = None
        """What the task was when its changes were asked for last."""
        self._cut_off = False
        """Whether they were not told as the backend was away."""
        self._is_asking = False
        self._again = False
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
        state = (task.task_id, task.status, task.work.at if task.work is not None else 0, self._done_last)
        if isinstance(task, TaskDetail) and task.sandbox is None and task.status not in ENDED:
            self._state = None
            self._tell(None, NO_SANDBOX)
        elif state != self._state or (self._cut_off and self._task.freshness().is_live):
            self._cut_off = False
            if self.files is None:
                self._tell(None, "Looking for changes")
            self._state = state
            self._again = True
            if not self._is_asking:
                self._is_asking = True
                self._task.screen.run_worker(self._ask(), group=f"diff {self.since}")

    @property
    def _done_last(self) -> tuple[int, int]:
        """What the agent did last, as index and revision; nothing where nobody follows it."""
        session = self._task.session if self.is_followed else None
        said = self._task.store.transcript(session.session_id) if session is not None else ()
        for item in reversed(said):
            if item.kind is TranscriptKind.TOOL_CALL:
                return item.index, item.revision
        return 0, 0

    def _tell(self, files: Sequence[FileDiff] | None, note: str) -> None:
        if (files, note) != (self.files, self.note):
            self.files, self.note = files, note
            self._on_change()

    async def _ask(self) -> None:
        try:
            while self._again:
                self._again = False
                await self._ask_once()
                if self._again:
                    await asyncio.sleep(PACE)
        finally:
            self._is_asking = False

    async def _ask_once(self) -> None:
        known = await self._diff()
        if known is not None and known.computed_at is not None:
            self._tell(known.files, self._nothing)
        now = await self._diff(known.computed_at or 0) if known is not None else None
        if now is None:
            self._cut_off = not self._task.freshness().is_live
            self._tell(self.files, "The changes could not be read.")
        elif now.computed_at is None:
            self._tell(None, "Changes are not known yet.")
        else:
            self._tell(now.files, self._nothing)

    @property
    def _nothing(self) -> str:
        return "No file was changed." if self.since == BASE else "No file differs now from what it was then."

    async def _diff(self, newer: int | None = None) -> Diff | None:
        asking = self._task.foundry.commands.diff(self._task.task_id, self.since, newer)
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
