"""What every screen of ours has in common: its name, its context for actions, and news from the store."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from msgspec.structs import replace
from textual import events
from textual.await_complete import AwaitComplete
from textual.keys import REPLACED_KEYS, key_to_character
from textual.screen import ModalScreen, Screen
from textual.widget import Widget

from foundry_tui.actions import table as actions
from foundry_tui.actions.context import Context
from foundry_tui.actions.model import Action, acts_on_marked
from foundry_tui.contract.records import TaskSummary
from foundry_tui.view.keys import key_label
from foundry_tui.widgets.bars import ActionBar

if TYPE_CHECKING:
    from foundry_tui.client.changes import Changes
    from foundry_tui.screens.shell import Shell

ResultT = TypeVar("ResultT")


def breakpoint_of(breakpoints: Sequence[tuple[int, str]], cells: int) -> str:
    """The style class for so many columns or rows; `breakpoints` are the fewest that each is for, ascending."""
    return next(name for least, name in reversed(breakpoints) if cells >= least)


class ClosedOnce(Screen[ResultT]):
    """A screen that ignores a second `dismiss`, as of a double click: Textual would close the screen below it too."""

    def dismiss(self, result: ResultT | None = None) -> AwaitComplete:
        return super().dismiss(result) if self.is_active else AwaitComplete()


class FoundryScreen(ClosedOnce[ResultT]):
    """A screen whose keys come from the table of actions: `BINDINGS = bindings(SCREEN_NAME)`.

    One that has an `ActionBar` has it filled by `show_actions`.
    """

    SCREEN_NAME: ClassVar[str] = ""
    """Its name in `Action.screens`."""

    AUTO_FOCUS = ""

    PARTS: ClassVar[tuple[type, ...]] = ()
    """What does actions of this screen beside itself: classes of objects with a method `action_<id>` for each."""
    parts: tuple[object, ...] = ()
    """One object of each of these."""

    def is_in_footer(self, action: Action, context: Context) -> bool:
        """Whether the footer tells of this action."""
        return action.footer > 0 and acts_on_marked(action, context)

    _acted_on: tuple[Context, Widget | None, bool] | None = None
    """What the footer was last filled for. Its actions look at nothing else, so that it would be the same again."""

    @property
    def foundry(self) -> "Shell":
        """The app, as screens see it."""
        return cast("Shell", self.app)

    def context(self) -> Context:
        """What the actions of this screen would act on now."""
        app = self.foundry
        return Context(screen=self.SCREEN_NAME, field=self.field, undoable=app.undoable, why_no_start=app.why_no_start)

    @property
    def field(self) -> str:
        """The field with actions of its own in which one writes."""
        return str(getattr(self.focused, "FIELD", ""))

    @property
    def writing(self) -> bool:
        """Whether keys with a character write it."""
        return self.focused is not None and self.focused.check_consume_key("a", "a")

    def usable(self, context: Context) -> list[tuple[Action, tuple[str, ...]]]:
        """The actions that apply in this context and have keys that do them, with these: not those that only write."""
        live = actions.live(context, dialog=isinstance(self, ModalScreen))
        keys_of = self.foundry.keys_of
        written = self.focused if self.writing else None
        idle = {action.id for action in actions.on_screen(context.field) if not action.applies(context)}
        rows = (
            (action, tuple(key for key in keys_of(action) if written is None or self._left(written, action, key, idle)))
            for action in live
        )
        # Of two actions that apply, the first has the key.
        taken: set[str] = set()
        found = []
        for action, keys in rows:
            if free := tuple(key for key in keys if key not in taken):
                found.append((action, free))
                taken.update(free)
        return found

    def _left(self, written: Widget, action: Action, key: str, idle: Collection[str]) -> bool:
        """Whether the field in which one writes leaves this key to the action; its own `idle` ones do not apply."""
        if self.field in action.screens:
            return True
        key = key.split(" ")[0]
        if written.check_consume_key(key, key_to_character(REPLACED_KEYS.get(key, key))):
            return False
        return action.priority or not self.foundry.has_binding(written, key, idle)

    def show_actions(self) -> None:
        """Fill the footer with what can be done now."""
        bars = self.query(ActionBar)
        if not bars:
            return
        context, ascii_only = self.context(), self.foundry.options.ascii
        acted_on = (context, self.focused, self.writing)
        if acted_on == self._acted_on:
            return
        self._acted_on = acted_on
        shown = sorted(
            (row for row in self.usable(context) if self.is_in_footer(row[0], context)), key=lambda row: row[0].footer
        )
        bars.first().show(
            [
                (_counting(action, context), key_label(keys[0], ascii_only=ascii_only), action.why_not(context))
                for action, keys in shown
            ]
        )

    def shows_actions_on(self, task: TaskSummary | None) -> bool:
        """Whether the footer was last filled for this task, as after a key that went to it."""
        return self._acted_on is not None and self._acted_on[0].task is task

    def on_descendant_focus(self) -> None:
        self.show_actions()
        self.call_after_refresh(self._leave_hidden)

    def on_descendant_blur(self) -> None:
        self.show_actions()

    def key_of(self, action_id: str) -> str:
        """The first key of an action as people write it; empty when it has none."""
        keys = self.foundry.keys_of(actions.find(action_id))
        return key_label(keys[0], ascii_only=self.foundry.options.ascii) if keys else ""

    def on_screen_resume(self, _: events.ScreenResume) -> None:
        """The screen is on top again."""
        self.show_actions()
        self.call_after_refresh(self._leave_hidden)

    def _leave_hidden(self) -> None:
        """Keys go nowhere that is not shown: Textual may give the focus to what was hidden meanwhile."""
        focused = self.focused
        if focused is not None and focused not in self.focus_chain:
            self.set_focus(None)

    def on_store_changed(self, changes: "Changes") -> None:
        """What changed in the store; called once a frame at most, for every screen that is open and mounted."""

    def on_tick(self) -> None:
        """A second has passed: ages and durations are to be drawn anew. Called only while the screen is mounted."""

    def keep_written(self) -> None:
        """Keep what is written here for the next time: the app ends, perhaps before a field could tell of it."""

    def shows_task(self, task_id: str) -> bool:
        """Whether a person looks at this task here, so that no notification is needed."""
        return False


def _counting(action: Action, context: Context) -> Action:
    """The action, saying how many tasks it would act on where these are marked."""
    if action.of is None or not context.selecting:
        return action
    return replace(action, label=f"{action.label} {sum(map(action.of, context.marked)):,}")


class FoundryDialog(FoundryScreen[ResultT], ModalScreen[ResultT]):
    """A dialog over another screen; of the app's own keys only those with priority work in it."""
