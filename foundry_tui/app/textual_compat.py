"""The private names of Textual, and one of Rich, that the app cannot do without. No other module touches one.

Each says why it is needed. `tests/app/test_textual_compat.py` fails when another module touches one, when Textual has
the name no more, and when a public way does the same.
"""

from asyncio import Event
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any

from rich import cells
from textual import _time, message_pump
from textual._compositor import LayoutUpdate
from textual._styles_cache import StylesCache
from textual.app import App
from textual.await_remove import AwaitRemove
from textual.color import Color
from textual.dom import DOMNode
from textual.driver import Driver
from textual.notifications import Notification
from textual.screen import Screen
from textual.strip import Strip
from textual.style import Style
from textual.timer import EventTargetGone, Timer
from textual.widget import Widget


class UnusedKeys(App[None]):
    """An app that hears of each key for which no binding did anything.

    Textual tells nobody: `App.on_key` is called before it looks at its bindings, and nothing is called after that.
    """

    def key_unused(self, key: str) -> None:
        """This key came to its end, and did nothing."""

    async def _check_bindings(self, key: str, priority: bool = False) -> bool:
        done = await super()._check_bindings(key, priority)
        if not done and not priority:
            self.key_unused(key)
        return done


class MendedApp(App[None]):
    """An app without four faults that are below it.

    Textual holds what was removed: each text area until the theme changes, and the drawn lines of a thousand widgets,
    by a cache that counts the widget to its arguments; ten thousand objects a task screen, until looking for garbage
    among them stopped the app for a third of a second. Each line that it drew holds itself, by a cache, and twenty
    objects more: half of all that was made while one reads code was garbage that has to be looked for. Its timers leave
    out times that they could keep. Rich fails at cutting some texts whose joiners have nothing to join.
    """

    def __init__(self, *, ansi_color: bool | None = None) -> None:
        setattr(StylesCache, _HOLDS_ITS_WIDGET, staticmethod(_backgrounds))
        setattr(cells, _CUTS, _cut)
        setattr(message_pump, _TIMES, SureTimer)
        setattr(Strip, _DIVIDES, _divided)
        super().__init__(ansi_color=ansi_color)

    def _prune(self, *nodes: Widget, parent: DOMNode | None = None) -> AwaitRemove:
        going = {each for node in nodes for each in node.walk_children(with_self=True)}
        for watchers in getattr(self, "__watchers", {}).values():
            watchers[:] = [(node, told) for node, told in watchers if node not in going]
        return super()._prune(*nodes, parent=parent)


class SureTimer(Timer):
    """A timer that leaves out no time but those that are past.

    Textual leaves out the next one too: behind a frame that took longer than its sixtieth of a second came another
    one without a frame, so that a page of code took fifty milliseconds instead of thirty-three. And it leaves out the
    only time of a timer that has but one: on a machine with much to do, what was to be done a millisecond later was
    never done, and a list that waited for that stayed as it was.
    """

    async def _run(self) -> None:
        active: Event = self._active
        await active.wait()
        begun, count = _time.get_time(), 0
        while self._repeat is None or count <= self._repeat:
            if self._skip and self._repeat != 0:
                count = max(count, int((_time.get_time() - begun) / self._interval))
            due = begun + (count + 1) * self._interval
            await _time.sleep(max(0, due - _time.get_time()))
            count += 1
            await active.wait()
            if self._reset:
                begun, count, self._reset = _time.get_time(), 0, False
                continue
            try:
                await self._tick(next_timer=due, count=count)
            except EventTargetGone:
                return


_HOLDS_ITS_WIDGET = "get_inner_outer"
_TIMES = "Timer"
_DIVIDES = "divide"
_CUTS = "_split_text"
_divided_by_textual = Strip.divide
_cut_by_rich: Callable[..., tuple[str, str]] = getattr(cells, _CUTS)
_JOINERS = dict.fromkeys(map(ord, "\u200d\ufe0f"))


def _divided(strip: Strip, cuts: Iterable[int]) -> Sequence[Strip]:
    """The pieces of a strip; Textual keeps them with it, also where the only one is itself."""
    inside = [cut for cut in cuts if cut <= strip.cell_length]
    return [strip] if inside == [strip.cell_length] else _divided_by_textual(strip, inside)


