"""Archiving that can be undone for some seconds, before the backend is asked for it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from textual.timer import Timer

from foundry_tui.contract.records import TaskSummary

if TYPE_CHECKING:
    from foundry_tui.app.host import Host

UNDO_SECONDS = 5.0
"""How long an archiving can be taken back before it is asked of the backend."""


class Undo(Struct, frozen=True):
    """Tasks that will be archived when `timer` ends."""

    task_ids: tuple[str, ...]
    timer: Timer


class Archiving:
    """The tasks that will be archived in a moment."""

    def __init__(self, host: "Host") -> None:
        self._host = host
        self._undo: Undo | None = None

    @property
    def task_ids(self) -> frozenset[str]:
        """Those tasks; none if nothing can be taken back."""
        return frozenset(self._undo.task_ids) if self._undo is not None else frozenset()

    def begin(self, tasks: Sequence[TaskSummary]) -> None:
        """Have these tasks archived in `UNDO_SECONDS`."""
        timer = self._host.app.set_timer(UNDO_SECONDS, self.finish)
        self._undo = Undo(tuple(task.task_id for task in tasks), timer)

    def take_back(self) -> bool:
        """Leave the tasks as they are; whether there were any."""
        undo, self._undo = self._undo, None
        if undo is not None:
            undo.timer.stop()
        return undo is not None

    def finish(self) -> None:
        """Ask the backend to archive them now."""
        task_ids = self._undo.task_ids if self._undo is not None else ()
        if self.take_back():
            for task_id in task_ids:
                self._host.commands.archive(task_id)
            self._host.context_changed()
