"""Text cut and padded to terminal cells, with nothing in it that a terminal would obey."""

import re

from rich.cells import cell_len, set_cell_size

from foundry_tui.contract.control_characters import JOINER, harmless

_LOOKS = dict.fromkeys((ord(JOINER), 0xFE0F, *range(0x1F3FB, 0x1F400)))
"""What makes one picture of two, a picture of a letter, or another one of it: terminals differ in its cells."""
_MADE_OF_MORE = re.compile("(.)(?:\ufe0f\u20e3?|[\U0001f3fb-\U0001f3ff]|\u200d.)+")


def apart(text: str) -> str:
    """The text with each letter and each picture by itself, so that it has the same cells on any terminal."""
    return text if text.isascii() else text.translate(_LOOKS)


def flat(text: str) -> str:
    """The same of what is harmless of the text, on one line."""
    return apart(harmless(text))


def kept_in_cells(text: str) -> str:
    """The text in the cells that it was laid out for, on any terminal: of a picture that is made of more, the first."""
    shown = _MADE_OF_MORE.sub(lambda made: made[1] + " " * (cell_len(made[0]) - cell_len(made[1])), text)
    return set_cell_size(shown, cell_len(text))


def is_made_of_more(text: str) -> bool:
    """Whether there is a picture in it whose cells terminals differ in."""
    return not text.isascii() and _MADE_OF_MORE.search(text) is not None


def cells_of(text: str) -> int:
    """The cells that it then takes."""
    return cell_len(flat(text))


def fit(text: str, width: int, ellipsis: str = "…") -> str:
    """The text in exactly `width` cells of any terminal: padded with spaces, or cut with an ellipsis where it ends."""
    if width <= 0:
        return ""
    text = flat(text)
    if cell_len(text) > width:
        text = set_cell_size(text, width - 1) + ellipsis
    return text + " " * (width - cell_len(text))


def fit_end(text: str, width: int, ellipsis: str = "…") -> str:
    """The text in at most `width` cells, cut with an ellipsis where it begins: the end of a path says most."""
    text = flat(text)
    if cell_len(text) <= width:
        return text
    begin, room = len(text), width - 1
    while begin and (room := room - cell_len(text[begin - 1])) >= 0:
        begin -= 1
    return ellipsis + text[begin:]
