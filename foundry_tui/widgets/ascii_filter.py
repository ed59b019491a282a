"""What draws in ASCII whatever is drawn: frames, bars and typography are replaced on their way to the terminal."""

from collections.abc import Iterator

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from foundry_tui.view.ascii_stand_ins import STAND_INS


class AsciiFilter(LineFilter):
    """Leaves letters of any script alone: they are what people wrote."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return list(self._replaced(segments))

    def _replaced(self, segments: list[Segment]) -> Iterator[Segment]:
        for segment in segments:
            text, style, control = segment
            yield segment if text.isascii() else Segment(text.translate(STAND_INS), style, control)


ASCII_FILTER = AsciiFilter()
"""The one there is: lines remember what a filter made of them by the filter."""
