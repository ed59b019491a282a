"""What `foundry show` says of what became of a task."""

import msgspec
from msgspec.structs import replace

from foundry_tui.cli.outcome import lines_of, rows_of
from foundry_tui.contract.activity import Activity, ActivityKind, PlanProgress
from foundry_tui.contract.records import ErrorKind, Operation, OperationKind, OperationState, TaskDetail, TaskError
from foundry_tui.contract.work import Work
from tests.app.factories import NOW, make_detail

DOCUMENT = msgspec.json.encode(
    {
        "pull_request": {
            "number": 212,
            "state": "open",
            "url": "https://forge.example/212",
            "checks": {"state": "none"},
        },
    }
)
WORK = Work(
    base="origin/main", ahead=2, behind=1, files=3, at=NOW, added=10, removed=4, uncommitted=1, conflicts=("a",)
)


def an_operation(operation_id: str, kind: OperationKind, state: OperationState) -> Operation:
    return Operation(operation_id=operation_id, task_id="t", kind=kind, request={}, state=state, at=NOW, revision=1)


def a_task() -> TaskDetail:
    error = TaskError(kind=ErrorKind.GIT, message="the remote refused it", retryable=False, at=NOW)
    commit = replace(an_operation("o-1", OperationKind.COMMIT, OperationState.DONE), result={"sha": "1a2b"})
    push = replace(an_operation("o-2", OperationKind.PUSH, OperationState.FAILED), error=error)
    activity = Activity(kind=ActivityKind.TOOL, text="pytest -q", at=NOW)
    plan = PlanProgress(done=2, total=4)
    return replace(make_detail(1), activity=activity, plan=plan, work=WORK, operations=(commit, push))


def test_a_person_reads_all_of_it() -> None:
    assert list(lines_of(a_task(), DOCUMENT)) == [
        ("says", "pytest -q"),
        ("plan", "2 of 4 done"),
        ("work", "2 commits ahead of origin/main, 1 behind, not pushed"),
        ("work", "3 files changed, +10 -4, 1 not committed"),
        ("work", "conflicts with origin/main: a"),
        ("pull", "212 · open · https://forge.example/212"),
        ("did", "commit · done · sha 1a2b"),
        ("did", "push · failed · the remote refused it"),
    ]


def test_a_pipe_gets_names_and_values() -> None:
    rows = list(rows_of(a_task(), DOCUMENT))
    assert ("activity", "tool", "pytest -q") in rows
    assert ("plan", "2/4") in rows
    assert ("work.ahead", 2) in rows
    assert ("work.pushed", "false") in rows
    assert ("operation.o-2", "push", "failed", "the remote refused it") in rows


def test_what_nobody_told_is_not_made_up() -> None:
    assert list(rows_of(make_detail(1), b'{"pull_request": []}')) == []
