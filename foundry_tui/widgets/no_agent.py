"""What the new-task dialog says, above its fields, where no agent could answer the request."""

from textual.widgets import Static

from foundry_tui.view.first_run import LOOK_AROUND, NoAgent


class NoAgentNote(Static):
    """A few lines: what is missing, the command and the key that help, and where one may look around meanwhile."""

    DEFAULT_CSS = """
    NoAgentNote {
        height: auto;
        max-height: 4;
        display: none;
        margin: 0 0 1 0;
        color: $text-warning;
    }
    """
    MOST_ROWS = 5
    """Rows that it takes at most, with the empty one below it."""

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self.missing: NoAgent | None = None
        self.told = False
        """Whether it was said at any time, so that what is known of agents may be old."""

    @property
    def rows(self) -> int:
        """How many rows it may take now."""
        return self.MOST_ROWS if self.missing is not None else 0

    def show(self, missing: NoAgent | None, key: str) -> None:
        """Show why and what helps, or nothing; `key` is the one that installs an agent."""
        self.missing = missing
        self.told = self.told or missing is not None
        self.display = missing is not None
        if missing is not None:
            does = f"{key} does it from here, and what you write is kept. " if missing.here else ""
            self.update(f"{missing.headline}. {missing.sentence}\n{does}To look around: {LOOK_AROUND}")
