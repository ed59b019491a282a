"""The line in which is typed what is searched for, with how often it was found."""

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Grid
from textual.widgets import Input, Static

from foundry_tui.actions.context import SEARCH
from foundry_tui.actions.table import bindings


class SearchInput(Input):
    """What is searched for, while it is typed."""

    FIELD = SEARCH
    BINDINGS = bindings(SEARCH)


class SearchRow(Grid):
    """A slash, what is searched for, and how often it was found. Its style sheet is `widgets/search_row.tcss`."""

    def __init__(self, typed: Callable[[str], None], placeholder: str) -> None:
        """`typed` is told whenever something else is searched for."""
        super().__init__()
        self._typed = typed
        self._placeholder = placeholder

    def on_input_changed(self, message: Input.Changed) -> None:
        message.stop()
        self._typed(message.value)

    def compose(self) -> ComposeResult:
        yield Static("/", id="search-mark")
        yield SearchInput(placeholder=self._placeholder, id="search", compact=True)
        yield Static("", id="search-count", markup=False)

    def show_count(self, text: str) -> None:
        """Say how often it was found, and where one is."""
        self.query_one("#search-count", Static).update(text)

    @property
    def input(self) -> Input:
        """Where it is typed."""
        return self.query_one(Input)

    def begin(self) -> None:
        """Show it, and type there in place of what it has."""
        self.display = True
        self.input.focus()
        self.input.action_select_all()
