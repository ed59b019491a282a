"""What commands print: JSON, tables on a terminal, tab-separated lines in a pipe.

Nothing but our own colours moves a terminal, whatever is printed on it: `say`, `tell` and `say_json` see to that. In a
pipe JSON and patches are exact.
"""

import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from foundry_tui.cli.locale import is_utf8
from foundry_tui.contract.control_characters import escaped, harmless

NARROWEST = 12
"""Cells that a column of a table keeps when it gives way."""

_PAINTS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}
# Unicode keeps these from being characters: they stand for our colours until the text around them is made harmless.
_BEGIN = {name: chr(0xFDD0 + place) for place, name in enumerate(_PAINTS)}
_END = "\ufdef"
_COLOURS = {ord(_END): "\x1b[0m", **{ord(_BEGIN[name]): f"\x1b[{code}m" for name, code in _PAINTS.items()}}


def is_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout.isatty()


def may_ask() -> bool:
    """Whether there is a person to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def paint(text: str, *names: str) -> str:
    """The text in colours, where standard output is a terminal that wants them; to be printed with `say`."""
    if not names or not is_terminal() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"{''.join(_BEGIN[name] for name in names)}{text}{_END}"


def for_terminal(text: str, *, colours: bool = True) -> bytes:
    """Lines as a terminal gets them: control characters marked, our own colours put in, in what its locale has."""
    shown = harmless(text, lines=True)
    painted = _COLOURS if colours else dict.fromkeys(_COLOURS)
    if is_utf8():
        return shown.translate(painted).encode("utf-8", "backslashreplace")
    from foundry_tui.view.ascii_stand_ins import STAND_INS

    return shown.translate(STAND_INS).translate(painted).encode("ascii", "backslashreplace")


def write(data: bytes) -> None:
    """Bytes on standard output, seen at once by whoever reads them. Raises `OSError` when it takes no more."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def say(text: str = "") -> None:
    """A line on standard output; several, where the text has newlines."""
    line = f"{text}\n"
    write(for_terminal(line) if is_terminal() else line.encode("utf-8", "backslashreplace"))


def tell(text: str) -> None:
    """A line on standard error, beside what the command is asked for."""
    with suppress(OSError, ValueError):
        sys.stderr.flush()
        sys.stderr.buffer.write(for_terminal(f"{text}\n", colours=sys.stderr.isatty()))
        sys.stderr.buffer.flush()


def say_json(document: bytes | object, *, pretty: bool | None = None) -> None:
    """JSON on one line in a pipe, indented on a terminal. Bytes are taken as JSON already."""
    import msgspec

    data = document if isinstance(document, bytes) else msgspec.json.encode(document)
    if is_terminal() if pretty is None else pretty:
        data = msgspec.json.format(data)
    if is_terminal():
        text = escaped(data.decode("utf-8", "replace"))
        data = text.encode() if is_utf8() else text.encode("ascii", "backslashreplace")
    write(data + b"\n")


def say_row(cells: Iterable[object]) -> None:
    """One line of a pipe: cells between tabs, an absent one empty."""
    say("\t".join("" if cell is None else harmless(str(cell)) for cell in cells))


def width(text: str) -> int:
    """Cells that the text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def cut(text: str, cells: int) -> str:
    """The text in at most `cells` cells, `…` where something is missing."""
    if width(text) <= cells:
        return text
    kept, used = "", 1
    for letter in text:
        used += width(letter)
        if used > cells:
            break
        kept += letter
    return f"{kept}…"


Colours = Mapping[int, tuple[str, ...]]
"""The names of `paint` for some columns of a row, by their numbers."""


def terminal_width() -> int:
    """The columns of the terminal, or 80 where there is none."""
    return shutil.get_terminal_size().columns


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, stretch: Sequence[int], colours: Sequence[Colours] = ()
) -> None:
    """A table for a person, as wide as the terminal at most: of the columns `stretch` the widest gives way.

    `colours` has those of each row, in the order of the rows; without it they have none.
    """
    cells = [[harmless(cell) for cell in row] for row in rows]
    widths = [max(width(row[column]) for row in [list(head), *cells]) for column in range(len(head))]
    over = sum(widths) + 2 * (len(widths) - 1) - terminal_width()
    for _ in range(over):
        widest = max(stretch, key=widths.__getitem__)
        if widths[widest] <= NARROWEST:
            break
        widths[widest] -= 1
    dim = dict.fromkeys(range(len(head)), ("dim",))
    for row, painted in zip([list(head), *cells], [dim, *(colours or [{}] * len(cells))], strict=True):
        texts = [cut(cell, size) for cell, size in zip(row, widths, strict=True)]
        gaps = [size - width(text) for text, size in zip(texts, widths, strict=True)]
        shown = [paint(text, *painted.get(column, ())) for column, text in enumerate(texts)]
        say("  ".join(text + " " * gap for text, gap in zip(shown, gaps, strict=True)).rstrip())


def clock_time(at: int) -> str:
    """A moment as a person reads it, in local time; `at` in milliseconds since the epoch."""
    import time

    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at / 1000))
