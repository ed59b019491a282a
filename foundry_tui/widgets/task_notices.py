"""What the task screen says apart from the conversation: why there is none, why a stage failed, what goes on now."""

from collections.abc import Sequence

from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from foundry_tui.view.clock import Clock
from foundry_tui.view.glyphs import glyph_set
from foundry_tui.view.stepper import Failure
from foundry_tui.view.task_notices import EmptyState
from foundry_tui.widgets.drawn import Drawn
from foundry_tui.widgets.styles import style_of
from foundry_tui.widgets.text_lines import Text, strip_of, wrapped

MOST_TURN_LINES = 3
"""Lines that what a session is doing takes at most."""

Keys = Sequence[tuple[str, str]]
"""Keys and what they do, for the last line of an empty state or a card."""


class EmptyStateView(Drawn):
    """Shows an `EmptyState` in the middle of the conversation's place."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.shown: EmptyState | None = None
        """The empty state that is shown."""
        self._keys: Keys = ()

    def show(self, shown: EmptyState | None, keys: Keys = ()) -> None:
        """Show an empty state with the keys of its actions, or give the place free."""
        if (shown, tuple(keys)) != (self.shown, self._keys):
            self.shown, self._keys = shown, tuple(keys)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        lines = self._lines(width)
        place = y - max(0, (height - len(lines)) // 2)
        if not 0 <= place < len(lines):
            return Strip.blank(width, self.base)
        line = lines[place]
        text = Text(" " * max(0, (width - line.cell_len) // 2))
        text.append_text(line)
        return strip_of(text, width, self.base)

    def _lines(self, width: int) -> list[Text]:
        shown = self.shown
        if shown is None:
            return []
        style = style_of(self, f"empty-state--{shown.emphasis}")
        lines = [Text(shown.glyph, style), Text(""), *wrapped(Text(shown.headline, style), width - 4)]
        if shown.text:
            lines += [Text(""), *wrapped(Text(shown.text, style_of(self, "empty-state--text")), min(64, width - 4))]
        if self._keys:
            lines += [Text(""), key_line(self._keys, self, "empty-state")]
        return lines


def key_line(keys: Keys, widget: Widget, prefix: str) -> Text:
    """Keys and what they do on one line."""
    line = Text()
    for key, label in keys:
        if line:
            line.append("   ")
        line.append(key, style_of(widget, f"{prefix}--key"))
        line.append(f" {label}", style_of(widget, f"{prefix}--text"))
    return line


LOG_LINE_ROWS = 3
"""Rows that one line of a stage's log takes at most on the card; the log has it whole."""


class FailureCard(Drawn):
    """What failed, why, what was tried, what was printed last, and the keys that help."""

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._failure: Failure | None = None
        self._keys: Keys = ()
        self._glyph = glyph_set(ascii_only).failed
        self._bar = "| " if ascii_only else "│ "

    def show(self, failure: Failure | None, keys: Keys = ()) -> None:
        """Show a failure, or nothing."""
        if (failure, tuple(keys)) != (self._failure, self._keys):
            self._failure, self._keys = failure, tuple(keys)
            self.refresh(layout=True)
        self.display = failure is not None

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def render_line(self, y: int) -> Strip:
        lines = self._lines(self.size.width)
        text = lines[y] if y < len(lines) else Text()
        width = self.size.width
        return strip_of(text, width - 1, self.base).adjust_cell_length(width, self.base)

    def _lines(self, width: int) -> list[Text]:
        failure = self._failure
        if failure is None:
            return []
        room = width - 4
        headline = style_of(self, "failure--headline")
        dim = style_of(self, "failure--dim")
        lines = [Text.assemble((f" {self._glyph} {failure.headline}", headline))]
        for part in failure.reason.split("\n")[:6]:
            lines += [Text.assemble("   ", line) for line in wrapped(Text(part, style_of(self, "failure--text")), room)]
        if failure.tried:
            lines += [Text.assemble("   ", line) for line in wrapped(Text(failure.tried, dim), room)]
        if failure.log:
            lines.append(Text(""))
            lines += [
                Text.assemble(("   " + self._bar, dim), line)
                for text in failure.log
                for line in wrapped(Text(_one_line(text), dim), room - len(self._bar))[:LOG_LINE_ROWS]
            ]
        if self._keys:
            lines += [Text(""), Text.assemble("   ", key_line(self._keys, self, "failure"))]
        return lines


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text.expandtabs(4))


class TurnLine(Drawn):
    """What the session is doing, between transcript and composer: one line, more where the words need it."""

    def __init__(self, clock: Clock, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._clock = clock
        self._spinner = glyph_set(ascii_only).spinner
        self.words = ""
        """What is said; empty for nothing."""
        self._emphasis = "plain"
        self._glyph: str | None = None

    def show(self, words: str, emphasis: str, glyph: str | None) -> None:
        """Say this, behind a glyph, or behind a spinner if it is None."""
        if (words, emphasis, glyph) != (self.words, self._emphasis, self._glyph):
            before = len(self._lines(self.size.width))
            self.words, self._emphasis, self._glyph = words, emphasis, glyph
            self.refresh(layout=len(self._lines(self.size.width)) != before)

    @property
    def moving(self) -> bool:
        """Whether a spinner turns."""
        return self._glyph is None and bool(self.words)

    def spin(self) -> None:
        """The frame is another."""
        if self.moving:
            self.refresh()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, len(self._lines(width)))

    def _lines(self, width: int) -> list[Text]:
        return wrapped(Text(self.words, style_of(self, f"turn--{self._emphasis}")), max(1, width - 4))[:MOST_TURN_LINES]

    def render_line(self, y: int) -> Strip:
        lines = self._lines(self.size.width)
        glyph = self._glyph if self._glyph is not None else self._spinner[self._clock.frame() % len(self._spinner)]
        style = style_of(self, f"turn--{self._emphasis}") + Style(bold=True)
        mark = (f" {glyph} ", style) if not y else ("   ", style)
        line = Text.assemble(mark, lines[y]) if y < len(lines) else Text()
        return strip_of(line, self.size.width, self.base)
