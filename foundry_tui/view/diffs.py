"""The difference between the old and the new text of a file, as lines to show."""

import difflib
from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct


class DiffMark(StrEnum):
    """What a line of a diff is."""

    CONTEXT = " "
    ADDED = "+"
    REMOVED = "-"
    HUNK = "@"


class DiffLine(Struct, frozen=True):
    """One line of a diff; `number` is that of the new file, or of the old one for a line that was removed."""

    mark: DiffMark
    text: str
    number: int | None = None


@lru_cache(maxsize=64)
def edit_lines(old: str | None, new: str, *, context: int = 2) -> Sequence[DiffLine]:
    """The difference between two texts of a file; `old` None means that the file is new.

    The last ones are remembered: a question is drawn anew with each change of its task, and long files take long.
    """
    if old is None:
        return tuple(DiffLine(DiffMark.ADDED, text, number) for number, text in enumerate(_lines(new), 1))
    unified = difflib.unified_diff(_lines(old), _lines(new), lineterm="", n=context)
    return tuple(_numbered(unified))


def _lines(text: str) -> list[str]:
    """The lines of a file, whose last newline begins none."""
    return text.removesuffix("\n").split("\n") if text else []


def _numbered(lines: Iterator[str]) -> Iterator[DiffLine]:
    old = new = 0
    inside = False
    for line in lines:
        if line.startswith("@@"):
            inside = True
            old, new = _positions(line)
            yield DiffLine(DiffMark.HUNK, line)
        elif not inside:
            continue
        elif line.startswith("+"):
            yield DiffLine(DiffMark.ADDED, line[1:], new)
            new += 1
        elif line.startswith("-"):
            yield DiffLine(DiffMark.REMOVED, line[1:], old)
            old += 1
        elif line.startswith(" "):
            yield DiffLine(DiffMark.CONTEXT, line[1:], new)
            old += 1
            new += 1
        elif line.startswith("\\"):
            yield DiffLine(DiffMark.CONTEXT, line)


def _positions(header: str) -> tuple[int, int]:
    """First lines of a hunk in the old and the new file, from its `@@ -1,2 +3,4 @@`."""
    numbers = [0, 0]
    for part in header.split(" ")[1:3]:
        digits = part[1:].split(",")[0]
        if part[:1] in "+-" and digits.isascii() and digits.isdigit():
            numbers[part[0] == "+"] = int(digits)
    return numbers[0], numbers[1]


def counts(lines: Sequence[DiffLine]) -> tuple[int, int]:
    """How many lines were added and removed."""
    added = sum(line.mark is DiffMark.ADDED for line in lines)
    removed = sum(line.mark is DiffMark.REMOVED for line in lines)
    return added, removed
