"""Text cut and padded to terminal cells, with nothing in it that a terminal would obey."""

from rich.cells import cell_len, set_cell_size

from foundry_tui.contract.control_characters import harmless


def plain(text: str) -> str:
    """The text on one line, with marks in place of control characters."""
    return harmless(text)


def fit(text: str, width: int, ellipsis: str = "…") -> str:
    """The text in exactly `width` cells: padded with spaces, or cut with an ellipsis as its last cell."""
    if width <= 0:
        return ""
    text = plain(text)
    length = cell_len(text)
    if length == width:
        return text
    if length < width:
        return text + " " * (width - length)
    return set_cell_size(text, width - 1) + ellipsis
