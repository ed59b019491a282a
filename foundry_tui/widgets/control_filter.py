"""The last thing before the terminal: no control character of any text that is shown gets past it, and no picture of
which one terminal makes two cells and the next one six.

Every line of every widget goes through Textual's line filters, whatever made it.
"""

import re

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from foundry_tui.contract.control_characters import harmless
from foundry_tui.view.cells import is_made_of_more, kept_in_cells

_GAP = re.compile(" (?= )")


class ControlFilter(LineFilter):
    """Replaces control characters by visible marks, and removes links, which a terminal would open on a click.

    While a line is laid out a control character takes no cell, but its mark takes one. That cell is taken from the next
    two spaces in a row, so the line keeps its length, and what stands behind these spaces keeps its column. For the
    same reason only the first of pictures that are joined is shown.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        shown = segments
        for segment in segments:
            if not segment.text.isprintable() or (segment.style is not None and segment.style.link):
                shown = _without_controls(segments)
                break
        if any(is_made_of_more(text) for text, _, _ in shown):
            return [Segment(kept_in_cells(text), style, control) for text, style, control in shown]
        return shown


def _without_controls(segments: list[Segment]) -> list[Segment]:
    shown: list[Segment] = []
    over = 0
    for text, style, control in segments:
        clean = harmless(text)
        behind = 0 if over else next((place for place, one in enumerate(text) if clean[place : place + 1] != one), 0)
        over += cell_len(clean) - cell_len(text)
        while over > 0 and (gap := _GAP.search(clean, behind)) is not None:
            clean = clean[: gap.start()] + clean[gap.start() + 1 :]
            over -= 1
        shown.append(Segment(clean, style.update_link(None) if style is not None and style.link else style, control))
    while over > 0 and shown:
        text, style, control = shown.pop()
        kept = max(0, cell_len(text) - over)
        over -= cell_len(text) - kept
        if kept:
            shown.append(Segment(set_cell_size(text, kept), style, control))
    return [segment for segment in shown if segment.text]


CONTROL_FILTER = ControlFilter()
"""The one there is: lines remember what a filter made of them by the filter."""
