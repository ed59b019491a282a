"""The statuses of a task, their sorts, and what counts as reached."""

import itertools

import pytest

from foundry_tui.contract.status import (
    ENDED,
    PROVISIONING,
    READY,
    RELEASING,
    STAGE_OF_STATUS,
    STAGES,
    STATUS_OF_STAGE,
    TaskStatus,
    reached,
)

WAY = [TaskStatus.QUEUED, *STATUS_OF_STAGE.values(), TaskStatus.RUNNING, TaskStatus.IDLE]
"""The statuses from queued to idle, in their order."""


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
