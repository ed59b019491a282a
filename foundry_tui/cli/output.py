"""What commands print: JSON, tables on a terminal, tab-separated lines in a pipe. Texts never carry control codes."""

import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_CONTROL_BUT_NEWLINE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]+")

NARROWEST = 12
"""Cells that a column of a table keeps when it gives way."""

_PAINTS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}


def is_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout.isatty()


def may_ask() -> bool:
    """Whether there is a person to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def printable(text: str, *, lines: bool = False) -> str:
    """The text with tabs, newlines and control codes made spaces; `lines` keeps the newlines."""
    return (_CONTROL_BUT_NEWLINE if lines else _CONTROL).sub(" ", text)


def paint(text: str, *names: str) -> str:
    """The text in colours, where standard output is a terminal that wants them."""
    if not names or not is_terminal() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{';'.join(_PAINTS[name] for name in names)}m{text}\x1b[0m"


def write(data: bytes) -> None:
    """Bytes on standard output, seen at once by whoever reads them. Raises `OSError` when it takes no more."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def say(text: str = "") -> None:
    """A line on standard output."""
    write(f"{text}\n".encode("utf-8", "backslashreplace"))


def tell(text: str) -> None:
    """A line on standard error, beside what the command is asked for."""
    with suppress(OSError):
        print(printable(text, lines=True), file=sys.stderr, flush=True)


def say_json(document: bytes | object, *, pretty: bool | None = None) -> None:
    """JSON on one line in a pipe, indented on a terminal. Bytes are taken as JSON already."""
    import msgspec

    data = document if isinstance(document, bytes) else msgspec.json.encode(document)
    if is_terminal() if pretty is None else pretty:
        data = msgspec.json.format(data)
    write(data + b"\n")


def say_row(cells: Iterable[object]) -> None:
    """One line of a pipe: cells between tabs, an absent one empty."""
    say("\t".join("" if cell is None else printable(str(cell)) for cell in cells))


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


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, stretch: Sequence[int]) -> None:
    """A table for a person, as wide as the terminal at most: of the columns `stretch` the widest gives way."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(width(row[column]) for row in [list(head), *cells]) for column in range(len(head))]
    over = sum(widths) + 2 * (len(widths) - 1) - shutil.get_terminal_size().columns
    for _ in range(over):
        widest = max(stretch, key=widths.__getitem__)
        if widths[widest] <= NARROWEST:
            break
        widths[widest] -= 1
    for number, row in enumerate([list(head), *cells]):
        texts = [cut(cell, size) for cell, size in zip(row, widths, strict=True)]
        line = "  ".join(text + " " * (size - width(text)) for text, size in zip(texts, widths, strict=True)).rstrip()
        say(paint(line, "dim") if number == 0 else line)


def clock_time(at: int) -> str:
    """A moment as a person reads it, in local time; `at` in milliseconds since the epoch."""
    import time

    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at / 1000))
