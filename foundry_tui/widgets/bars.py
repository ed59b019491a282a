"""The two single lines that frame every screen: what it shows and how fresh it is, and which keys help now."""

from collections.abc import Callable, Sequence

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from foundry_tui.actions.model import Action
from foundry_tui.client.freshness import Freshness, FreshnessState
from foundry_tui.contract.control_characters import harmless
from foundry_tui.view.clock import Clock
from foundry_tui.view.glyphs import Glyphs
from foundry_tui.view.labels import freshness_glyph, freshness_text

StyledText = tuple[str, str]
"""Text, and its style as Textual writes it (`bold $primary`)."""
Item = tuple[Action, str, str | None]
"""An action, its key as people write it, and why it cannot be done now (None: it can)."""

ALWAYS = 20
"""Actions whose place in the footer is this or higher stand at its right end and are the last to give way."""
ROOM_FOR_ALL = 100
"""Cells below which only the first of them is kept."""

_FRESHNESS_STYLE = {
    FreshnessState.LIVE: "$text-success",
    FreshnessState.RECONNECTING: "$text-warning",
    FreshnessState.STALE: "$text-warning",
    FreshnessState.OFFLINE: "bold $text-error",
}


class TopBar(Widget):
    """The line at the top: pieces from the left, the freshness mark at the right, never cut."""

    DEFAULT_CSS = """
    TopBar { height: 1; width: 1fr; padding: 0 1; background: $panel; color: $foreground; }
    """

    def __init__(
        self,
        freshness: Callable[[], Freshness],
        clock: Clock,
        glyphs: Glyphs,
        loaded: Callable[[], bool],
        starting: Callable[[], bool],
    ) -> None:
        """What is asked for whenever the bar is drawn: `freshness`, whether anything was `loaded` yet, and whether the
        backend is `starting`.
        """
        super().__init__()
        self._starting = starting
        self._loaded = loaded
        self._freshness = freshness
        self._clock = clock
        self._glyphs = glyphs
        self._pieces: Sequence[StyledText] = ()

    def show(self, pieces: Sequence[StyledText]) -> None:
        """Show these pieces; nothing is drawn when they are the same."""
        if pieces != self._pieces:
            self._pieces = pieces
            self.refresh()

    def tick(self) -> None:
        """A second has passed: what counts seconds is drawn again."""
        if self._freshness().state is not FreshnessState.LIVE:
            self.refresh()

    def render(self) -> Content:
        freshness = self._freshness()
        words = freshness_text(freshness, self._clock.now_ms(), loaded=self._loaded(), starting=self._starting())
        mark = f"{freshness_glyph(freshness, self._glyphs)} {words}"
        left = Content.assemble(*self._pieces)
        room = self.size.width - cell_len(mark) - 1
        left = left.truncate(max(0, room), ellipsis=True, pad=True)
        return Content.assemble(left, " ", (mark, _FRESHNESS_STYLE[freshness.state]))


class ActionBar(Widget):
    """The line at the bottom: the keys that help now, as many as fit; a click does what its key does."""

    DEFAULT_CSS = """
    ActionBar { height: 1; width: 1fr; padding: 0 1; background: $panel; color: $text-soft; }
    """

    class Pressed(Message):
        """An action was clicked."""

        def __init__(self, bar: "ActionBar", action: Action) -> None:
            super().__init__()
            self.bar = bar
            self.action = action

    def __init__(self) -> None:
        super().__init__()
        self._items: Sequence[Item] = ()
        self._spans: list[tuple[int, int, Action, str | None]] = []

    def show(self, items: Sequence[Item]) -> None:
        """Show these, in their order; nothing is drawn when they are the same."""
        if items != self._items:
            self._items = items
            self.refresh()

    def render(self) -> Content:
        width = self.size.width
        left = [item for item in self._items if item[0].footer < ALWAYS]
        right = [item for item in self._items if item[0].footer >= ALWAYS]
        if width < ROOM_FOR_ALL:
            right = right[:1]
        right_width = sum(_width(item) + 2 for item in right)
        fitting = _fitting(left, width - right_width)
        self._spans = []
        parts: list[StyledText] = []
        at = 0
        for item in fitting:
            parts += self._item(item, at)
            at += _width(item) + 2
        parts.append((" " * max(0, width - at - right_width + 2), ""))
        at = width - right_width + 2
        for item in right:
            parts += self._item(item, at)
            at += _width(item) + 2
        return Content.assemble(*parts)

    def _item(self, item: Item, at: int) -> list[StyledText]:
        action, key, why = item
        self._spans.append((at, at + _width(item), action, why))
        label = harmless(action.label)
        if why is None:
            return [(key, "bold $footer-key-foreground"), (f" {label}", "$text-soft"), ("  ", "")]
        return [(f"{key} {label}", "$text-faint"), ("  ", "")]

    def _at(self, x: int) -> tuple[Action, str | None] | None:
        return next(((action, why) for start, end, action, why in self._spans if start <= x < end), None)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        found = self._at(event.x - 1)
        tooltip = None
        if found is not None:
            action, why = found
            # Textual looks for markup in a string, and takes a content as it stands.
            tooltip = Content(action.help if why is None else f"{action.help}\nNot now: {harmless(why)}.")
        if tooltip != self.tooltip:
            self.tooltip = tooltip

    def on_click(self, event: events.Click) -> None:
        found = self._at(event.x - 1)
        if found is not None:
            event.stop()
            self.post_message(self.Pressed(self, found[0]))


def _width(item: Item) -> int:
    return cell_len(item[1]) + 1 + cell_len(harmless(item[0].label))


def _fitting(items: Sequence[Item], room: int) -> list[Item]:
    """Those that fit, in their order; what can be done now goes before what cannot."""
    chosen: set[str] = set()
    for possible in (True, False):
        for item in items:
            if (item[2] is None) is possible and _width(item) <= room:
                chosen.add(item[0].id)
                room -= _width(item) + 2
    return [item for item in items if item[0].id in chosen]
