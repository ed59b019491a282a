"""When waiting is over: what each thing told of a task means for the status or stage that is waited for."""

from collections.abc import Iterator

from foundry_tui.cli import problems
from foundry_tui.contract.records import HistoryEvent, HistoryKind, SessionStatus, StageState, TaskDetail
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


_SAID_NO_MORE = frozenset({HistoryKind.PROMPT_WITHDRAWN, HistoryKind.PROMPT_FAILED})
_BEGUN = _SAID_NO_MORE | {HistoryKind.PROMPT_DELIVERED}


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
        self._status: TaskStatus | None = None
        self._waiting: set[str] = set()
        """Ids of the prompts that are about to be handed over: before that an idle task has not come to rest."""

    def of_snapshot(self, task: TaskDetail, seq: int) -> int | None:
        """The exit code that a snapshot as of `seq` leads to, or None while there is more to wait for."""
        since, self._since = self._since, seq
        if since is not None:
            for event in task.history:
                if event.seq > since and (code := self.of_event(event)) is not None:
                    return code
        self._waiting = set(_about_to_be_said(task))
        return self.of_task(task)

    def of_task(self, task: TaskDetail) -> int | None:
        """The same for the task as it stands."""
        self._status = task.status
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
        if event.kind in _SAID_NO_MORE and event.payload.get("prompt_id") in self._waiting:
            self._waiting.discard(str(event.payload["prompt_id"]))
            return None if self._status is None else self._of_status(self._status)
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
        if status is TaskStatus.IDLE and self._waiting:
            return None
        self._waiting.clear()
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


def _about_to_be_said(task: TaskDetail) -> Iterator[str]:
    """The ids of the prompts that are handed over as soon as the agent is there, by the end of the task's history."""
    ready = {each.session_id for each in task.sessions if each.status is SessionStatus.READY and not each.held}
    begun = {each.payload.get("prompt_id") for each in task.history if each.kind in _BEGUN}
    for event in task.history:
        prompt_id = event.payload.get("prompt_id")
        waits = event.kind is HistoryKind.PROMPT_QUEUED and prompt_id not in begun
        if waits and isinstance(prompt_id, str) and event.payload.get("session_id") in ready:
            yield prompt_id
