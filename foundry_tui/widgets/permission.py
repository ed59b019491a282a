"""The agent's question: all that it asks, and its options, answered where it is asked.

A digit, a click, or the arrows and enter answer. What does not fit scrolls, with keys and wheel, and says so. Nothing
is allowed before its end was in view: the key that would allow it scrolls on instead.
"""

from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from foundry_tui.contract.questions import AnswerAction, Permission, PermissionOption, QuestionKind
from foundry_tui.view.glyphs import glyph_set
from foundry_tui.view.questions import answers_of, heading_of
from foundry_tui.widgets.drawn import Drawn
from foundry_tui.widgets.styles import style_of
from foundry_tui.widgets.text_lines import Text, joined, segments_of, spread, strip_of, wrapped
from foundry_tui.widgets.transcript_strips import Drawer, palette_of

DIGITS = 9
"""Options that a key answers with; more are reached with the arrows, or clicked."""
LEAST = 6
"""Rows that a question may take on any screen, however low that is."""
AROUND = 12
"""Rows of the screen that are left to what stands around it."""
MARK = 3
"""Cells before each line of the question, where its mark stands."""
BESIDE_LINES = MARK + 1
"""Cells that no line of the question takes."""


class PermissionRequest(Drawn, can_focus=True):
    """Shows one open request; the others are counted."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,up", "choose(-1)", "before", show=False),
        Binding("right,down", "choose(1)", "next", show=False),
        Binding("pageup", "scroll(-1)", "page up", show=False),
        Binding("pagedown,space", "scroll(1)", "page down", show=False),
        Binding("enter", "answer_chosen", "answer", show=False),
    ]

    class Answered(Message):
        """A person chose an option."""

        def __init__(self, permission_id: str, option_id: str) -> None:
            super().__init__()
            self.permission_id = permission_id
            self.option_id = option_id

    class Replied(Message):
        """A person wants to fill in this form (`accept`), or said what became of it or of a page."""

        def __init__(self, asked: Permission, action: AnswerAction) -> None:
            super().__init__()
            self.asked = asked
            self.action = action

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._ascii = ascii_only
        self._glyphs = glyph_set(ascii_only)
        self._permission: Permission | None = None
        self._more = 0
        self._session = ""
        self._first = ""
        self._keys = ("", "")
        self._given = ""
        self._chosen = 0
        self._top = 0
        self._lines_seen = 0
        """Lines of the question that were in view, counted from its first."""
        self._is_read = False
        """Whether all of them were."""
        self._was_early = False
        """Whether somebody tried to allow it before that."""
        self._places: list[tuple[int, int, int, int]] = []
        self._content_key: tuple[Permission, int, str, str, int] | None = None
        self._content: list[list[Segment]] = []
        self._beside = ""
        """Who asks, as it stands beside the first line."""
        self._is_whole = True
        """Whether all lines are as narrow as the widget, so that nothing of them is cut."""

    @property
    def permission(self) -> Permission | None:
        """The request that is shown."""
        return self._permission

    def show(
        self,
        permission: Permission | None,
        *,
        more: int = 0,
        session: str = "",
        first: str = "",
        keys: tuple[str, str] = ("", ""),
        given: str = "",
    ) -> None:
        """Show a request, or none; `more` wait behind it, `session` names the session if it is not the visible one.
        `first` is the key that gives the digits back to it, while they are written elsewhere. `keys` scroll it, down
        and up. `given` is the answer that it has, where that is kept for a backend that is away.
        """
        state = (permission, more, session, first, keys, given)
        if state == (self._permission, self._more, self._session, self._first, self._keys, self._given):
            return
        if permission is None or self._permission is None or permission.permission_id != self._permission.permission_id:
            self._chosen = self._top = 0
        if permission != self._permission:
            self._is_read = self._was_early = False
            self._lines_seen = 0
        self._permission, self._more, self._session, self._first, self._keys, self._given = state
        self.refresh(layout=True)

    @property
    def _answers(self) -> tuple[PermissionOption, ...]:
        """What it can be answered with."""
        return () if self._permission is None else answers_of(self._permission)

    # What is chosen and seen.

    def action_choose(self, direction: int) -> None:
        if self._answers:
            self._chosen = (self._chosen + direction) % len(self._answers)
            self.refresh()

    def action_answer_chosen(self) -> None:
        self.answer(self._chosen + 1)

    def answer(self, place: int) -> None:
        """Answer with the option of this place, counted from 1, if there is one.

        One that rejects is taken at once, and so is what one says of a form or a page, since nothing is run by it. Any
        other scrolls on instead while the question's end was not in view.
        """
        permission = self._permission
        if permission is None or self._given or not 1 <= place <= len(self._answers):
            return
        option = self._answers[place - 1]
        if permission.kind in (QuestionKind.FORM, QuestionKind.URL):
            self.post_message(self.Replied(permission, AnswerAction(option.option_id)))
        elif self._is_read or option.kind.startswith("reject"):
            self.post_message(self.Answered(permission.permission_id, option.option_id))
        else:
            self._read_on()

    def page_seen(self) -> str | None:
        """The page that is asked for; None, and it scrolls on, while the end of the question was not in view."""
        if self._permission is None or self._is_read:
            return self._permission.url if self._permission is not None else None
        self._read_on()
        return None

    def _read_on(self) -> None:
        """Somebody was too early: show what was not in view yet."""
        self._was_early = True
        self.scroll_question(self._lines_seen - self._top)
        self.refresh()

    def _saw(self, shown: int, of: int) -> None:
        """So many lines are in view, from the top one on, of all those that the question has; what is cut is unread."""
        if self._is_whole and self._top <= self._lines_seen:
            self._lines_seen = max(self._lines_seen, self._top + shown)
        self._is_read = self._is_read or self._lines_seen >= of

    def action_scroll(self, pages: int) -> None:
        self.scroll_question(pages * max(1, self._shape(self.size.width, self.size.height)[0] - 1))

    def scroll_question(self, lines: int) -> None:
        """Show what stands so many lines further down."""
        shown, _ = self._shape(self.size.width, self.size.height)
        top = max(0, min(self._top + lines, len(self._lines(self.size.width)) - shown))
        if top != self._top:
            self._top = top
            self.refresh()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.scroll_question(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.scroll_question(-3)

    def on_click(self, event: events.Click) -> None:
        for row, start, end, place in self._places:
            if event.y == row and start <= event.x < end:
                self.answer(place + 1)

    # How it is drawn: the question, a line about the rest of it, the options.

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        if self._permission is None:
            return 0
        question, options = len(self._lines(width)), len(self._options(width))
        most = max(LEAST, min(viewport.height * 3 // 5, viewport.height - AROUND))
        return min(most, question + options + bool(self._foot_of(width)))

    def _shape(self, width: int, height: int) -> tuple[int, int]:
        """Rows for the question and for the options; a row between them is left if something does not fit."""
        question, options = len(self._lines(width)), len(self._options(width))
        foot = bool(self._foot_of(width))
        if question + options + foot <= height:
            return question, options
        room = max(2, height - 1)
        for_options = min(options, max(room // 2, room - question))
        return min(question, room - for_options), for_options

    def _lines(self, width: int) -> list[list[Segment]]:
        """The question whole, title first."""
        permission = self._permission
        if permission is None:
            return []
        key = (permission, width, self.app.theme, self._session, self._more)
        if key != self._content_key:
            room = max(10, width - BESIDE_LINES)
            drawer = Drawer(room, palette_of(self, self._ascii), unfolded=True)
            heading = Text(heading_of(permission), style_of(self, "permission--title"))
            self._beside = self._who_asks(heading.cell_len, room)
            title = wrapped(heading, room - cell_len(self._beside))
            self._content = [*(segments_of(line) for line in title), *drawer.question_lines(permission)]
            self._content_key = key
            self._lines_seen = 0
            widest = max((sum(part.cell_length for part in line) for line in self._content), default=0)
            self._is_whole = MARK + widest <= width
        return self._content

    def _options(self, width: int) -> list[tuple[Text, int | None]]:
        """The rows of the options: all on one (its place is None), or each on as many of its own as it needs."""
        permission = self._permission
        if permission is None:
            return []
        if (
            self._given
            or sum(len(self._label(place, option)) + 2 for place, option in enumerate(self._answers)) + 3 <= width
        ):
            return [(Text(), None)]
        rows: list[tuple[Text, int | None]] = []
        for place, option in enumerate(self._answers):
            style = self._style(place, option)
            lines = wrapped(Text(option.name.strip() or option.option_id), max(10, width - 8))
            for number, line in enumerate(lines):
                lead = str(place + 1) if place < DIGITS else " "
                rows.append((Text(f" {' ' if number else lead} {line.plain} ", style), place))
        return rows

    def _label(self, place: int, option: PermissionOption) -> str:
        return f" {place + 1} {option.name} " if place < DIGITS else f" {option.name} "

    def _style(self, place: int, option: PermissionOption) -> Style:
        style = style_of(self, "permission--reject" if option.kind.startswith("reject") else "permission--allow")
        return style + style_of(self, "permission--chosen") if place == self._chosen and self.has_focus else style

    def _foot_of(self, width: int) -> str:
        """What is said above options that stand on rows of their own."""
        own_rows = self._permission is not None and self._options(width)[0][1] is not None
        return f"{self._first}, then the digit" if self._first and own_rows else ""

    def render_line(self, y: int) -> Strip:
        width, height, base = self.size.width, self.size.height, self.base
        if self._permission is None:
            return Strip.blank(width, base)
        lines, options = self._lines(width), self._options(width)
        question, shown = self._shape(width, height)
        self._top = max(0, min(self._top, len(lines) - question))
        self._saw(question, len(lines))
        if y < question:
            return self._question_row(lines, self._top + y, width)
        foot = question + shown < height
        if foot and y == question:
            return strip_of(self._foot(len(lines), question, len(options) - shown, width), width, base)
        row = y - question - foot
        if row == 0:
            self._places = []
        if options[0][1] is None:
            return strip_of(self._one_row(y, width), width, base) if not row else Strip.blank(width, base)
        chosen = next(number for number, (_, place) in enumerate(options) if place == self._chosen)
        first = max(0, min(chosen - shown // 2, len(options) - shown))
        if not first <= first + row < len(options):
            return Strip.blank(width, base)
        text, place = options[first + row]
        if place is not None:
            self._places.append((y, 0, width, place))
        lead = self._glyphs.cursor if place == self._chosen and self.has_focus else " "
        return strip_of(Text.assemble(f"  {lead}", text), width, base)

    def _question_row(self, lines: list[list[Segment]], line: int, width: int) -> Strip:
        mark = Segment(f" {self._glyphs.asks if not line else ' '} ", style_of(self, "permission--title"))
        row = Strip([mark, *lines[line]]).apply_style(self.base).adjust_cell_length(width, self.base)
        if line or not self._beside:
            return row
        title = Text.assemble((f" {self._glyphs.asks} ", style_of(self, "permission--title")))
        for text, style, _ in lines[0]:
            title.append(text, style)
        return strip_of(spread(title, Text(self._beside, style_of(self, "permission--dim")), width), width, self.base)

    def _who_asks(self, heading: int, room: int) -> str:
        """What stands beside the first of the heading's cells, all of which have so much room. That an agent asks is
        said only where that costs no line; a long name is cut, so that half of the room is left.
        """
        count = f"{self._more} more " if self._more else ""
        more = f"{self._glyphs.separator} {count}" if count else ""
        if self._session:
            name = Text(f"in {self._session}")
            name.truncate(max(0, room // 2 - cell_len(more) - 1), overflow="ellipsis")
            return f"{name.plain} {more}" if name else count
        who = f"the agent asks {more}"
        if heading + cell_len(who) <= room or (more and cell_len(who) <= room // 2):
            return who
        return count

    def _foot(self, lines: int, shown: int, hidden_options: int, width: int) -> Text:
        """Which part of the question is seen, and how to see the rest."""
        down, up = self._keys
        dim, loud = style_of(self, "permission--dim"), style_of(self, "permission--more")
        below = lines - self._top - shown
        told: list[Text] = []
        if below > 0:
            keys = f"{down}, or the same key again" if self._was_early else down
            told.append(Text(f"{below} more line{'s' * (below != 1)}: {keys}", loud))
        elif self._was_early:
            told.append(Text("That was all of it: the same key answers now", loud))
        if shown < lines:
            place = f"{self._top + 1}-{self._top + shown} of {lines}"
            told.append(Text(place if below > 0 else f"{place}, {up} goes back", dim))
        if hidden_options > 0:
            told.append(Text(f"{hidden_options} more row{'s' * (hidden_options != 1)} of answers: tab", loud))
        if self._first:
            told.append(Text(f"{self._first}, then the digit", dim))
        return Text.assemble("   ", joined(told, f" {self._glyphs.separator} ", dim))

    def _one_row(self, y: int, width: int) -> Text:
        if self._given:
            kept = f"   {self._given}: kept, and given once the backend is back"
            return Text(kept, style_of(self, "permission--more"))
        text = Text("   ")
        for place, option in enumerate(self._answers):
            start = text.cell_len
            text.append(self._label(place, option), self._style(place, option))
            self._places.append((y, start, text.cell_len, place))
            text.append("  ")
        if self._first:
            hint = f"{self._first}, then the digit"
            fits = text.cell_len + cell_len(hint) <= width
            text.append(hint if fits else f"{self._first} first", style_of(self, "permission--dim"))
        return text
