"""What the preview of a task shows: which of its sessions, which question, and how much it changed."""

from collections.abc import Container, Iterable

from foundry_tui.contract.questions import Ask, Permission, PermissionState
from foundry_tui.contract.records import FileDiff, SessionStatus, SessionSummary, TaskDetail, TaskSummary
from foundry_tui.contract.status import PROVISIONING, TaskStatus
from foundry_tui.contract.task_words import needs_person
from foundry_tui.view.answers import AnyAsk, is_answered_by_digits
from foundry_tui.view.task_notices import chosen_session, open_permissions


def open_question(task: TaskSummary, answered: Container[str] = ()) -> AnyAsk | None:
    """The oldest question that the task waits with and that was not `answered` (by permission_id) just now.

    The whole of it where that is known, which is so where the list has all of it.
    """
    if not needs_person(task):
        return None
    whole = {each.permission_id: each for each in open_permissions(task, None)}
    # The list is newer than a task that nobody is subscribed to any more.
    asked = {ask.permission_id: whole.get(ask.permission_id) or _whole(ask) for ask in task.asks} or whole
    return next((ask for permission_id, ask in asked.items() if permission_id not in answered), None)


def _whole(ask: Ask) -> AnyAsk:
    """The question itself, where the list has all of it."""
    if not ask.whole or not is_answered_by_digits(ask):
        return ask
    return Permission(
        permission_id=ask.permission_id,
        task_id="",
        session_id=ask.session_id,
        state=PermissionState.OPEN,
        kind=ask.kind,
        title=ask.title,
        text=ask.text,
        options=ask.options,
        at=ask.at,
    )


def session_in_view(task: TaskSummary, ask: AnyAsk | None) -> SessionSummary | None:
    """The session that asks; failing that one that works; failing that the first that is open."""
    wanted = ask.session_id if ask is not None else None
    working = (each.session_id for each in task.sessions if each.status is SessionStatus.RUNNING)
    return chosen_session(task.sessions, wanted or next(working, None))


def shows_stages(task: TaskSummary) -> bool:
    """Whether its stages matter: it is being prepared, or that failed."""
    failed = task.status is TaskStatus.ERROR and task.error is not None and task.error.stage is not None
    return failed or task.status in PROVISIONING


def changes_words(files: Iterable[FileDiff]) -> str:
    """How much was changed: `+10 -4 in 3 files`."""
    files = list(files)
    if not files:
        return "nothing changed"
    added, removed = (sum(getattr(file, name) or 0 for file in files) for name in ("added", "removed"))
    return f"+{added:,} -{removed:,} in {len(files):,} file{'s' * (len(files) != 1)}"


def is_prepared(task: TaskSummary) -> bool:
    """Whether it has a sandbox, so that there can be changes."""
    has_sandbox = isinstance(task, TaskDetail) and task.sandbox is not None
    return has_sandbox and task.status in (TaskStatus.RUNNING, TaskStatus.IDLE, TaskStatus.ERROR)
