"""The face of a failure on a task's screen: what failed, why, what was printed last, and the keys that help."""

from foundry_tui.actions.availability import lacks_option
from foundry_tui.client.creations import CreationState
from foundry_tui.screens.task_in_view import TaskInView
from foundry_tui.view.stepper import Failure, failure
from foundry_tui.view.task_notices import refusal
from foundry_tui.widgets.task_notices import FailureCard

AFTER_FAILURE = ("retry", "edit_again", "kill", "show_log")
AFTER_OPTION = ("leave_option_out", "edit_again", "kill", "show_log")
AFTER_REFUSAL = ("retry", "edit_again", "discard")
"""Ids of the actions that help after a failure, after one as the agent does not offer an option that was asked for, and
after a creation that was refused.
"""


class TaskFailure:
    """Fills the card of a failure."""

    def __init__(self, task: TaskInView) -> None:
        self._task = task
        self.card = FailureCard(ascii_only=task.foundry.options.ascii)
        self.helps: frozenset[str] = frozenset()
        """Ids of the actions whose keys stand on the card, so that the footer need not say them."""

    def show(self) -> None:
        """Show what failed, if anything did."""
        task, creation = self._task.record, self._task.creation
        told: Failure | None = None
        helps: tuple[str, ...] = ()
        if creation is not None and creation.state is CreationState.REFUSED:
            told, helps = refusal(creation.problem), AFTER_REFUSAL
        elif task is not None and (found := failure(task, self._task.store.log(self._task.task_id))) is not None:
            told, helps = found, AFTER_OPTION if lacks_option(task) else AFTER_FAILURE
        self.helps = frozenset(helps)
        self.card.show(told, self._task.keys(*helps))
