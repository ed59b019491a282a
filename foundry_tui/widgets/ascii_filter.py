"""Replaces frames, bars and typographic characters by ASCII in every line, just before it is written."""

from collections.abc import Iterator

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from foundry_tui.view.ascii_stand_ins import STAND_INS


class AsciiFilter(LineFilter):
    """The filter. Letters of any script stay as they are: people wrote them."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return list(self._replaced(segments))

    def _replaced(self, segments: list[Segment]) -> Iterator[Segment]:
        for segment in segments:
            text, style, control = segment
            yield segment if text.isascii() else Segment(text.translate(STAND_INS), style, control)


ASCII_FILTER = AsciiFilter()
"""The one there is: lines remember what a filter made of them by the filter."""
