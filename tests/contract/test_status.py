"""The task's state machine as the contract's table has it, and what counts as reached."""

import itertools

import pytest

from foundry_tui.contract.status import (
    ENDED,
    MOVES,
    PROVISIONING,
    READY,
    RELEASING,
    STAGE_OF_STATUS,
    STAGES,
    STATUS_OF_STAGE,
    IllegalMoveError,
    TaskStatus,
    check_move,
    reached,
)

LEAVE = {"error", "archive_release_sandbox", "kill_destroy_sandbox"}
TABLE: dict[str, set[str]] = {
    "init_enqueue_provision": {"init_ensure_name", *LEAVE},
    "init_ensure_name": {"init_create_sandbox", *LEAVE},
    "init_create_sandbox": {"init_ensure_agent", *LEAVE},
    "init_ensure_agent": {"init_create_session", *LEAVE},
    "init_create_session": {"running", "idle", *LEAVE},
    "running": {"idle", *LEAVE},
    "idle": {"running", *LEAVE},
    "error": {"init_enqueue_provision", "archive_release_sandbox", "kill_destroy_sandbox"},
    "archive_release_sandbox": {"archived"},
    "archived": set(),
    "kill_destroy_sandbox": {"killed"},
    "killed": set(),
}
WAY = [*TABLE][:7]
"""The statuses from queued to idle, in their order."""


def test_the_moves_are_those_of_the_table() -> None:
    assert {str(status): {str(each) for each in moves} for status, moves in MOVES.items()} == TABLE


@pytest.mark.parametrize(("old", "new"), itertools.product(TaskStatus, TaskStatus))
def test_a_move_is_refused_unless_the_table_has_it(old: TaskStatus, new: TaskStatus) -> None:
    if old is new or new.value in TABLE[old.value]:
        check_move(old, new)
    else:
        with pytest.raises(IllegalMoveError, match=new.value):
            check_move(old, new)


def test_the_stages_and_their_statuses() -> None:
    assert [stage.value for stage in STAGES] == ["ensure_name", "create_sandbox", "ensure_agent", "create_session"]
    for stage in STAGES:
        assert STATUS_OF_STAGE[stage].value == f"init_{stage.value}"
        assert STAGE_OF_STATUS[STATUS_OF_STAGE[stage]] is stage


def test_every_status_is_of_one_sort() -> None:
    sorts = [PROVISIONING, READY, RELEASING, ENDED, frozenset({TaskStatus.ERROR})]
    assert sorted(status for sort in sorts for status in sort) == sorted(TaskStatus)


@pytest.mark.parametrize(("status", "target"), itertools.product(TaskStatus, TaskStatus))
def test_a_status_is_reached_by_itself_and_by_what_comes_behind_it(status: TaskStatus, target: TaskStatus) -> None:
    on_the_way = status in WAY and target in WAY and WAY.index(status) >= WAY.index(target)
    released = (status.value, target.value) in {
        ("archived", "archive_release_sandbox"),
        ("killed", "kill_destroy_sandbox"),
    }
    assert reached(status, target) == (on_the_way or status is target or released)
