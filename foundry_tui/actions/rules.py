"""Why an action of the task screen cannot be done now."""

from collections.abc import Callable
from pathlib import Path

from foundry_tui.actions.context import Context, needs_real
from foundry_tui.contract.providers import SIMULATED
from foundry_tui.contract.records import SessionStatus, TaskDetail
from foundry_tui.contract.status import ENDED, RELEASING
from foundry_tui.process.editors import why_no_editor

_LEFT = ENDED | RELEASING


def has_left(context: Context) -> bool:
    """Whether the task is being released, or has ended."""
    return context.task is not None and context.task.status in _LEFT


def why_no_writing(context: Context) -> str | None:
    if context.refused:
        return "the backend refused this task"
    if context.session is None:
        return "there is no session here"
    if has_left(context):
        return "the task has ended"
    return "this session is closed" if context.session.status is SessionStatus.CLOSED else None


def why_no_stop(context: Context) -> str | None:
    if context.session is None or context.session.status is not SessionStatus.RUNNING:
        return "no turn is running in this session"
    return None


def why_no_new_session(context: Context) -> str | None:
    return needs_real(context) or ("the task has ended" if has_left(context) else None)


def why_no_closing(context: Context) -> str | None:
    missing = needs_real(context)
    if missing:
        return missing
    if context.session is None:
        return "there is no session here"
    return "this session is closed already" if context.session.status is SessionStatus.CLOSED else None


def why_no_other_session(context: Context) -> str | None:
    count = len(context.task.sessions) if context.task is not None else 0
    return None if count > 1 else "there is no other session"


def why_no_path(context: Context) -> str | None:
    task = context.task
    return None if isinstance(task, TaskDetail) and task.sandbox is not None else "it has no sandbox yet"


def why_no_folder(context: Context) -> str | None:
    """Why its sandbox cannot be opened in an editor."""
    task = context.task
    missing = why_no_path(context)
    if missing or not isinstance(task, TaskDetail) or task.sandbox is None:
        return missing
    if not Path(task.sandbox.cwd).is_dir():
        return "the provider demo makes no folder" if task.provider == SIMULATED else "its folder is gone or elsewhere"
    return why_no_editor()


def why_no_answer(place: int) -> Callable[[Context], str | None]:
    """Why the open request cannot be answered with its option of this place, counted from 1."""

    def why(context: Context) -> str | None:
        if context.permission is None:
            return "the agent asks nothing"
        return None if len(context.permission.options) >= place else "its question has no such answer"

    return why


def option_name(place: int) -> Callable[[Context], str]:
    """What the option of this place, counted from 1, is called."""

    def name(context: Context) -> str:
        return context.permission.options[place - 1].name if context.permission is not None else f"answer {place}"

    return name


def offers(place: int) -> Callable[[Context], bool]:
    """Whether the open request has an option of this place, counted from 1."""

    def offered(context: Context) -> bool:
        return context.permission is not None and len(context.permission.options) >= place

    return offered
