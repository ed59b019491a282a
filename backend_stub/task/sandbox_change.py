"""What can happen to the sandbox of a task as that ends: a part of a `TaskChange`."""

from backend_stub.domain.storage import LeftoverRow
from backend_stub.task.rows import TaskRows
from foundry_tui.contract.records import HistoryKind, Leftover
from foundry_tui.contract.replace import replace


class SandboxChange:
    """Released, destroyed, or left behind."""

    def __init__(self, rows: TaskRows) -> None:
        self._rows = rows

    def leave_behind(self, row: LeftoverRow, why: str) -> None:
        """It could not be removed: that is listed, and `row` kept to try again."""
        task, sandbox = self._rows.task, self._rows.task.sandbox
        what = f"sandbox {sandbox.sandbox_id} in {sandbox.cwd}" if sandbox else f"sandbox of task {task.task_id}"
        self._rows.leftover = row
        leftover = Leftover(what=what, why=why, at=self._rows.now)
        self._rows.put_task(replace(task, leftovers=(*task.leftovers, leftover)))
        self._rows.record(HistoryKind.SANDBOX_LEFTOVER, what=what, why=why)

    def remove(self, *, archive: bool) -> None:
        """It was released or destroyed."""
        self._rows.record(HistoryKind.SANDBOX_RELEASED if archive else HistoryKind.SANDBOX_DESTROYED)

    def remove_leftovers(self, *, archive: bool) -> None:
        """What an earlier attempt left behind is removed by now."""
        self._rows.leftover_gone = True
        self._rows.put_task(replace(self._rows.task, leftovers=()))
        self.remove(archive=archive)
