"""What the provider printed and each command it ran, stage by stage, followed as it grows."""

from collections.abc import Callable, Sequence

from textual.strip import Strip

from foundry_tui.contract.records import LogLine
from foundry_tui.view.line_index import LineIndex
from foundry_tui.view.stepper import LOG_NAMES
from foundry_tui.widgets.lines import Lines
from foundry_tui.widgets.styles import style_of
from foundry_tui.widgets.text_lines import Text, strip_of, wrapped

_HEAD = 19
"""Cells before the text: time and stage."""
MIN_ROOM = 20
"""Cells of the text at least, however narrow the view is."""


class StageLog(Lines):
    """What was printed, line by line; one that is longer than the view goes on in the lines below it."""

    def __init__(self, clock_time: Callable[[int], str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._clock_time = clock_time
        self._log: Sequence[LogLine] = ()
        self._index = LineIndex()
        self._room = 0
        self._empty = "Nothing was printed yet."
        self._end = ""

    def show(self, log: Sequence[LogLine], *, empty: str, end: str = "") -> None:
        """Show these lines; `empty` is said when there are none, else `end` below them.

        The sequence may grow in place, so it is copied.
        """
        same = len(log) == len(self._log) and (not log or log[-1] == self._log[-1])
        if same and (empty, end) == (self._empty, self._end):
            return
        # A log only grows; only one of another life is shorter, or begins otherwise.
        if self._log and (len(log) < len(self._log) or log[0] != self._log[0]):
            self._index.truncate(0)
        self._log, self._empty, self._end = tuple(log), empty, end
        self.lines_changed()

    def lines_changed(self) -> None:
        room = max(MIN_ROOM, self.lines_width - _HEAD)
        if room != self._room:
            self._room = room
            self._index.truncate(0)
        self._index.extend(len(self._parts(record)) for record in self._log[len(self._index) :])
        super().lines_changed()

    def _parts(self, record: LogLine) -> list[str]:
        text = _printable(record.text)
        if len(text) <= self._room and text.isascii():
            return [text]
        return [part.plain for part in wrapped(Text(text), self._room)]

    @property
    def line_count(self) -> int:
        return max(1, self._index.total + bool(self._log and self._end))

    def strip_at(self, line: int) -> Strip:
        width = self.lines_width
        dim = style_of(self, "stage-log--time")
        if not self._log:
            return strip_of(Text(f" {self._empty}", dim), width, self.base)
        if line >= self._index.total:
            return strip_of(Text(f" {self._end}", dim), width, self.base)
        item, part = self._index.locate(line)
        record = self._log[item]
        text = Text(" ")
        if part:
            text.append(" " * (_HEAD - 1))
        else:
            first = item == 0 or self._log[item - 1].stage != record.stage
            text.append(self._clock_time(record.at)[:8], dim)
            name = LOG_NAMES.get(record.stage, record.stage) if first else ""
            text.append(f" {name:<8} ", style_of(self, "stage-log--stage"))
        kind = "command" if record.text.startswith("$ ") else "text"
        text.append(self._parts(record)[part], style_of(self, f"stage-log--{kind}"))
        return strip_of(text, width, self.base)


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "�" for character in text.expandtabs(4))
