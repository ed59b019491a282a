"""What the provider printed and each command it ran, stage by stage, followed as it grows."""

from collections.abc import Callable, Sequence

from rich.text import Text
from textual.strip import Strip

from foundry_tui.contract.records import LogLine
from foundry_tui.view.stepper import STEP_NAMES
from foundry_tui.widgets.lines import Lines
from foundry_tui.widgets.text_lines import strip_of
from foundry_tui.widgets.tones import tone

_NAMES: dict[str, str] = {str(stage): name for stage, name in STEP_NAMES.items()} | {
    "destroy_sandbox": "destroy",
    "release_sandbox": "release",
}


class StageLog(Lines):
    """One line a line of output; lines longer than the view are cut, and whole when copied."""

    def __init__(self, clock_time: Callable[[int], str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._clock_time = clock_time
        self._log: Sequence[LogLine] = ()
        self._empty = "Nothing was printed yet."

    def show(self, log: Sequence[LogLine], *, empty: str) -> None:
        """Show these lines; `empty` is said when there are none. The sequence may grow in place, so it is copied."""
        if len(log) == len(self._log) and (not log or log[-1] == self._log[-1]) and empty == self._empty:
            return
        self._log, self._empty = tuple(log), empty
        self.lines_changed()

    @property
    def line_count(self) -> int:
        return max(1, len(self._log))

    def strip_at(self, line: int) -> Strip:
        width = self.lines_width
        dim = tone(self, "stage-log--time")
        if not self._log:
            return strip_of(Text(f" {self._empty}", dim), width, self.base)
        record = self._log[line]
        first = line == 0 or self._log[line - 1].stage != record.stage
        text = Text(" ")
        text.append(self._clock_time(record.at)[:8], dim)
        name = _NAMES.get(record.stage, record.stage) if first else ""
        text.append(f" {name:<8} ", tone(self, "stage-log--stage"))
        kind = "command" if record.text.startswith("$ ") else "text"
        text.append(_printable(record.text), tone(self, f"stage-log--{kind}"))
        return strip_of(text, width, self.base)


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "�" for character in text.expandtabs(4))
