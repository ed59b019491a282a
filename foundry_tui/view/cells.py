"""Text cut and padded to terminal cells, with nothing in it that a terminal would obey."""

from rich.cells import cell_len, set_cell_size

_CONTROL = dict.fromkeys((*range(32), *range(127, 160), 8232, 8233), " ")
# Marks that turn the direction of writing would reorder the rest of the row.
_CONTROL.update(dict.fromkeys((0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)), ""))


def plain(text: str) -> str:
    """The text with control characters as spaces, so that it stays on its line."""
    return text if text.isprintable() else text.translate(_CONTROL)


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
