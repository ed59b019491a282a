"""The facts about a task, each with the key that copies it."""

from collections.abc import Callable

from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from foundry_tui.contract.memory import MemoryReport
from foundry_tui.contract.records import TaskSummary
from foundry_tui.view.clock import Clock
from foundry_tui.view.details import Fact, facts
from foundry_tui.widgets.drawn import Drawn
from foundry_tui.widgets.styles import style_of
from foundry_tui.widgets.text_lines import Text, strip_of, wrapped

_LABEL = 13
"""Cells of the label column."""


class Details(Drawn):
    """Labelled lines; a click on one that can be copied copies it."""

    class CopyAsked(Message):
        """A fact was clicked; `action` is the id of the action that copies it."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    def __init__(self, clock: Clock, key_of: Callable[[str], str], *, id: str | None = None) -> None:
        """`key_of` gives the key of an action id, to stand beside the fact that it copies."""
        super().__init__(id=id)
        self._clock = clock
        self._key_of = key_of
        self._about: TaskSummary | None = None
        self._memory: MemoryReport | None = None
        self._rows: list[tuple[Fact, Text]] = []

    def show(self, task: TaskSummary | None) -> None:
        """Show the facts of a task."""
        if task != self._about:
            self._about = task
            self._redraw()

    def show_memory(self, memory: MemoryReport | None) -> None:
        """Show what the task's agents take."""
        if memory != self._memory:
            self._memory = memory
            self._redraw()

    def tick(self) -> None:
        """Ages may have changed."""
        self._redraw()

    def on_resize(self) -> None:
        self._redraw()

    def _redraw(self) -> None:
        """Draw anew the rows that are others now."""
        before = self._rows
        self._make_rows(self.size.width)
        if len(self._rows) != len(before):
            self.refresh(layout=True)
            return
        for y, (old, new) in enumerate(zip(before, self._rows, strict=True)):
            if old != new:
                self.redraw_line(y)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        self._make_rows(width)
        return len(self._rows)

    def _make_rows(self, width: int) -> None:
        self._rows = []
        if self._about is None or not width:
            return
        label = style_of(self, "details--label")
        for fact in facts(self._about, self._clock.now_ms(), self._memory):
            value = style_of(self, "details--bad" if fact.bad else "details--value")
            key = self._key_of(fact.copy_action) if fact.copy_action else ""
            room = width - _LABEL - 5
            told = _middle_cut(fact.value, room) if fact.label in ("id", "sandbox") else fact.value
            for place, part in enumerate(wrapped(Text(told, value), room)):
                line = Text.assemble((f" {'' if place else fact.label:<{_LABEL - 1}}", label), part)
                if key and not place:
                    line.append(f"  {key}", style_of(self, "details--key"))
                self._rows.append((fact, line))

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.base
        return strip_of(self._rows[y][1], width, base) if y < len(self._rows) else Strip.blank(width, base)

    def on_click(self, event: events.Click) -> None:
        place = event.get_content_offset(self)
        if place is not None and place.y < len(self._rows) and (action := self._rows[place.y][0].copy_action):
            self.post_message(self.CopyAsked(action))


def _middle_cut(text: str, room: int) -> str:
    """An id with its middle left out if there is no room for it; copying gives it whole."""
    if len(text) <= room or room < 16:
        return text
    return f"{text[: room - 9]}…{text[-8:]}"
