"""What can happen to an operation of a task, as a change of the task's rows in the making."""

from typing import Any

from backend_stub.task.rows import TaskRows
from foundry_tui.contract.records import (
    ErrorKind,
    HistoryKind,
    Operation,
    OperationState,
    OperationStep,
    TaskError,
)
from foundry_tui.contract.replace import replace


class OperationChange:
    """The operations of a change; a part of `TaskChange`. One is under way at most, and named by nobody therefore."""

    def __init__(self, rows: TaskRows) -> None:
        self._rows = rows

    @property
    def under_way(self) -> Operation | None:
        return self._rows.task.operation

    def request(self, operation: Operation) -> None:
        """A person asked for it."""
        self._rows.put_operation(operation)
        self._note({})
        self._record(HistoryKind.OPERATION_REQUESTED, operation)

    def begin(self, operation: Operation) -> None:
        """Its turn has come."""
        self._rows.put_operation(replace(operation, state=OperationState.RUNNING))

    def begin_step(self, operation: Operation, name: str) -> None:
        """The step before has ended well, and this one begins; one that began before a restart goes on."""
        held = [each for each in self._ended(operation, OperationState.DONE) if each.name != name]
        begun = next((each.started_at for each in operation.steps if each.name == name), None)
        step = OperationStep(name=name, state=OperationState.RUNNING, started_at=begun or self._rows.now)
        self._rows.put_operation(replace(operation, steps=(*held, step)))

    def tell_step(self, operation: Operation, detail: str) -> None:
        """What the step that runs does."""
        *before, last = operation.steps
        self._rows.put_operation(replace(operation, steps=(*before, replace(last, detail=detail))))

    def note(self, name: str, value: str) -> None:
        """Remember something of the beginning, for going on after a restart."""
        self._note({**self._rows.private.operation_notes, name: value})

    def finish(self, operation: Operation, result: dict[str, Any]) -> None:
        """All is done."""
        self._end(operation, OperationState.DONE, result=result)
        self._record(HistoryKind.OPERATION_COMPLETED, operation, result=result)

    def fail(self, operation: Operation, error: TaskError) -> None:
        """It could not be done; nothing of it is left half-way."""
        self._end(operation, OperationState.FAILED, error=error)
        self._record(HistoryKind.OPERATION_FAILED, operation, message=error.message)

    def cancel(self, why: str) -> None:
        """Whatever is under way is given up."""
        operation = self.under_way
        if operation is not None:
            error = TaskError(kind=ErrorKind.CANCELLED, message=why, retryable=False, at=self._rows.now)
            self._end(operation, OperationState.CANCELLED, error=error)
            self._record(HistoryKind.OPERATION_FAILED, operation, message=why)

    def _end(
        self,
        operation: Operation,
        state: OperationState,
        result: dict[str, Any] | None = None,
        error: TaskError | None = None,
    ) -> None:
        self._rows.put_operation(
            replace(
                operation,
                state=state,
                steps=self._ended(operation, state),
                result=result,
                error=error,
                finished_at=self._rows.now,
            )
        )
        self._note({})

    def _ended(self, operation: Operation, state: OperationState) -> tuple[OperationStep, ...]:
        """Its steps, the one that runs having ended so."""
        return tuple(
            replace(each, state=state, finished_at=self._rows.now) if each.state is OperationState.RUNNING else each
            for each in operation.steps
        )

    def _note(self, notes: dict[str, str]) -> None:
        if notes != self._rows.private.operation_notes:
            self._rows.private = replace(self._rows.private, operation_notes=notes)

    def _record(self, kind: HistoryKind, operation: Operation, **more: object) -> None:
        self._rows.record(kind, operation_id=operation.operation_id, operation=operation.kind, **more)
