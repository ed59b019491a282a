"""When a task that one reads beside the list counts as read, as a message does beside the list of a mail program."""

from foundry_tui.contract.records import TaskSummary

READ_AFTER = 3
"""Seconds for which it stands before a person until it counts as read."""


class Unread:
    """Counts the seconds for which the task that the cursor rests on was in sight.

    One that a person marks as unread stays so for as long as the cursor rests on it.
    """

    def __init__(self) -> None:
        self._task_id = ""
        self._read_at: int | None = None
        """The task's `updated_at` when it was seen as read; marking it as unread does not raise that, news do."""
        self._kept = False
        self._seconds = 0

    def look(self, task: TaskSummary) -> None:
        """The cursor rests on this task, which is as it is now."""
        if task.task_id != self._task_id:
            self._task_id, self._read_at, self._kept, self._seconds = task.task_id, None, False, 0
        if not task.unread:
            self._read_at, self._seconds = task.updated_at, 0
        elif task.updated_at == self._read_at:
            self._kept = True

    def second(self, task: TaskSummary, *, in_sight: bool) -> bool:
        """A second has passed; whether the task counts as read now."""
        self.look(task)
        if not task.unread or self._kept or not in_sight:
            return False
        self._seconds += 1
        if self._seconds < READ_AFTER:
            return False
        self._seconds = 0
        return True
