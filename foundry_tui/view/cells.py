"""Text cut and padded to terminal cells, with nothing in it that a terminal would obey."""

from rich.cells import cell_len, set_cell_size

from foundry_tui.contract.control_characters import harmless


def plain(text: str) -> str:
    """The text on one line, with marks in place of control characters."""
    return harmless(text)


_JOINER = "\u200d"
"""Makes one glyph of the letters beside it, so at an end of a text it would take what stands there into that."""


def fit(text: str, width: int, ellipsis: str = "…") -> str:
    """The text in exactly `width` cells: padded with spaces, or cut with an ellipsis where it ends."""
    if width <= 0:
        return ""
    text = plain(text).strip(_JOINER)
    if cell_len(text) > width:
        text = set_cell_size(text, width - 1).rstrip(_JOINER) + ellipsis
    return text + " " * (width - cell_len(text))


def fit_end(text: str, width: int, ellipsis: str = "…") -> str:
    """The text in at most `width` cells, cut with an ellipsis where it begins: the end of a path says most."""
    text = plain(text)
    if cell_len(text) <= width:
        return text
    begin, room = len(text), width - 1
    while begin and (room := room - cell_len(text[begin - 1])) >= 0:
        begin -= 1
    # Letters that make one glyph together may take more cells than each by itself.
    while begin < len(text) and cell_len(text[begin:]) > width - 1:
        begin += 1
    return ellipsis + text[begin:].lstrip(_JOINER)
