"""What every screen of ours has in common: its name, its context for actions, and news from the store."""

from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual.screen import ModalScreen, Screen

from foundry_tui.context import Context

if TYPE_CHECKING:
    from foundry_tui.app import FoundryApp
    from foundry_tui.client.store import Changes

ResultT = TypeVar("ResultT")


class FoundryScreen(Screen[ResultT]):
    """A screen whose keys come from the table of actions: `BINDINGS = bindings(SCREEN_NAME)`."""

    SCREEN_NAME: ClassVar[str] = ""
    """Its name in `Action.screens`."""

    AUTO_FOCUS = ""

    @property
    def foundry(self) -> "FoundryApp":
        """The app, by its own type."""
        from foundry_tui.app import FoundryApp

        app = self.app
        assert isinstance(app, FoundryApp)
        return app

    def context(self) -> Context:
        """What the actions of this screen would act on now."""
        return Context(screen=self.SCREEN_NAME, undoable=self.foundry.undoable)

    def on_store_changed(self, changes: "Changes") -> None:
        """What changed in the store; called once a frame at most, for every screen that is open."""

    def on_tick(self) -> None:
        """A second has passed: ages and durations are to be drawn anew."""

    def shows_task(self, task_id: str) -> bool:
        """Whether a person looks at this task here, so that no notification is needed."""
        return False


class FoundryDialog(FoundryScreen[ResultT], ModalScreen[ResultT]):
    """A dialog over another screen; the app's own keys do not work in it, only those in its `BINDINGS`."""
