"""The choices of a form's field, each on a row of its own: one or several can be taken, with keys or a click."""

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from foundry_tui.contract.questions import FieldChoice, FieldType, FieldValue, FormField
from foundry_tui.view.glyphs import glyph_set
from foundry_tui.widgets.drawn import Drawn
from foundry_tui.widgets.styles import style_of
from foundry_tui.widgets.text_lines import Text, strip_of, wrapped

SWITCH = (FieldChoice(value="true", name="Yes"), FieldChoice(value="false", name="No"))


class ChoiceField(Drawn, can_focus=True):
    """Shows which choices are taken; a field that is not needed can be left without one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "before", show=False),
        Binding("down", "move(1)", "next", show=False),
        Binding("space", "take", "take", show=False),
        *(Binding(str(place), f"take_place({place})", show=False) for place in range(1, 10)),
    ]

    class Changed(Message):
        """Another choice is taken, or one is taken no longer."""

    def __init__(
        self, field: FormField, value: FieldValue | None, *, ascii_only: bool = False, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._glyphs = glyph_set(ascii_only)
        self._field = field
        self._choices: Sequence[FieldChoice] = SWITCH if field.type is FieldType.BOOLEAN else field.choices
        self._cursor = 0
        self._moved = False
        self._places: list[int] = []
        self._taken: set[str] = set()
        self.start(value)

    @property
    def value(self) -> FieldValue | None:
        """What is chosen; None where nothing is."""
        taken = tuple(choice.value for choice in self._choices if choice.value in self._taken)
        if self._field.type is FieldType.MULTISELECT:
            return taken or None
        if not taken:
            return None
        return taken[0] == "true" if self._field.type is FieldType.BOOLEAN else taken[0]

    def start(self, value: FieldValue | None) -> None:
        """Begin with this value."""
        if isinstance(value, bool):
            self._taken = {"true" if value else "false"}
        elif isinstance(value, list | tuple):
            self._taken = set(value)
        else:
            self._taken = {str(value)} if value is not None else set()
        first = (place for place, choice in enumerate(self._choices) if choice.value in self._taken)
        self._cursor = next(first, 0)
        self.refresh(layout=True)

    def action_move(self, direction: int) -> None:
        """To another choice; behind the last and before the first of them to another field."""
        place = self._cursor + direction
        if 0 <= place < len(self._choices):
            self._cursor = place
            self._moved = True
            self.refresh()
            self._show_cursor()
            return
        # Whoever goes through the form by the arrows passes all choices, and means none of them.
        self._moved = False
        if direction < 0:
            self.screen.focus_previous()
        else:
            self.screen.focus_next()

    def action_take(self) -> None:
        """Take the choice under the cursor, or let it go."""
        self._moved = False
        value = self._choices[self._cursor].value
        held = value in self._taken
        if self._field.type is FieldType.MULTISELECT:
            self._taken ^= {value}
        else:
            self._taken = set() if held and not self._field.required else {value}
        self.refresh()
        self.post_message(self.Changed())

    def settle(self) -> None:
        """Take the choice that somebody went to and goes on from, or that has to be taken; of several none is meant."""
        meant = self._moved or (self._field.required and not self._taken)
        if meant and self._field.type is not FieldType.MULTISELECT:
            self._moved = False
            if self._choices[self._cursor].value not in self._taken:
                self.action_take()

    def leave(self) -> None:
        """Take the choice that somebody went to, since they go on to something else."""
        if self._moved:
            self.settle()

    def action_take_place(self, place: int) -> None:
        if place <= len(self._choices):
            self._cursor = place - 1
            self.action_take()

    def on_click(self, event: events.Click) -> None:
        if 0 <= event.y < len(self._places):
            self._cursor = self._places[event.y]
            self.action_take()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.leave()
        self.refresh()

    def _show_cursor(self) -> None:
        """Scroll what it stands in to the row of the cursor."""
        rows = self._rows(self.size.width)
        row = next((number for number, (place, _) in enumerate(rows) if place == self._cursor), 0)
        parent = self.parent
        scroll = getattr(parent, "scroll_to_region", None)
        if scroll is not None:
            region = self.virtual_region
            scroll(Region(region.x, region.y + row, 1, 1), animate=False)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._rows(width))

    def _rows(self, width: int) -> list[tuple[int, Text]]:
        """The rows, each with the place of its choice."""
        rows: list[tuple[int, Text]] = []
        several = self._field.type is FieldType.MULTISELECT
        for place, choice in enumerate(self._choices):
            taken = choice.value in self._taken
            mark = ("[x]" if taken else "[ ]") if several else ("(x)" if taken else "( )")
            style = style_of(self, "form--taken" if taken else "form--choice")
            here = place == self._cursor and self.has_focus
            if here:
                style += style_of(self, "form--cursor")
            for number, line in enumerate(wrapped(Text(choice.name), max(4, width - 6))):
                lead = f"{self._glyphs.cursor if here else ' '} {mark}" if not number else "     "
                rows.append((place, Text(f"{lead} {line.plain}", style)))
        return rows

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        rows = self._rows(width)
        self._places = [place for place, _ in rows]
        return strip_of(rows[y][1], width, self.base) if y < len(rows) else Strip.blank(width, Style())
