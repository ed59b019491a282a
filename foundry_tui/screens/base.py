"""What every screen of ours has in common: its name, its context for actions, and news from the store."""

from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual import events
from textual.screen import ModalScreen, Screen

from foundry_tui import actions
from foundry_tui.context import Context
from foundry_tui.view.keys import key_label
from foundry_tui.widgets.bars import ActionBar

if TYPE_CHECKING:
    from foundry_tui.app import FoundryApp
    from foundry_tui.client.changes import Changes

ResultT = TypeVar("ResultT")


class FoundryScreen(Screen[ResultT]):
    """A screen whose keys come from the table of actions: `BINDINGS = bindings(SCREEN_NAME)`.

    One that has an `ActionBar` has it filled by `show_actions`.
    """

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
        return Context(screen=self.SCREEN_NAME, undoable=self.foundry.undoable, why_no_start=self.foundry.why_no_start)

    def show_actions(self) -> None:
        """Fill the footer with what can be done now."""
        bars = self.query(ActionBar)
        if not bars:
            return
        app = self.foundry
        context = self.context()
        live = actions.live(context, dialog=isinstance(self, ModalScreen))
        shown = sorted((action for action in live if action.footer), key=lambda action: action.footer)
        items = [
            (action, key_label(keys[0], ascii_only=app.options.ascii), action.why_not(context))
            for action in shown
            if (keys := app.keys_of(action))
        ]
        bars.first().show(items)

    def key_of(self, action_id: str) -> str:
        """The first key of an action as people write it; empty when it has none."""
        keys = self.foundry.keys_of(actions.find(action_id))
        return key_label(keys[0], ascii_only=self.foundry.options.ascii) if keys else ""

    def on_screen_resume(self, _: events.ScreenResume) -> None:
        """The screen is on top again."""
        self.show_actions()

    def on_store_changed(self, changes: "Changes") -> None:
        """What changed in the store; called once a frame at most, for every screen that is open and mounted."""

    def on_tick(self) -> None:
        """A second has passed: ages and durations are to be drawn anew. Called only while the screen is mounted."""

    def shows_task(self, task_id: str) -> bool:
        """Whether a person looks at this task here, so that no notification is needed."""
        return False


class FoundryDialog(FoundryScreen[ResultT], ModalScreen[ResultT]):
    """A dialog over another screen; the app's own keys do not work in it, only those in its `BINDINGS`."""
