"""Which states may follow which: a table for each machine, where staying as one is needs no move.

The machines are the task, its stages, its sessions, their prompts, and the questions that only a person can
answer, and operations.
Each record begins in a state that no other leads to, or that only trying again leads to.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from foundry_tui.contract.open_enum import OpenEnum
from foundry_tui.contract.questions import PermissionState
from foundry_tui.contract.records import OperationState, PromptState, SessionStatus, StageState
from foundry_tui.contract.status import TaskStatus

State = TypeVar("State", TaskStatus, StageState, SessionStatus, PromptState, PermissionState, OperationState)

_LEAVE = {TaskStatus.ERROR, TaskStatus.ARCHIVING, TaskStatus.KILLING}

TASK_MOVES: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.QUEUED: frozenset({TaskStatus.ENSURE_NAME, *_LEAVE}),
    TaskStatus.ENSURE_NAME: frozenset({TaskStatus.CREATE_SANDBOX, *_LEAVE}),
    TaskStatus.CREATE_SANDBOX: frozenset({TaskStatus.ENSURE_AGENT, *_LEAVE}),
    TaskStatus.ENSURE_AGENT: frozenset({TaskStatus.CREATE_SESSION, *_LEAVE}),
    TaskStatus.CREATE_SESSION: frozenset({TaskStatus.RUNNING, TaskStatus.IDLE, *_LEAVE}),
    TaskStatus.RUNNING: frozenset({TaskStatus.IDLE, *_LEAVE}),
    TaskStatus.IDLE: frozenset({TaskStatus.RUNNING, *_LEAVE}),
    TaskStatus.ERROR: frozenset({TaskStatus.QUEUED, TaskStatus.ARCHIVING, TaskStatus.KILLING}),
    TaskStatus.ARCHIVING: frozenset({TaskStatus.ARCHIVED}),
    TaskStatus.ARCHIVED: frozenset(),
    TaskStatus.KILLING: frozenset({TaskStatus.KILLED}),
    TaskStatus.KILLED: frozenset(),
}

STAGE_MOVES: Mapping[StageState, frozenset[StageState]] = {
    StageState.PENDING: frozenset({StageState.RUNNING}),
    StageState.RUNNING: frozenset({StageState.DONE, StageState.FAILED, StageState.CANCELLED}),
    StageState.DONE: frozenset(),
    StageState.FAILED: frozenset({StageState.PENDING}),
    StageState.CANCELLED: frozenset(),
}
"""A stage that is tried again by itself stays running; one that failed is pending again when a person retries."""

SESSION_MOVES: Mapping[SessionStatus, frozenset[SessionStatus]] = {
    SessionStatus.PENDING_PROVISION: frozenset({SessionStatus.PENDING_CREATE, SessionStatus.CLOSED}),
    SessionStatus.PENDING_CREATE: frozenset({SessionStatus.READY, SessionStatus.ERROR, SessionStatus.CLOSED}),
    SessionStatus.READY: frozenset({SessionStatus.RUNNING, SessionStatus.ERROR, SessionStatus.CLOSED}),
    SessionStatus.RUNNING: frozenset({SessionStatus.READY, SessionStatus.ERROR, SessionStatus.CLOSED}),
    SessionStatus.ERROR: frozenset({SessionStatus.PENDING_PROVISION, SessionStatus.READY, SessionStatus.CLOSED}),
    SessionStatus.CLOSED: frozenset(),
}
"""After a failure a session that was never opened is opened again, and one whose turn failed is ready again."""

PROMPT_MOVES: Mapping[PromptState, frozenset[PromptState]] = {
    PromptState.QUEUED: frozenset({PromptState.DELIVERED, PromptState.FAILED, PromptState.WITHDRAWN}),
    PromptState.DELIVERED: frozenset({PromptState.ANSWERED, PromptState.FAILED}),
    PromptState.ANSWERED: frozenset(),
    PromptState.FAILED: frozenset(),
    PromptState.WITHDRAWN: frozenset(),
}
"""What is sent again is a new prompt."""

QUESTION_MOVES: Mapping[PermissionState, frozenset[PermissionState]] = {
    PermissionState.OPEN: frozenset({PermissionState.ANSWERED, PermissionState.CANCELLED}),
    PermissionState.ANSWERED: frozenset(),
    PermissionState.CANCELLED: frozenset(),
}

OPERATION_MOVES: Mapping[OperationState, frozenset[OperationState]] = {
    OperationState.QUEUED: frozenset({OperationState.RUNNING, OperationState.FAILED, OperationState.CANCELLED}),
    OperationState.RUNNING: frozenset({OperationState.DONE, OperationState.FAILED, OperationState.CANCELLED}),
    OperationState.DONE: frozenset(),
    OperationState.FAILED: frozenset(),
    OperationState.CANCELLED: frozenset(),
}
"""One that was cut by a restart stays running, and goes on."""

MACHINES: Mapping[type[OpenEnum], tuple[str, Mapping[Any, frozenset[Any]]]] = {
    TaskStatus: ("a task", TASK_MOVES),
    StageState: ("a stage", STAGE_MOVES),
    SessionStatus: ("a session", SESSION_MOVES),
    PromptState: ("a prompt", PROMPT_MOVES),
    PermissionState: ("a question", QUESTION_MOVES),
    OperationState: ("an operation", OPERATION_MOVES),
}
"""By the type of its states, what each machine is of, and its table."""


class IllegalMoveError(Exception):
    """A record was to go to a state that may not follow the one it is in."""


def check_move(old: State, new: State) -> None:
    """Raise `IllegalMoveError` unless `new` is `old` or may follow it."""
    if new is not old:
        what, moves = MACHINES[type(old)]
        if new not in moves.get(old, ()):
            raise IllegalMoveError(f"{what} cannot go from {old} to {new}")
