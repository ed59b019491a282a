"""Where a task can stand: its statuses, the stages of its provisioning, and what counts as reached."""

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
