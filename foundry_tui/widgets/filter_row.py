"""The line in which one types a filter, and below it what is to be said about that."""

from textual.app import ComposeResult
from textual.containers import Grid
from textual.widgets import Input, Static

from foundry_tui.actions.context import FILTER
from foundry_tui.actions.table import bindings
from foundry_tui.contract.filter import EXAMPLES


class FilterInput(Input):
    """The filter while it is typed."""

    FIELD = FILTER
    BINDINGS = bindings(FILTER)


class FilterRow(Grid):
    """A slash and an input; the input's own messages tell what is typed."""

    def compose(self) -> ComposeResult:
        yield Static("/", id="filter-mark")
        yield FilterInput(
            placeholder=" ".join(("words", *(each.removesuffix("x") for each in EXAMPLES.values()), "!not")),
            id="filter",
            compact=True,
        )
        remark = Static("", id="filter-remark", markup=False)
        remark.display = False
        yield remark

    def show_remark(self, text: str) -> None:
        """Say something about what was typed, below; nothing if it is empty."""
        line = self.query_one("#filter-remark", Static)
        line.display = bool(text)
        line.update(text)

    @property
    def input(self) -> Input:
        """Where the filter is typed."""
        return self.query_one(Input)