def _cut(text: str, cell_position: int, unicode_version: str = "auto") -> tuple[str, str]:
    """See `rich.cells.split_text`. What Rich cannot cut is cut without its joiners."""
    try:
        return _cut_by_rich(text, cell_position, unicode_version)
    except (IndexError, ZeroDivisionError):
        plain = text.translate(_JOINERS)
        if cells.cell_len(plain) <= cell_position:
            return plain, ""
        return _cut_by_rich(plain, cell_position, unicode_version)


@lru_cache(1024)
def _backgrounds(base: Color, background: Color) -> tuple[Style, Style]:
    """The styles inside and outside of a border, as `StylesCache.get_inner_outer` has them."""
    return Style(background=base + background), Style(background=base)


def begin_with_theme(app: App[Any], name: str) -> None:
    """Take a theme before anything is drawn.

    Setting `App.theme` has all style sheets read and applied at once, and again when the app starts.
    """
    app.set_reactive(App.theme, name)
    dark = app.current_theme.dark
    app.update_classes({f"-theme-{name}": True, "-dark-mode": dark, "-light-mode": not dark}, update=False)
    app._refresh_truecolor_filter(app.ansi_theme)
    app.stylesheet.set_variables(app.get_css_variables())


def write_to_terminal(app: App[Any], sequence: str) -> None:
    """Write an escape sequence between two pictures, if the app has a terminal.

    `App.bell` and `App.copy_to_clipboard` write two sequences; there is no method that writes others.
    """
    if app._driver is not None:
        app._driver.write(sequence)
        app._driver.flush()


def replace_notification(app: App[Any], last: Notification | None, following: Notification) -> bool:
    """Show a notification in place of an earlier one; whether it is: not while the same words are still shown.

    `App.clear_notifications` takes away all of them, `App.notify` does not tell which one it made.
    """
    if last is not None and last in app._notifications:
        if not last.has_expired and (last.message, last.title) == (following.message, following.title):
            return False
        app._unnotify(last, refresh=False)
    app._notifications.add(following)
    app._refresh_notifications()
    return True


def take_notification_away(app: App[Any], message: str) -> None:
    """Show notifications of these words no more; `App.clear_notifications` takes away all others too."""
    for shown in [each for each in app._notifications if each.message == message]:
        app._unnotify(shown, refresh=False)
    app._refresh_notifications()


def has_binding(widget: Widget, key: str, idle: Collection[str] = ()) -> bool:
    """Whether a widget does something of its own with this key, as keys are configured; `idle` bindings do nothing now.

    `Screen.active_bindings` says so too, but asks for each key of the screen whether its action can be done now.
    """
    return any(binding.id not in idle for binding in widget._bindings.key_to_bindings.get(key, ()))


async def compose_unseen(app: App[Any], screen: Screen[Any]) -> None:
    """Mount a screen under no other, with its styles: `App.push_screen` would show it."""
    app._load_screen_css(screen)
    _, mounted = app._get_screen(screen)
    await mounted


def draw_unseen(screen: Screen[Any]) -> None:
    """Lay a screen out and draw its lines, so that showing it draws only what has changed by then."""
    screen._refresh_layout(screen.app.size)
    screen._compositor.render_strips()


def show_at_once(screen: Screen[Any]) -> None:
    """Show a screen that was drawn unseen without waiting for the next frame, as Textual does."""
    screen._dirty_widgets.add(screen)
    screen._refresh_layout(screen.size)


def is_writing(driver: Driver) -> bool:
    """Whether the driver's thread writes, so that `write` neither fails nor waits for ever."""
    return getattr(driver, "_writer_thread", None) is not None


def forget_writer(driver: Any) -> None:
    """Have `write` hand nothing to a thread that has ended: `LinuxDriver.close` ends it and keeps it."""
    driver._writer_thread = None


def wrap_terminal(driver: Any, wrap: Callable[[Any], Any]) -> None:
    """Have a driver write to a wrapper of its terminal; `LinuxDriver` takes no file from its caller."""
    driver._file = wrap(driver._file)


def strips_of(app: App[Any]) -> list[Strip]:
    """The picture on the screen now, line by line, for a recording: Textual itself makes only an SVG of it."""
    update = app.screen._compositor.render_update(full=True, screen_stack=app._background_screens)
    assert isinstance(update, LayoutUpdate)
    return [Strip.join(line) for line in update.strips]
