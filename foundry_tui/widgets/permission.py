"""The agent's question, answered where it is asked: a digit, a click, or the arrows and enter."""

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from foundry_tui.contract.records import Permission
from foundry_tui.view.glyphs import glyph_set
from foundry_tui.widgets.drawn import Drawn
from foundry_tui.widgets.text_lines import spread, strip_of, wrapped
from foundry_tui.widgets.tones import tone


class PermissionRequest(Drawn, can_focus=True):
    """Shows one open request; the others are counted."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,up", "choose(-1)", "before", show=False),
        Binding("right,down", "choose(1)", "next", show=False),
        Binding("enter", "answer_chosen", "answer", show=False),
    ]

    class Answered(Message):
        """A person chose an option."""

        def __init__(self, permission_id: str, option_id: str) -> None:
            super().__init__()
            self.permission_id = permission_id
            self.option_id = option_id

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._glyphs = glyph_set(ascii_only)
        self._permission: Permission | None = None
        self._more = 0
        self._session = ""
        self._first = ""
        self._chosen = 0
        self._places: list[tuple[int, int, int]] = []

    @property
    def permission(self) -> Permission | None:
        """The request that is shown."""
        return self._permission

    def show(self, permission: Permission | None, *, more: int = 0, session: str = "", first: str = "") -> None:
        """Show a request, or none; `more` wait behind it, `session` names the session if it is not the visible one.
        `first` is the key that gives the digits back to it, while they are written elsewhere.
        """
        if (permission, more, session, first) == (self._permission, self._more, self._session, self._first):
            return
        self._first = first
        if permission is None or self._permission is None or permission.permission_id != self._permission.permission_id:
            self._chosen = 0
        self._permission, self._more, self._session = permission, more, session
        self.refresh(layout=True)

    def action_choose(self, direction: int) -> None:
        if self._permission is not None and self._permission.options:
            self._chosen = (self._chosen + direction) % len(self._permission.options)
            self.refresh()

    def action_answer_chosen(self) -> None:
        self.answer(self._chosen)

    def answer(self, place: int) -> bool:
        """Answer with the option of this place, counted from 0; whether there is one."""
        permission = self._permission
        if permission is None or not 0 <= place < len(permission.options):
            return False
        self.post_message(self.Answered(permission.permission_id, permission.options[place].option_id))
        return True

    def on_click(self, event: events.Click) -> None:
        if event.y == self.size.height - 1:
            for start, end, place in self._places:
                if start <= event.x < end:
                    self.answer(place)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._titles(width)) + 1 if self._permission is not None else 0

    def _titles(self, width: int) -> list[Text]:
        permission = self._permission
        if permission is None:
            return []
        return wrapped(Text(permission.title, tone(self, "permission--title")), max(10, width - 24))[:4]

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.base
        permission = self._permission
        if permission is None:
            return Strip.blank(width, base)
        titles = self._titles(width)
        dim = tone(self, "permission--dim")
        if y >= len(titles):
            return strip_of(self._options(permission), width, base)
        mark = tone(self, "permission--title")
        line = Text.assemble((f" {self._glyphs.asks if not y else ' '} ", mark), titles[y])
        if y:
            return strip_of(line, width, base)
        who = f"in {self._session} " if self._session else "the agent asks "
        if self._more:
            who = f"{who}{self._glyphs.separator} {self._more} more "
        return strip_of(spread(line, Text(who, dim), width), width, base)

    def _options(self, permission: Permission) -> Text:
        text = Text("   ")
        self._places = []
        for place, option in enumerate(permission.options):
            start = text.cell_len
            name = "permission--reject" if option.kind.startswith("reject") else "permission--allow"
            style = tone(self, name)
            if place == self._chosen and self.has_focus:
                style += tone(self, "permission--chosen")
            text.append(f" {place + 1} {option.name} ", style)
            self._places.append((start, text.cell_len, place))
            text.append("  ")
        if self._first:
            text.append(f"{self._first}, then the digit", tone(self, "permission--dim"))
        return text
