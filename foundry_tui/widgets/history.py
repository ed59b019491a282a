"""Every event of a task's life, in order, with its time and how long after the one before it came."""

from collections.abc import Callable, Sequence

from textual.strip import Strip

from foundry_tui.contract.records import HistoryEvent
from foundry_tui.view.history import day_of, details, mood, sentence
from foundry_tui.widgets.lines import Lines
from foundry_tui.widgets.styles import style_of
from foundry_tui.widgets.text_lines import Text, strip_of


class HistoryView(Lines):
    """One line an event; the day stands before the first of each."""

    def __init__(self, clock_time: Callable[[int], str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._clock_time = clock_time
        self._events: Sequence[HistoryEvent] = ()

    def show(self, events: Sequence[HistoryEvent]) -> None:
        """Show these events, oldest first."""
        if events != self._events:
            self._events = tuple(events)
            self.lines_changed()

    @property
    def line_count(self) -> int:
        return max(1, len(self._events))

    def strip_at(self, line: int) -> Strip:
        width = self.lines_width
        time_style = style_of(self, "history--time")
        if not self._events:
            return strip_of(Text(" Nothing has happened yet.", time_style), width, self.base)
        event = self._events[line]
        before = self._events[line - 1] if line else None
        text = Text(" ")
        text.append(self._clock_time(event.at), time_style)
        if before is None or day_of(before.at) != day_of(event.at):
            gap = day_of(event.at)[5:]
        else:
            gap = _gap(event.at - before.at)
        text.append(f" {gap:>7} ", time_style)
        text.append(f" {sentence(event)}", style_of(self, f"history--{mood(event)}"))
        told = details(event)
        if told:
            text.append(f"  {told}", style_of(self, "history--detail"))
        return strip_of(text, width, self.base)


def _gap(milliseconds: int) -> str:
    if milliseconds < 10:
        return ""
    if milliseconds < 60_000:
        return f"+{milliseconds / 1000:.1f}s"
    minutes = milliseconds // 60_000
    return f"+{minutes}m" if minutes < 600 else f"+{minutes // 60}h"
