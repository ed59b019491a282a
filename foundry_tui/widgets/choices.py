"""A list of choices beside the field in which one writes: what could be meant there."""

from collections.abc import Callable, Sequence

from msgspec import Struct
from textual import events
from textual.geometry import Offset, Region
from textual.strip import Strip
from textual.widget import Widget

from foundry_tui.contract.control_characters import harmless
from foundry_tui.widgets.drawn import Drawn
from foundry_tui.widgets.styles import style_of
from foundry_tui.widgets.text_lines import Text, strip_of

MOST_ROWS = 8
"""Choices in sight at once; further ones scroll."""


class Choice(Struct, frozen=True, kw_only=True):
    """One line of the list: `name` is shown, `text` is what is written when it is taken.

    `places` are the letters of the name that were found, `folder` how many of its first ones are less than its own.
    `hint` says what may follow it, `about` what it is. `path` is the file that it names.
    """

    name: str
    text: str
    places: tuple[int, ...] = ()
    folder: int = 0
    hint: str = ""
    about: str = ""
    path: str | None = None


class ChoiceList(Drawn):
    """Never takes the focus: the field that it belongs to moves its highlight and takes from it."""

    ALLOW_SELECT = False

    def __init__(self, field: Widget | str, take: Callable[[], object]) -> None:
        """`field` is, or selects, where one writes: the list stands above or below it, and covers nothing of it.
        `take` takes the highlighted choice, as a click on it asks for.
        """
        super().__init__()
        self.display = False
        self._take_highlighted = take
        self._field = field
        self._choices: tuple[Choice, ...] = ()
        self._note = ""
        self._cursor = 0
        self._top = 0

    @property
    def field(self) -> Widget:
        """Where one writes."""
        return self._field if isinstance(self._field, Widget) else self.screen.query_one(self._field)

    def on_mount(self) -> None:
        self.screen.screen_layout_refresh_signal.subscribe(self, lambda _: self._place())

    def show(self, choices: Sequence[Choice], note: str = "") -> None:
        """Show these, the first one highlighted; `note` is said in place of none. Without either the list closes."""
        if (tuple(choices), note) == (self._choices, self._note):
            return
        self._choices, self._note = tuple(choices), note
        self._cursor = self._top = 0
        self.display = bool(choices or note)
        self._place()
        self.refresh()

    @property
    def highlighted(self) -> Choice | None:
        """The choice that would be taken; None while there is none to take."""
        return self._choices[self._cursor] if self.display and self._choices else None

    def move(self, steps: int) -> None:
        """Highlight another choice, behind the last the first one."""
        if self._choices:
            self._highlight((self._cursor + steps) % len(self._choices))

    def _highlight(self, place: int) -> None:
        self._cursor = place
        rows = self.size.height
        self._top = min(max(self._top, place - rows + 1), place)
        self.refresh()

    def _place(self) -> None:
        """Stand below the field where there is room for all rows, else above it, else where there is more.

        The screen's last row is the footer's, which says how to take a choice.
        """
        if not self.display or not self.is_attached:
            return
        field, screen = self.field.region, self.screen.size
        wanted = min(MOST_ROWS, max(1, len(self._choices)))
        below, above = max(0, screen.height - field.bottom - 1), field.y
        rows = min(wanted, max(below, above))
        under = below >= wanted or (above < wanted and below >= above)
        # As wide as the field: pieces of what is said there would show beside the choices.
        region = Region(field.x, field.bottom if under else field.y - rows, field.width, rows)
        if region.offset != self.absolute_offset or region.size != self.size:
            self.absolute_offset = Offset(*region.offset)
            self.styles.width, self.styles.height = region.size
            self.refresh(layout=True)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if not self._choices:
            note = Text(f"{' ' * self._indent}{self._note}", style_of(self, "choices--dim"))
            return strip_of(note, width, self.base)
        place = self._top + y
        if place >= len(self._choices):
            return Strip.blank(width, self.base)
        here = place == self._cursor
        line = self._line(self._choices[place], width - self._indent - 1)
        if here and self.app.current_theme.ansi:
            # Reversed, each of its colours would be a ground of its own.
            line = Text(line.plain)
        return strip_of(line, width, self.base + style_of(self, "choices--cursor") if here else self.base)

    @property
    def _indent(self) -> int:
        """Choices stand below what is written, not below the field's edge."""
        return self.field.content_region.x - self.field.region.x

    def _line(self, choice: Choice, width: int) -> Text:
        dim, found = style_of(self, "choices--dim"), style_of(self, "choices--found")
        name = Text(harmless(choice.name), style_of(self, "choices--name"))
        name.stylize(dim, 0, choice.folder)
        for place in choice.places:
            name.stylize(found, place, place + 1)
        if name.cell_len > width:
            # What a path ends with says most.
            while name.cell_len > width - 1:
                name = name[max(1, (name.cell_len - width + 1) // 2) :]  # type: ignore[assignment]
            name = Text.assemble(("…", dim), name)
        line = Text.assemble(" " * self._indent, name)
        for words, style in ((choice.hint, style_of(self, "choices--hint")), (choice.about, dim)):
            if words:
                line.append(f"  {harmless(words)}", style)
        return line

    def on_click(self, event: events.Click) -> None:
        event.stop()
        place = self._top + event.y
        if place < len(self._choices):
            self._highlight(place)
            self._take_highlighted()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._scroll(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._scroll(-1)

    def _scroll(self, rows: int) -> None:
        """Scroll, the highlight with what is in sight."""
        last = max(0, len(self._choices) - self.size.height)
        self._top = min(max(0, self._top + rows), last)
        self._cursor = min(max(self._cursor, self._top), self._top + self.size.height - 1)
        self.refresh()
