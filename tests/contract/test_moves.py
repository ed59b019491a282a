"""The moves of every machine, as the contract's pages tell them."""

import itertools

import pytest

from foundry_tui.contract.moves import MACHINES, IllegalMoveError, check_move
from foundry_tui.contract.open_enum import OpenEnum
from foundry_tui.contract.questions import PermissionState
from foundry_tui.contract.records import OperationState, PromptState, SessionStatus, StageState
from foundry_tui.contract.status import TaskStatus

LEAVE = {"error", "archive_release_sandbox", "kill_destroy_sandbox"}
TABLES: dict[type[OpenEnum], dict[str, set[str]]] = {
    TaskStatus: {
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
    },
    StageState: {
        "pending": {"running"},
        "running": {"done", "failed", "cancelled"},
        "done": set(),
        "failed": {"pending"},
        "cancelled": set(),
    },
    SessionStatus: {
        "pending_provision": {"pending_session_create", "closed"},
        "pending_session_create": {"ready", "error", "closed"},
        "ready": {"running", "error", "closed"},
        "running": {"ready", "error", "closed"},
        "error": {"pending_provision", "ready", "closed"},
        "closed": set(),
    },
    PromptState: {
        "queued": {"delivered", "failed", "withdrawn"},
        "delivered": {"answered", "failed"},
        "answered": set(),
        "failed": set(),
        "withdrawn": set(),
    },
    PermissionState: {"open": {"answered", "cancelled"}, "answered": set(), "cancelled": set()},
    OperationState: {
        "queued": {"running", "failed", "cancelled"},
        "running": {"done", "failed", "cancelled"},
        "done": set(),
        "failed": set(),
        "cancelled": set(),
    },
}
PAIRS = [pair for states in TABLES for pair in itertools.product(states, states)]


def test_every_state_of_every_machine_has_its_moves() -> None:
    assert MACHINES.keys() == TABLES.keys()
    for states, (_, moves) in MACHINES.items():
        assert set(moves) == set(states)


@pytest.mark.parametrize(("old", "new"), PAIRS, ids=lambda state: str(state))
def test_a_move_is_refused_unless_its_table_has_it(old: TaskStatus, new: TaskStatus) -> None:
    if old is new or new.value in TABLES[type(old)][old.value]:
        check_move(old, new)
    else:
        with pytest.raises(IllegalMoveError, match=f"from {old} to {new}"):
            check_move(old, new)


@pytest.mark.parametrize("states", TABLES, ids=lambda states: states.__name__)
def test_a_word_that_is_not_known_is_on_no_way(states: type[TaskStatus]) -> None:
    for known in states:
        for old, new in ((known, states("paused")), (states("paused"), known)):
            with pytest.raises(IllegalMoveError):
                check_move(old, new)
