"""The lines of the task list as strips, kept for as long as what they show, their width and the theme are the same."""

from collections.abc import Hashable, Iterable

from rich.segment import Segment
from rich.style import Style
from textual.cache import LRUCache
from textual.strip import Strip

from foundry_tui.view.cells import fit
from foundry_tui.view.groups import Heading
from foundry_tui.view.roles import Role
from foundry_tui.widgets.drawn import Drawn
from foundry_tui.widgets.row_styles import HEADING, RULE, row_style

STRIPS_KEPT = 1_000


class RowStrips:
    """The strips of one task list, `widget`."""

    def __init__(self, widget: Drawn, rule: str) -> None:
        """`rule` is the character of the line behind a heading."""
        self._widget = widget
        self._rule = rule
        self._strips: LRUCache[Hashable, Strip] = LRUCache(STRIPS_KEPT)
        self._styles: dict[tuple[str, str], Style] = {}

    def forget(self, *, styles: bool = False) -> None:
        """Draw every line anew from now on; with `styles` in the theme's colours of now."""
        self._strips.clear()
        if styles:
            self._styles.clear()

    def known(self, key: Hashable) -> Strip | None:
        """The strip that was drawn under this key, if it is kept."""
        return self._strips.get(key)

    def draw(self, key: Hashable, pieces: Iterable[tuple[str, str]], ground: str, width: int) -> Strip:
        """A strip of `width` cells of texts with their roles, kept under this key; `ground` as `row_style` takes it."""
        segments = [Segment(text, self.style(role, ground)) for text, role in pieces]
        strip = self._strips[key] = Strip(segments).adjust_cell_length(width, self.style(Role.DIM, ground))
        return strip

    def heading(self, heading: Heading, width: int) -> Strip:
        """The line above a group."""
        strip = self.known((heading, width))
        if strip is None:
            label, count = f"  {heading.label} ", f"{heading.count:,} "
            rule = self._rule * max(0, width - len(label) - len(count) - 1)
            pieces = [(fit(label, min(len(label), width)), HEADING), (count, Role.DIM), (rule, RULE)]
            strip = self.draw((heading, width), pieces, "", width)
        return strip

    def style(self, role: str, ground: str) -> Style:
        """The style of a role on the row of the cursor (`row-cursor`), of the mouse (`row-hover`) or any other."""
        key = (role, ground)
        style = self._styles.get(key)
        if style is None:
            widget = self._widget
            style = self._styles[key] = row_style(role, ground, widget.rich_style, widget.app.theme_variables)
        return style
