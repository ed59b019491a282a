"""What can happen to the stages of a task: a part of a `TaskChange`."""

from backend_stub.task.rows import TaskRows
from foundry_tui.contract.activity import ActivityKind
from foundry_tui.contract.records import HistoryKind, StageState, TaskError
from foundry_tui.contract.replace import replace
from foundry_tui.contract.status import StageName


class StageChange:
    """The attempts at each stage, one after the other."""

    def __init__(self, rows: TaskRows) -> None:
        self._rows = rows

    def begin(self, name: StageName, attempt: int, timeout_ms: int) -> None:
        """An attempt begins, and has this long."""
        now = self._rows.now
        stage = replace(
            self._rows.stage(name),
            state=StageState.RUNNING,
            attempt=attempt,
            started_at=now,
            finished_at=None,
            deadline_at=now + timeout_ms,
            detail=None,
        )
        self._rows.put_stage(stage)
        self._rows.record(HistoryKind.STAGE_STARTED, stage=name, attempt=attempt, max_attempts=stage.max_attempts)

    def extend(self, name: StageName, deadline_at: int) -> None:
        """The attempt under way has until then."""
        self._rows.put_stage(replace(self._rows.stage(name), deadline_at=deadline_at))

    def tell(self, name: StageName, detail: str) -> None:
        """What the stage does now, in a few words."""
        self._rows.put_stage(replace(self._rows.stage(name), detail=detail))

    def retry(self, name: StageName, error: TaskError, next_at: int) -> None:
        """The attempt failed, and the next is due then."""
        attempt = self._rows.stage(name).attempt
        detail = f"attempt {attempt} failed, trying again: {error.message}"
        self._end(name, StageState.RUNNING, error, detail)
        self._rows.tell(ActivityKind.NOTICE, detail)
        self._rows.record(
            HistoryKind.STAGE_RETRYING,
            stage=name,
            attempt=attempt,
            kind=error.kind,
            message=error.message,
            next_at=next_at,
        )

    def complete(self, name: StageName) -> None:
        stage = self._rows.stage(name)
        self._end(name, StageState.DONE, error=None)
        took = self._rows.now - (stage.started_at or self._rows.now)
        self._rows.record(HistoryKind.STAGE_COMPLETED, stage=name, attempt=stage.attempt, ms=took)

    def fail(self, name: StageName, error: TaskError) -> None:
        """No attempt follows."""
        self._end(name, StageState.FAILED, error)
        attempt = self._rows.stage(name).attempt
        self._rows.record(HistoryKind.STAGE_FAILED, stage=name, attempt=attempt, kind=error.kind, message=error.message)

    def cancel(self, name: StageName) -> None:
        """Nobody waits for it any more."""
        self._end(name, StageState.CANCELLED, self._rows.stage(name).error)

    def _end(self, name: StageName, state: StageState, error: TaskError | None, detail: str | None = None) -> None:
        ended = replace(
            self._rows.stage(name),
            state=state,
            error=error,
            finished_at=self._rows.now,
            deadline_at=None,
            detail=detail,
        )
        self._rows.put_stage(ended)
