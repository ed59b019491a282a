"""The task's state machine: its statuses, its stages, and which moves are legal."""

from foundry_tui.contract.open_enum import OpenEnum


class TaskStatus(OpenEnum):
    """Where a task stands; the one field that is its state machine."""

    QUEUED = "init_enqueue_provision"
    ENSURE_NAME = "init_ensure_name"
    CREATE_SANDBOX = "init_create_sandbox"
    ENSURE_AGENT = "init_ensure_agent"
    CREATE_SESSION = "init_create_session"
    RUNNING = "running"
    IDLE = "idle"
    ERROR = "error"
    ARCHIVING = "archive_release_sandbox"
    ARCHIVED = "archived"
    KILLING = "kill_destroy_sandbox"
    KILLED = "killed"


class StageName(OpenEnum):
    """The four steps of provisioning, in their order."""

    ENSURE_NAME = "ensure_name"
    CREATE_SANDBOX = "create_sandbox"
    ENSURE_AGENT = "ensure_agent"
    CREATE_SESSION = "create_session"


STAGES: tuple[StageName, ...] = tuple(StageName)
LOG_STAGES: tuple[str, ...] = (*map(str, STAGES), "turn", "release_sandbox", "destroy_sandbox")
"""What a line of the stage log can be of."""

STATUS_OF_STAGE: dict[StageName, TaskStatus] = {stage: TaskStatus(f"init_{stage}") for stage in STAGES}
STAGE_OF_STATUS: dict[TaskStatus, StageName] = {status: stage for stage, status in STATUS_OF_STAGE.items()}

PROVISIONING: frozenset[TaskStatus] = frozenset({TaskStatus.QUEUED, *STAGE_OF_STATUS})
"""Statuses in which a sandbox or a session is still being prepared."""
READY: frozenset[TaskStatus] = frozenset({TaskStatus.RUNNING, TaskStatus.IDLE})
RELEASING: frozenset[TaskStatus] = frozenset({TaskStatus.ARCHIVING, TaskStatus.KILLING})
ENDED: frozenset[TaskStatus] = frozenset({TaskStatus.ARCHIVED, TaskStatus.KILLED})
"""Statuses of a task that is kept for reading only."""

_LEAVE = {TaskStatus.ERROR, TaskStatus.ARCHIVING, TaskStatus.KILLING}

MOVES: dict[TaskStatus, frozenset[TaskStatus]] = {
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
"""Which status may follow which; staying where one is needs no move."""

_ORDER: dict[TaskStatus, int] = {
    status: place
    for place, status in enumerate(
        (
            TaskStatus.QUEUED,
            *(STATUS_OF_STAGE[stage] for stage in STAGES),
            TaskStatus.RUNNING,
            TaskStatus.IDLE,
        )
    )
}


class IllegalMoveError(Exception):
    """A status was asked for that the state machine does not allow from where the task stands."""

    def __init__(self, old: TaskStatus, new: TaskStatus) -> None:
        super().__init__(f"a task cannot go from {old} to {new}")
        self.old = old
        self.new = new


def check_move(old: TaskStatus, new: TaskStatus) -> None:
    """Raise `IllegalMoveError` unless `new` is `old` or may follow it."""
    if new is not old and new not in MOVES.get(old, ()):
        raise IllegalMoveError(old, new)


def reached(status: TaskStatus, target: TaskStatus) -> bool:
    """Whether a task that stands at `status` has reached or passed `target`.

    The statuses on the way from queued to idle follow each other; `running` is reached by `idle` too. Of the ways out
    (`error`, archive, kill) each is reached by itself, and a release by its end.
    """
    if status is target:
        return True
    if target is TaskStatus.ARCHIVING:
        return status is TaskStatus.ARCHIVED
    if target is TaskStatus.KILLING:
        return status is TaskStatus.KILLED
    if status in _ORDER and target in _ORDER:
        return _ORDER[status] > _ORDER[target]
    return False
