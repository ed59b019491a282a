"""What a person would read on the screen."""

from textual.app import App
from textual.screen import Screen
from textual.widget import Widget

from tests.app.harness import Stage


def text_of(on: Stage, kind: type[Widget] | None = None) -> str:
    """The lines of the screen on top, or those of its first widget of a kind, as they were last drawn."""
    screen = on.app.screen
    region = screen.query(kind).first().region if kind is not None else screen.region
    strips = screen._compositor.render_strips()
    return "\n".join(strips[y].crop(region.x, region.right).text.rstrip() for y in range(region.y, region.bottom))


def check_drawn(app: App[None]) -> None:
    """See that all of the screen on top is drawn as it would be if it were drawn anew."""
    screen = app.screen
    kept = [strip.text for strip in screen._compositor.render_strips()]
    for widget in screen.walk_children(Widget):
        widget._styles_cache.clear()
    fresh = [strip.text for strip in screen._compositor.render_strips()]
    stale = [(y, old, new) for y, (old, new) in enumerate(zip(kept, fresh, strict=True)) if old != new]
    assert not stale, f"these lines were not drawn again: {stale}"


def words_of(on: Stage, kind: type[Widget] | None = None) -> str:
    """The same on one line, for texts that may be wrapped."""
    return " ".join(text_of(on, kind).split())


def is_on(on: Stage, kind: type[Screen[None]] | type[Screen[bool]] | type[Screen[object]]) -> bool:
    """Whether a screen of this kind is on top."""
    return isinstance(on.app.screen, kind)
