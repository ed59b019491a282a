"""What an action is: one thing that a person can do, with its keys, its words and when it can be done."""

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from foundry_tui.actions.context import Context
from foundry_tui.contract.records import TaskSummary

Why = Callable[[Context], str | None]
"""Why an action cannot be done now, as a sentence without its full stop; None when it can."""


def _always(_: Context) -> str | None:
    return None


def _applies(_: Context) -> bool:
    return True


_WITH_MARKS = frozenset({"mark", "back", "undo", "show_help"})
"""What the footer has beside what acts on the marked: the ways on and out, and where all keys are told."""


class Action(Struct, frozen=True):
    """One thing that a person can do."""

    id: str
    keys: str
    """Textual's names of keys with commas between; empty: it is in the palette only."""
    label: str
    """One or two words, in lower case, for the footer."""
    help: str
    """One sentence, for `?`, the palette and tooltips."""
    group: str
    """The heading it stands under in `?`."""
    screens: frozenset[str]
    """Names of screens, or of the fields in which one writes."""
    why_not: Why = _always
    applies: Callable[[Context], bool] = _applies
    """False hides it from footer, palette and `?`, and leaves its key to another action: never both may apply.

    A screen may leave out of its footer what cannot be done now, too; see `FoundryScreen.is_in_footer`.
    """
    footer: int = 0
    """Its place in the footer, lower first; 0 keeps it out."""
    of: Callable[[TaskSummary], bool] | None = None
    """Which of the marked tasks it acts on; None: it acts on the highlighted one alone."""
    palette: bool = True
    priority: bool = False
    """Whether its keys come before the focused widget's own that write nothing; the app's then work in dialogs too."""
    label_of: Callable[[Context], str] | None = None
    """What it is called where that depends on what it would act on."""
    footer_of: Callable[[Context], int] | None = None
    """Its place in the footer where that depends on the screen."""

    def named(self, context: Context) -> "Action":
        """The same with the label, and the place in the footer, that it has now."""
        if self.label_of is None and self.footer_of is None:
            return self
        return replace(
            self,
            label=self.label if self.label_of is None else self.label_of(context),
            footer=self.footer if self.footer_of is None else self.footer_of(context),
        )


def acts_on_marked(action: Action, context: Context) -> bool:
    """Whether the footer has a place for it: while tasks are marked, only for what acts on these, or on the marks."""
    if not context.selecting or action.id in _WITH_MARKS:
        return True
    return action.of is not None and any(map(action.of, context.marked))
