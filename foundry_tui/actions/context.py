"""Where a person is and what an action would act on, and from that why an action cannot be done."""

from msgspec import Struct

from foundry_tui.contract.records import Permission, SessionStatus, SessionSummary, TaskSummary
from foundry_tui.contract.status import ENDED, RELEASING, TaskStatus

TASKS = "tasks"
TASK = "task"
NEW_TASK = "new_task"
NEW_SESSION = "new_session"
CONFIRM = "confirm"
KILL = "kill"
RENAME = "rename"
HELP = "help"
DIAGNOSTICS = "diagnostics"
APP = "app"
"""Names of screens as `Action.screens` says them; `APP` stands for every screen that is no dialog."""

COMPOSER = "composer"
FILTER = "filter"
TITLE = "title"
"""Names of fields in which one writes, and which have actions of their own."""


class Context(Struct, frozen=True, kw_only=True):
    """What decides whether an action can be done now: where one is, and what it would act on."""

    screen: str
    field: str = ""
    """The field with actions of its own in which one writes now."""
    task: TaskSummary | None = None
    """The highlighted or open task."""
    marked: tuple[TaskSummary, ...] = ()
    """The tasks marked in selection mode, in the order of the list."""
    selecting: bool = False
    pending: bool = False
    """The task is a creation that the backend has not answered yet."""
    refused: bool = False
    """The task is a creation that the backend refused."""
    filtered: bool = False
    peeking: bool = False
    shown: int = 0
    """Tasks in the list, after filtering."""
    waiting: int = 0
    """Tasks that wait for a person."""
    undoable: bool = False
    session: SessionSummary | None = None
    why_no_start: str | None = "it has not gone away"
    """Why the backend cannot be started from here."""
    bare_branch: bool = False
    """The task's branch has no commit of its own, so that it can go with the task."""
    permission: Permission | None = None
    """The open request that would be answered."""

    @property
    def targets(self) -> tuple[TaskSummary, ...]:
        """The tasks that an action would act on: in selection mode those marked and no other."""
        if self.selecting:
            return self.marked
        return (self.task,) if self.task is not None else ()


def has_failed(task: TaskSummary) -> bool:
    return task.status is TaskStatus.ERROR


def failed_in_turn(task: TaskSummary) -> bool:
    """Whether it stands on a turn that failed, whose prompt can be sent again."""
    in_turn = any(session.status is SessionStatus.ERROR for session in task.sessions)
    return has_failed(task) and task.error is not None and task.error.stage is None and in_turn


def is_living(task: TaskSummary) -> bool:
    """Whether it can still be archived or killed."""
    return task.status not in ENDED and task.status not in RELEASING


def has_ended(task: TaskSummary) -> bool:
    return task.status in ENDED


def is_any(_: TaskSummary) -> bool:
    return True


def needs_task(context: Context) -> str | None:
    return None if context.task is not None else "there is no task here"


def needs_one_real(context: Context) -> str | None:
    """Why nothing can be asked of the backend about the highlighted task."""
    missing = needs_task(context)
    if missing:
        return missing
    if context.pending:
        return "the backend has not answered for this task yet"
    return "the backend refused this task" if context.refused else None


def needs_real(context: Context) -> str | None:
    """Why nothing can be asked of the backend about the tasks that would be acted on."""
    if context.selecting:
        return None if context.marked else "no task is marked"
    return needs_one_real(context)


def why_no_retry(context: Context) -> str | None:
    if is_refused(context):
        return None
    missing = needs_real(context)
    if missing:
        return missing
    if any(map(has_failed, context.targets)):
        return None
    return "only failed tasks can be retried" if context.selecting else "this task has not failed"


def why_no_resend(context: Context) -> str | None:
    missing = needs_real(context)
    if missing:
        return missing
    if any(map(failed_in_turn, context.targets)):
        return None
    return "no turn of a marked task failed" if context.selecting else "no turn of this task failed"


def why_no_release(context: Context) -> str | None:
    missing = needs_real(context)
    if missing:
        return missing
    return None if any(map(is_living, context.targets)) else "it has ended already"


def needs_list(context: Context) -> str | None:
    return None if context.shown else "the list is empty"


def needs_waiting(context: Context) -> str | None:
    return None if context.waiting else "no task waits for you"


def why_no_way_back(context: Context) -> str | None:
    if context.screen != TASKS or context.filtered or context.selecting or context.peeking:
        return None
    return "nothing is open over the list"


def is_ended(context: Context) -> bool:
    return bool(context.targets) and all(map(has_ended, context.targets))


def is_refused(context: Context) -> bool:
    return context.refused and not context.selecting
