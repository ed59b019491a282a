"""The rows of the table of actions about checkpoints: the way to them from a task, and what their list does."""

from collections.abc import Sequence

from foundry_tui.actions.availability import needs_real
from foundry_tui.actions.context import CHECKPOINTS, TASK, Context
from foundry_tui.actions.model import Action
from foundry_tui.contract.records import TaskDetail
from foundry_tui.view.way_home import has_turn_to_undo
from foundry_tui.view.way_home import why_no_undo as why_no_undo_of


def why_no_checkpoints(context: Context) -> str | None:
    """Why there is nothing to list."""
    missing = needs_real(context)
    if missing:
        return missing
    task = context.task
    return "there is no sandbox yet" if isinstance(task, TaskDetail) and task.sandbox is None else None


def why_no_undo(context: Context) -> str | None:
    """Why the files cannot be set back now."""
    missing = why_no_checkpoints(context)
    return missing if missing or context.task is None else why_no_undo_of(context.task)


def place_of_undo(context: Context) -> int:
    """Behind the way home, where a turn has changed something that can be set back."""
    changed = context.task is not None and has_turn_to_undo(context.task)
    return 10 if changed and why_no_undo(context) is None else 0


_K = frozenset({TASK})
_C = frozenset({CHECKPOINTS})

CHECKPOINT_ACTIONS: Sequence[Action] = (
    Action(
        "undo_turn",
        "z",
        "undo turn",
        "Make the files what they were before the last prompt; asks first. What they were till then is a checkpoint.",
        "Session",
        _K,
        why_not=why_no_undo,
        footer_of=place_of_undo,
    ),
    Action(
        "show_checkpoints",
        "Z",
        "checkpoints",
        "The states of the files that were kept, before undos too, what differs from each, and the way back to it.",
        "View",
        _K,
        why_not=why_no_checkpoints,
    ),
    Action(
        "compare_checkpoint", "enter", "what differs", "What differs now from this state.", "Checkpoints", _C, footer=1
    ),
    Action(
        "undo_to", "u", "undo to it", "Make the files what they were then; asks first.", "Checkpoints", _C, footer=2
    ),
    Action(
        "close_checkpoints", "escape,q,Z", "close", "Back to the list, or to the task.", "Checkpoints", _C, footer=3
    ),
)
