"""The keys that scroll, for screens whose place to scroll changes."""

from typing import Protocol

from textual.widget import Widget
from textual.widgets import OptionList

from foundry_tui.widgets.lines import page_lines


class Scrolled(Protocol):
    """What the keys act on."""

    def move(self, lines: int, /) -> None: ...

    def move_page(self, pages: float, /) -> None: ...

    def move_to_start(self) -> None: ...

    def move_to_end(self) -> None: ...


class Box:
    """A widget that scrolls what it holds."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget

    def move(self, lines: int, /) -> None:
        self._widget.scroll_relative(y=lines, animate=False, immediate=True)

    def move_page(self, pages: float, /) -> None:
        self.move(page_lines(pages, self._widget.scrollable_content_region.height))

    def move_to_start(self) -> None:
        self._widget.scroll_to(y=0, animate=False, immediate=True)

    def move_to_end(self) -> None:
        self._widget.scroll_to(y=self._widget.max_scroll_y, animate=False, immediate=True)


class Highlight:
    """The keys that scroll elsewhere move the highlight of a list; it has its own for a page."""

    def __init__(self, choices: OptionList) -> None:
        self._choices = choices

    def move(self, lines: int, /) -> None:
        (self._choices.action_cursor_up if lines < 0 else self._choices.action_cursor_down)()

    def move_page(self, pages: float, /) -> None:
        (self._choices.action_first if pages < 0 else self._choices.action_last)()

    def move_to_start(self) -> None:
        self._choices.action_first()

    def move_to_end(self) -> None:
        self._choices.action_last()


class ScrollActions:
    """The actions of the table's group Move, on whatever `scrolled` is."""

    @property
    def scrolled(self) -> Scrolled:
        """What is scrolled now."""
        raise NotImplementedError

    def action_line_up(self) -> None:
        self.scrolled.move(-1)

    def action_line_down(self) -> None:
        self.scrolled.move(1)

    def action_screen_up(self) -> None:
        self.scrolled.move_page(-1)

    def action_screen_down(self) -> None:
        self.scrolled.move_page(1)

    def action_half_screen_up(self) -> None:
        self.scrolled.move_page(-0.5)

    def action_half_screen_down(self) -> None:
        self.scrolled.move_page(0.5)

    def action_to_start(self) -> None:
        self.scrolled.move_to_start()

    def action_to_end(self) -> None:
        self.scrolled.move_to_end()
