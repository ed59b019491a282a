"""The line in which one types a filter."""

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static


class FilterRow(Horizontal):
    """A slash and an input; the input's own messages tell what is typed."""

    def compose(self) -> ComposeResult:
        yield Static("/", id="filter-mark")
        yield Input(
            placeholder="words, status:failed, repo:shop, agent:x, branch:x, id:x, is:unread, !not",
            id="filter",
            compact=True,
        )

    @property
    def input(self) -> Input:
        """Where the filter is typed."""
        return self.query_one(Input)
