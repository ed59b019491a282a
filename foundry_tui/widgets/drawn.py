"""The base of widgets that draw their own lines."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from rich.style import Style
from textual._styles_cache import StylesCache
from textual.color import Color
from textual.css.styles import StylesBase
from textual.geometry import Region, Size, Spacing
from textual.strip import Strip
from textual.widget import Widget


@lru_cache(16)
def blank(width: int, style: Style) -> Strip:
    """An empty line, the same strip each time."""
    return Strip.blank(width, style)


class Drawn(Widget):
    """A widget with a `render_line` of its own."""

    base = Style()
    """What `rich_style` is while lines are drawn: finding that out looks at all ancestors, too much for each line."""

    def render_lines(self, crop: Region) -> list[Strip]:
        self.base = self.rich_style
        return super().render_lines(crop)

    def redraw_line(self, y: int) -> None:
        """Draw one line anew."""
        self.refresh(Region(0, y, self.size.width, 1))


class _AsTheyAre(StylesCache):
    """Takes lines as they come, for what has no border, outline, tint, hatch, opacity or padding but at the top.

    Textual takes each line apart for these. So a line that the widget kept stays the same strip, which knows already
    what filters make of it.
    """

    def render_line(
        self,
        styles: StylesBase,
        y: int,
        size: Size,
        content_size: Size,
        padding: Spacing,
        base_background: Color,
        background: Color,
        render_content_line: Callable[[int], Strip],
        *others: Any,
    ) -> Strip:
        if y < padding.top or y >= padding.top + content_size.height:
            return super().render_line(
                styles, y, size, content_size, padding, base_background, background, render_content_line, *others
            )
        inner, _ = self.get_inner_outer(base_background, background)
        return render_content_line(y - padding.top).adjust_cell_length(size.width, inner.rich_style)


class Undecorated(Drawn):
    """One whose lines are all there is of it, but for a padding at the top."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._styles_cache = _AsTheyAre()
