"""Archiving that can be undone for some seconds, before the backend is asked for it."""

from collections.abc import Sequence
from functools import partial
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
        self._undos: list[Undo] = []
        """What was asked for last is at the end."""

    @property
    def task_ids(self) -> frozenset[str]:
        """Those tasks; none if nothing can be taken back."""
        return frozenset(task_id for undo in self._undos for task_id in undo.task_ids)

    def begin(self, tasks: Sequence[TaskSummary]) -> None:
        """Have these tasks archived in `UNDO_SECONDS`, beside those that were asked for before."""
        task_ids = tuple(task.task_id for task in tasks)
        timer = self._host.app.set_timer(UNDO_SECONDS, partial(self._ask_for, task_ids))
        self._undos.append(Undo(task_ids, timer))

    def take_back(self) -> Sequence[str]:
        """Leave those as they are that were asked for last; which they were."""
        if not self._undos:
            return ()
        undo = self._undos.pop()
        undo.timer.stop()
        return undo.task_ids

    def finish(self) -> None:
        """Ask the backend to archive all of them now."""
        for undo in list(self._undos):
            undo.timer.stop()
            self._ask_for(undo.task_ids)

    def _ask_for(self, task_ids: Sequence[str]) -> None:
        """The time to take these back is over."""
        self._undos = [undo for undo in self._undos if undo.task_ids != task_ids]
        for task_id in task_ids:
            self._host.commands.archive(task_id)
        self._host.context_changed()
