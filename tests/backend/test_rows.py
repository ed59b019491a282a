"""Where a task's rows are written, each move of each machine is checked: the illegal ones change nothing."""

import itertools

import pytest

from backend_stub.domain.storage import Private, TaskState
from backend_stub.task.rows import TaskRows
from foundry_tui.contract.moves import MACHINES, IllegalMoveError
from foundry_tui.contract.open_enum import OpenEnum
from foundry_tui.contract.questions import Permission, PermissionState
from foundry_tui.contract.records import (
    Operation,
    OperationKind,
    OperationState,
    Prompt,
    PromptState,
    SessionStatus,
    SessionSummary,
    StageRecord,
    StageState,
    TaskDetail,
)
from foundry_tui.contract.replace import replace
from foundry_tui.contract.status import StageName, TaskStatus

TASK = TaskDetail(
    task_id="t",
    repo_id="r",
    repo_label="r",
    prompt="do it",
    agent="demo",
    provider="demo",
    status=TaskStatus.IDLE,
    status_since=1,
    created_at=1,
    updated_at=1,
    revision=1,
    stages=(StageRecord(name=StageName.ENSURE_NAME),),
    sessions=(
        SessionSummary(
            session_id="s",
            task_id="t",
            name="s",
            agent="demo",
            status=SessionStatus.READY,
            created_at=1,
            updated_at=1,
            revision=1,
        ),
    ),
    permissions=(
        Permission(
            permission_id="q",
            task_id="t",
            session_id="s",
            title="?",
            options=(),
            state=PermissionState.OPEN,
            at=1,
        ),
    ),
    operations=(
        Operation(
            operation_id="o",
            task_id="t",
            kind=OperationKind.COMMIT,
            request={},
            state=OperationState.QUEUED,
            at=1,
            revision=1,
        ),
    ),
)
PROMPT = Prompt(prompt_id="p", session_id="s", text="x", state=PromptState.QUEUED, at=1)


State = TaskStatus | StageState | SessionStatus | PromptState | PermissionState | OperationState
MOVES = [pair for states in MACHINES for pair in itertools.product(states, states)]


def rows_in(state: State) -> TaskRows:
    """A task's rows, of which the one whose state this is has it."""
    task, prompt = TASK, PROMPT
    match state:
        case TaskStatus():
            task = replace(TASK, status=state)
        case StageState():
            task = replace(TASK, stages=(replace(TASK.stages[0], state=state),))
        case SessionStatus():
            task = replace(TASK, sessions=(replace(TASK.sessions[0], status=state),))
        case PermissionState():
            task = replace(TASK, permissions=(replace(TASK.permissions[0], state=state),))
        case OperationState():
            task = replace(TASK, operations=(replace(TASK.operations[0], state=state),))
        case PromptState():
            prompt = replace(PROMPT, state=state)
    return TaskRows(TaskState(task, Private(), {"s": (prompt,)}, 0), 2, {})


def write(rows: TaskRows, state: State) -> None:
    match state:
        case TaskStatus():
            rows.put_task(replace(rows.task, status=state))
        case StageState():
            rows.put_stage(replace(rows.stage(StageName.ENSURE_NAME), state=state))
        case SessionStatus():
            rows.put_session(replace(rows.session("s"), status=state))
        case PermissionState():
            rows.put_questions([replace(each, state=state) for each in rows.task.permissions])
        case OperationState():
            rows.put_operation(replace(rows.task.operations[0], state=state))
        case PromptState():
            rows.put_prompt(replace(rows.prompts("s")[0], state=state))


def states_of(rows: TaskRows) -> dict[type[OpenEnum], State]:
    task = rows.task
    return {
        TaskStatus: task.status,
        StageState: task.stages[0].state,
        SessionStatus: task.sessions[0].status,
        PermissionState: task.permissions[0].state,
        OperationState: task.operations[0].state,
        PromptState: rows.prompts("s")[0].state,
    }


@pytest.mark.parametrize(("old", "new"), MOVES, ids=str)
def test_what_is_written_is_a_legal_move_or_refused(old: State, new: State) -> None:
    rows = rows_in(old)
    before = states_of(rows)
    if old is new or new in MACHINES[type(old)][1][old]:
        write(rows, new)
        assert states_of(rows) == {**before, type(new): new}
        assert rows.seal() is not None
    else:
        with pytest.raises(IllegalMoveError):
            write(rows, new)
        assert states_of(rows) == before
        assert rows.seal() is None, "what was refused is not written"
