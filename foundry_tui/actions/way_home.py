"""The rows of the table of actions that bring a task's work home."""

from collections.abc import Sequence

from foundry_tui.actions.context import TASK, TASKS, WAY_HOME
from foundry_tui.actions.model import Action
from foundry_tui.actions.rules import needs_one_real

_TT = frozenset({TASKS, TASK})
_H = frozenset({WAY_HOME})

BRINGING_HOME: Sequence[Action] = (
    Action(
        "way_home",
        "H",
        "way home",
        "What can be done next with the work: commit, update, push, pull request, land, apply.",
        "Tasks",
        _TT,
        why_not=needs_one_real,
    ),
    Action("take_step", "enter", "do it", "Do what is highlighted.", "Way home", _H, footer=1),
    Action("close_way_home", "escape,q,H", "close", "Close; what is under way goes on.", "Way home", _H, footer=2),
)
