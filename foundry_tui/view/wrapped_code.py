"""Long lines of code in a diff, cut into rows where somebody wants to see all of them instead of what fits."""

from collections.abc import Sequence

from rich.cells import chop_cells

from foundry_tui.contract.control_characters import harmless

LEAST_DIGITS = 4
"""Cells of a line number."""
LEAST_ROOM = 8
"""Cells that a row of code has at least, however narrow the view is."""
UNENDED = "no newline at the end"
"""What stands behind the last line of a file that ends so."""


def flat(text: str) -> str:
    """A line of code with its tabs as spaces and its control characters made visible."""
    return harmless(text.expandtabs(4))


def code_room(width: int, digits: int, *, split: bool) -> int:
    """Cells that code has in a view of `width`, behind numbers and marks; side by side that of the narrower side."""
    return max(LEAST_ROOM, (width - 2) // 2 - digits - 3 if split else width - 2 * digits - 5)


def row_starts(text: str, room: int, *, ended: bool = True) -> Sequence[int]:
    """Where in the flat text of a line each of its rows begins: behind a space, where one is near the edge."""
    whole = text if ended else f"{text} ... {UNENDED}"
    starts = [0]
    while True:
        # Characters that join the one before have no cells; nobody writes more than three of them.
        ahead = whole[starts[-1] : starts[-1] + 4 * room]
        row = chop_cells(ahead, room)[0] if ahead else ""
        if starts[-1] + len(row) >= len(whole):
            return starts
        behind_space = row.rfind(" ") + 1
        starts.append(starts[-1] + (behind_space if behind_space > len(row) // 2 else len(row)))
