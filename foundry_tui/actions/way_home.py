"""The rows of the table of actions that bring a task's work home."""

from collections.abc import Sequence

from foundry_tui.actions.context import TASK, TASKS, WAY_HOME, Context
from foundry_tui.actions.model import Action
from foundry_tui.actions.rules import needs_one_real
from foundry_tui.contract.status import TaskStatus
from foundry_tui.view.way_home import choices, why_nothing

_TT = frozenset({TASKS, TASK})
_H = frozenset({WAY_HOME})


def why_no_way_home(context: Context) -> str | None:
    """Why nothing can be done with the work; None as soon as one thing can."""
    task = context.task
    if (missing := needs_one_real(context)) or task is None:
        return missing
    return why_nothing(task) if all(choice.why_not for choice in choices(task)) else None


def place_of_way_home(context: Context) -> int:
    """In a task that is ready it is what comes next. Elsewhere it gives way to what acts on tasks."""
    ready = context.task is not None and context.task.status is TaskStatus.IDLE
    return 7 if context.screen == TASK and ready else 14


BRINGING_HOME: Sequence[Action] = (
    Action(
        "way_home",
        "H",
        "way home",
        "What can be done next with the work: commit, update, push, pull request, land, apply.",
        "Tasks",
        _TT,
        why_not=why_no_way_home,
        footer_of=place_of_way_home,
    ),
    Action("take_step", "enter", "do it", "Do what is highlighted.", "Way home", _H, footer=1),
    Action("close_way_home", "escape,q,H", "close", "Close; what is under way goes on.", "Way home", _H, footer=2),
)
