"""A recording of the demo in asciinema's format, version 2: which keys are pressed when, and what is written down.

Only what changed from one picture to the next is written, so that a minute takes a few hundred kilobytes.

The story and the keys are the same each time. The bytes are not: app and backend are two processes, and how far a word
has come when a picture is taken is up to the machine. On one that is busy a key may be seen seconds late.
"""

import json
from collections.abc import Iterator, Sequence

from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

COLUMNS, ROWS = 120, 32
PICTURES_A_SECOND = 3
SECONDS = 52.0
"""How long the recording is."""

_NAMES = {" ": "space", "/": "slash", "?": "question_mark"}


def _typed(begin: float, between: float, text: str) -> Iterator[tuple[float, tuple[str, str | None]]]:
    """Letter by letter, with so many seconds between."""
    return ((begin + between * place, (_NAMES.get(letter, letter), letter)) for place, letter in enumerate(text))


KEYS: tuple[tuple[float, tuple[str, str | None]], ...] = (
    (4.0, ("1", "1")),
    (9.0, ("tab", "\t")),
    *_typed(12.0, 0.25, "/dark"),
    (13.8, ("enter", "\r")),
    (14.4, ("enter", "\r")),
    (26.5, ("escape", None)),
    (27.5, ("escape", None)),
    (29.0, ("n", "n")),
    *_typed(30.0, 0.1, "make the search page work without JavaScript"),
    (35.3, ("ctrl+s", None)),
    (46.0, ("escape", None)),
    (48.0, ("question_mark", "?")),
)
"""What is pressed, by Textual's name of the key and what it writes, and when: to the question and its answer, into a
turn that streams while the line is cut, and a task of one's own.
"""


class Cast:
    """The recording as it grows."""

    def __init__(self, columns: int = COLUMNS, rows: int = ROWS) -> None:
        header = {"version": 2, "width": columns, "height": rows, "title": "foundry demo"}
        self._lines = [json.dumps(header)]
        self._shown: list[list[Segment]] = []

    def picture(self, at: float, strips: Sequence[Strip]) -> None:
        """Write down what changed on the screen by this time, in seconds from the beginning.

        Nothing did where there are no strips: a screen that opens just then is not laid out yet.
        """
        if not strips:
            return
        rows = [list(Segment.simplify(strip)) for strip in strips]
        begin = "" if self._shown else "\x1b[?25l\x1b[2J"
        pairs = enumerate(zip(self._shown or [[] for _ in rows], rows, strict=True), 1)
        changes = "".join(_change(number, old, new) for number, (old, new) in pairs if old != new)
        self._shown = rows
        if begin or changes:
            self._lines.append(json.dumps([round(at, 2), "o", begin + changes], ensure_ascii=False))

    def __str__(self) -> str:
        return "\n".join(self._lines) + "\n"


def _change(row: int, old: Sequence[Segment], new: Sequence[Segment]) -> str:
    """What makes the new row of the old one: what stands alike at both ends is left as it is."""
    shorter = min(len(old), len(new))
    same = next((place for place in range(shorter) if old[place] != new[place]), shorter)
    behind = next((place for place in range(shorter - same) if old[-1 - place] != new[-1 - place]), shorter - same)
    column = 1 + sum(segment.cell_length for segment in new[:same])
    return f"\x1b[{row};{column}H" + "".join(_written(new[same : len(new) - behind]))


def _written(segments: Sequence[Segment]) -> Iterator[str]:
    for text, style, _ in segments:
        # Each begins with a reset, which is shorter than one behind each.
        codes = Strip.render_ansi(style or Style.null(), ColorSystem.EIGHT_BIT)
        yield f"\x1b[0;{codes}m{text}" if codes else f"\x1b[0m{text}"
