"""The base of widgets that draw their own lines."""

from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class Drawn(Widget):
    """A widget with a `render_line` of its own."""

    base = Style()
    """What `rich_style` is while lines are drawn: finding that out looks at all ancestors, too much for each line."""

    def render_lines(self, crop: Region) -> list[Strip]:
        self.base = self.rich_style
        return super().render_lines(crop)

    def refresh_line(self, y: int) -> None:
        """Draw one line anew."""
        self.refresh(Region(0, y, self.size.width, 1))
