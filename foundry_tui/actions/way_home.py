"""The rows of the table of actions that bring a task's work home."""

from collections.abc import Sequence

from foundry_tui.actions.availability import needs_one_real
from foundry_tui.actions.context import TASK, TASKS, WAY_HOME, Context
from foundry_tui.actions.model import Action
from foundry_tui.contract.status import TaskStatus
from foundry_tui.view.way_home import GIVE_CHECKS, GIVE_COMMENTS, choices, operation_name, why_nothing

_TT = frozenset({TASKS, TASK})
_H = frozenset({WAY_HOME})


def why_no_way_home(context: Context) -> str | None:
    """Why nothing can be done with the work; None as soon as one thing can."""
    task = context.task
    if (missing := needs_one_real(context)) or task is None:
        return missing
    return why_nothing(task) if all(choice.why_not for choice in choices(task)) else None


def why_no_checks_to_give(context: Context) -> str | None:
    """Why the agent cannot be given the logs of failed checks."""
    return _why_nothing_to_give(context, GIVE_CHECKS, "no check of #{} has failed")


def why_no_comments_to_give(context: Context) -> str | None:
    """Why the agent cannot be given what reviewers said."""
    return _why_nothing_to_give(context, GIVE_COMMENTS, "no comment on #{} waits for an answer")


def _why_nothing_to_give(context: Context, key: str, nothing: str) -> str | None:
    task = context.task
    if (missing := needs_one_real(context)) or task is None:
        return missing
    if task.pull_request is None:
        return "it has no pull request"
    if task.operation is not None:
        return f"one thing at a time: {operation_name(task.operation)} is under way"
    choice = next((choice for choice in choices(task) if choice.key == key), None)
    return nothing.format(task.pull_request.number) if choice is None else choice.why_not


def place_of_way_home(context: Context) -> int:
    """In a task that is ready it is what comes next. Elsewhere it gives way to what acts on tasks."""
    ready = context.task is not None and context.task.status is TaskStatus.IDLE
    return 7 if context.screen == TASK and ready else 14


BRINGING_HOME: Sequence[Action] = (
    Action(
        "way_home",
        "H",
        "way home",
        "What can be done next with the work: commit, update, push, pull request, land, apply, undo.",
        "Tasks",
        _TT,
        why_not=why_no_way_home,
        footer_of=place_of_way_home,
    ),
    Action(
        GIVE_CHECKS,
        "F",
        "fix checks",
        "Give the agent the logs of the pull request's failed checks.",
        "Tasks",
        _TT,
        why_not=why_no_checks_to_give,
        footer_of=lambda context: 0 if why_no_checks_to_give(context) else 6,
    ),
    Action(
        GIVE_COMMENTS,
        "A",
        "answer review",
        "Give the agent what reviewers of the pull request commented on lines.",
        "Tasks",
        _TT,
        why_not=why_no_comments_to_give,
        footer_of=lambda context: 0 if why_no_comments_to_give(context) else 6,
    ),
    Action("take_step", "enter", "do it", "Do what is highlighted.", "Way home", _H, footer=1),
    Action(
        "clear_failure",
        "backspace,delete",
        "clear",
        "Take away what is said of the operation that was not done; the task's history keeps it.",
        "Way home",
        _H,
        applies=lambda context: context.tells_failure,
        footer=3,
        palette=False,
    ),
    Action("close_way_home", "escape,q,H", "close", "Close; what is under way goes on.", "Way home", _H, footer=2),
)
