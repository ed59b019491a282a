"""The task screen as its parts see it: the task, its visible session, and the screen to act on."""

from typing import TYPE_CHECKING, Any, Protocol

from textual.screen import Screen

from foundry_tui.actions.context import Context
from foundry_tui.client.freshness import Freshness
from foundry_tui.contract.records import SessionSummary, TaskSummary
from foundry_tui.screens.shell import Shell
from foundry_tui.widgets.task_notices import Keys

if TYPE_CHECKING:
    from foundry_tui.client.creations import Creation
    from foundry_tui.client.store import Store


class TaskInView(Protocol):
    """The task screen as its parts see it. `screen` is the same as Textual has it: for workers, widgets and toasts."""

    task_id: str

    @property
    def screen(self) -> Screen[Any]: ...

    @property
    def foundry(self) -> Shell: ...

    @property
    def store(self) -> "Store":
        """Where the task is looked up."""

    @property
    def record(self) -> TaskSummary | None:
        """The task as far as it is known."""

    @property
    def session(self) -> SessionSummary | None:
        """The visible session."""

    @property
    def creation(self) -> "Creation | None":
        """The creation that the backend has not confirmed, if the task is one."""

    @property
    def pane(self) -> str:
        """The name of the view that is open beside the conversation; empty for none."""

    @property
    def is_stand_in(self) -> bool:
        """Whether another task stands in for the one that will be told of, so that nothing is asked about it."""

    def changes_known(self) -> None:
        """Something else is known of what the task changed."""

    def context(self) -> Context:
        """What the actions of the screen would act on now."""

    def freshness(self) -> Freshness:
        """How far what is shown can be trusted; of one that is only asked for, as far as the list."""

    def show_actions(self) -> None:
        """Fill the footer with what can be done now."""

    def keys(self, *action_ids: str) -> Keys:
        """The first key and the words of these actions."""

    def key_of(self, action_id: str) -> str:
        """The first key of an action as people write it; empty when it has none."""

    def choose_session(self, session_id: str) -> None:
        """Show another session of the task."""

    def hold_log(self, wanted: bool) -> None:
        """Subscribe to the stage log, or leave it, as the log is opened or closed."""

    def give_place(self) -> None:
        """Give the place to the conversation, or to the view that is open in its stead."""

    def show_conversation(self) -> None:
        """Close the view that is open in the conversation's stead."""

    async def toggle_pane(self, name: str) -> None:
        """Open the view of this name, or close it."""
