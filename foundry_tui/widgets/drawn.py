"""The base of widgets that draw their own lines."""

from functools import lru_cache
from typing import Self

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.style import Style as TextualStyle
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


class Undecorated(Drawn):
    """A widget without border, outline, tint and opacity, and without padding at the bottom: it keeps its drawn lines.

    Textual takes every line apart and builds it anew for what such decorations need. Here a line stays the same strip
    until it is refreshed, so that filters need not be applied to it again.
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._seen_lines: dict[int, Strip] = {}
        """The lines as they were drawn last, by their place in the widget."""
        self._seen_as: tuple[object, ...] = ()
        """What all of them were drawn for: sizes, colours and filters."""

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        if regions:
            top = self.styles.padding.top
            for region in regions:
                for y in region.line_range:
                    self._seen_lines.pop(y + top, None)
        elif repaint:
            self._seen_lines.clear()
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def notify_style_update(self) -> None:
        self._seen_lines.clear()
        super().notify_style_update()

    def render_lines(self, crop: Region) -> list[Strip]:
        self.base = self.rich_style
        width, padding, height = self.region.width, self.styles.padding, self.content_region.height
        top, left = padding.top, padding.left
        around, background = self.background_colors
        behind = TextualStyle(background=around + background).rich_style
        filters = self.get_line_filters()
        seen_as = (width, padding, height, self.base, behind, background, *map(id, filters))
        if seen_as != self._seen_as:
            self._seen_lines.clear()
            self._seen_as = seen_as
        strips = []
        for y in crop.line_range:
            strip = self._seen_lines.get(y)
            if strip is None:
                inside = top <= y < top + height
                strip = self.render_line(y - top) if inside else blank(width, behind)
                if inside and left:
                    strip = Strip([Segment(" " * left, behind), *strip])
                strip = strip.adjust_cell_length(width, behind)
                for each in filters:
                    strip = strip.apply_filter(each, background)
                self._seen_lines[y] = strip
            strips.append(strip)
        return strips if crop.column_span == (0, width) else [strip.crop(*crop.column_span) for strip in strips]
