"""The line in which one types a filter."""

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static

from foundry_tui.actions import bindings
from foundry_tui.context import FILTER


class FilterInput(Input):
    """The filter while it is typed."""

    FIELD = FILTER
    BINDINGS = bindings(FILTER)


class FilterRow(Horizontal):
    """A slash and an input; the input's own messages tell what is typed."""

    def compose(self) -> ComposeResult:
        yield Static("/", id="filter-mark")
        yield FilterInput(
            placeholder="words, status:failed, repo:shop, agent:x, branch:x, id:x, is:unread, !not",
            id="filter",
            compact=True,
        )
        remark = Static("", id="filter-remark", markup=False)
        remark.display = False
        yield remark

    def show_remark(self, text: str) -> None:
        """Say something about what was typed, at the right; nothing if it is empty."""
        line = self.query_one("#filter-remark", Static)
        line.display = bool(text)
        line.update(text)

    @property
    def input(self) -> Input:
        """Where the filter is typed."""
        return self.query_one(Input)
