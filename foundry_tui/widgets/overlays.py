"""Marks that are laid over drawn lines: what is selected, what was found, numbers at a line's end."""

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip


def marked(strip: Strip, start: int, end: int, style: Style) -> Strip:
    """The strip with its characters from `start` to before `end` in another style."""
    text = strip.text
    if end <= start:
        return strip
    cuts = [cell_len(text[:start]), cell_len(text[:end]), strip.cell_length]
    before, chosen, after = strip.divide(cuts)
    parts = [Segment(part.text, part.style + style if part.style else style) for part in chosen]
    return Strip.join([before, Strip(parts), after])


def with_label(strip: Strip, label: str, style: Style) -> Strip:
    """The strip with a label over its last cells."""
    room = strip.cell_length - cell_len(label)
    return Strip.join([strip.crop(0, max(0, room)), Strip([Segment(label, style)])])
