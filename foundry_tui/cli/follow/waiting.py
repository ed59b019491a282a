"""When waiting is over: what each thing told of a task means for the status or stage that is waited for."""

from foundry_tui.cli import problems
from foundry_tui.contract.records import HistoryEvent, HistoryKind, StageState, TaskDetail
from foundry_tui.contract.status import (
    ENDED,
    RELEASING,
    STAGE_OF_STATUS,
    STATUS_OF_STAGE,
    StageName,
    TaskStatus,
    reached,
)

_STATUS_OF_EVENT: dict[HistoryKind, TaskStatus] = {
    HistoryKind.PROVISION_QUEUED: TaskStatus.QUEUED,
    HistoryKind.TASK_RUNNING: TaskStatus.RUNNING,
    HistoryKind.TASK_IDLE: TaskStatus.IDLE,
    HistoryKind.TASK_ERROR: TaskStatus.ERROR,
    HistoryKind.ARCHIVE_REQUESTED: TaskStatus.ARCHIVING,
    HistoryKind.TASK_ARCHIVED: TaskStatus.ARCHIVED,
    HistoryKind.KILL_REQUESTED: TaskStatus.KILLING,
    HistoryKind.TASK_KILLED: TaskStatus.KILLED,
}


class WaitCondition:
    """Judges a task's events in their order: the first that ends the waiting decides with which exit code.

    A stage as the goal is reached when it begins, as its status is. Without a goal the waiting ends when the task comes
    to rest: idle, archived or killed, or in error.
    """

    def __init__(
        self, goal: TaskStatus | StageName | None, *, since: int | None, through_questions: bool = False
    ) -> None:
        """Unless `through_questions`, a question that waits for a person ends the waiting."""
        self._through_questions = through_questions
        self._goal = STATUS_OF_STAGE[goal] if isinstance(goal, StageName) else goal
        self._since = since
        """Seq behind which history counts; None: the first snapshot's own, so that the past does not."""

    def of_snapshot(self, task: TaskDetail, seq: int) -> int | None:
        """The exit code that a snapshot as of `seq` leads to, or None while there is more to wait for."""
        since, self._since = self._since, seq
        if since is not None:
            for event in task.history:
                if event.seq > since and (code := self.of_event(event)) is not None:
                    return code
        return self.of_task(task)

    def of_task(self, task: TaskDetail) -> int | None:
        """The same for the task as it stands."""
        if self._passed(task):
            return problems.DONE
        code = self._of_status(task.status)
        if code is not None or self._through_questions or self._goal in ENDED | RELEASING or task.status in RELEASING:
            return code
        return problems.ASKS if task.needs_input else None

    def of_event(self, event: HistoryEvent) -> int | None:
        """The same for one thing that happened."""
        if self._since is not None:
            self._since = max(self._since, event.seq)
        status = _STATUS_OF_EVENT.get(event.kind)
        if event.kind is HistoryKind.STAGE_STARTED and isinstance(stage := event.payload.get("stage"), str):
            status = STATUS_OF_STAGE.get(StageName(stage))
        return None if status is None else self._of_status(status)

    def _passed(self, task: TaskDetail) -> bool:
        """Whether the goal lies behind the task by what its stages tell, also when it stopped on a later one."""
        begun = None if self._goal is None else STAGE_OF_STATUS.get(self._goal)
        return self._goal is TaskStatus.QUEUED or any(
            record.name is begun and record.state is not StageState.PENDING for record in task.stages
        )

    def _of_status(self, status: TaskStatus) -> int | None:
        if self._goal is None:
            if status is TaskStatus.ERROR:
                return problems.TASK_ERROR
            return problems.DONE if status is TaskStatus.IDLE or status in ENDED else None
        if reached(status, self._goal):
            return problems.DONE
        if status is TaskStatus.ERROR:
            return problems.TASK_ERROR
        if status in ENDED or (status in RELEASING and self._goal not in ENDED):
            return problems.FAILED
        return None
