"""The line of the demo's tour: what to press next, and why."""

from textual.content import Content
from textual.widgets import Static


class TourLine(Static):
    """Stands above the footer of whatever screen is on top."""

    DEFAULT_CSS = """
    TourLine {
        height: auto;
        max-height: 2;
        padding: 0 1;
        background: $primary 20%;
        color: $foreground;
    }
    """

    def show(self, place: str, key: str, why: str, leave: str) -> None:
        """Show where one stands, the key and why; `leave` is the key that ends the tour, empty when it cannot now."""
        self.update(
            Content.assemble(
                (f"Tour {place}  ", "$text-primary"),
                ("press " if key else "", ""),
                (key, "bold $footer-key-foreground"),
                (f"  {why}", "$foreground"),
                (f"   {leave} leaves the tour" if leave else "", "$text-soft"),
            )
        )
