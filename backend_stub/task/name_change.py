"""How a task comes to be called: a part of a `TaskChange`."""

from backend_stub.domain.start import Start
from backend_stub.task.rows import TaskRows
from foundry_tui.contract.records import HistoryKind
from foundry_tui.contract.replace import replace


class NameChange:
    """Its title and its branch."""

    def __init__(self, rows: TaskRows) -> None:
        self._rows = rows

    def settle(self, title: str, branch: str) -> None:
        """The task gets its title, unless it has one, and its branch, which no other task may have from now on."""
        self._rows.hold_branch = branch
        self._name(title, branch)

    def begin_from(self, start: Start, title: str, branch: str) -> None:
        """It was found out what the task starts from: the same, but on a branch that was there before nobody else is
        kept off by the rows, since git lets one worktree have it.
        """
        task = self._rows.task
        if (told := task.started_from) is not None:
            told = replace(told, title=start.title, url=start.url)
        self._rows.put_task(replace(task, started_from=told, base_branch=start.base or task.base_branch))
        if start.branch is None:
            self._rows.hold_branch = branch
        self._name(title, branch)

    def switch_branch(self, branch: str) -> None:
        """The sandbox is on another branch by now, which git has: that keeps others off, and the old name is free."""
        self._rows.free_branch = True
        self._put_on(branch)

    def _name(self, title: str, branch: str) -> None:
        task = self._rows.task
        self._rows.put_task(replace(task, title=task.title or title))
        self._put_on(branch)

    def _put_on(self, branch: str) -> None:
        self._rows.put_task(replace(self._rows.task, branch=branch))
        self._rows.record(HistoryKind.TASK_NAMED, title=self._rows.task.title, branch=branch)
