"""What draws in ASCII whatever is drawn: frames, bars and typography are replaced on their way to the terminal."""

from collections.abc import Iterator

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_DRAWN = {
    "-": "─━╌┄═╴╶–—‐⸺▔",
    "_": "▁▂",
    "|": "│┃║╎┆▌▐█▋▊▍▎▏▕▉▇▆▅▄▃",
    "+": "╭╮╰╯┌┐└┘├┤┬┴┼┏┓┗┛╔╗╚╝╞╡╪▛▜▙▟▗▖▝▘✓✔",
    "=": "≡▀▰",
    "~": "…∴↻◐",
    ".": "·◌○▱",
    "o": "●",
    "x": "✗☓☒☑◆",
    "*": "•",
    "!": "⊘",
    '"': "“”„",
    "'": "‘’",
    ">": "→▸▶❯›▹",
    "<": "←◀‹",
    "^": "↑▲",
    "v": "↓▼▾",
    "?": "�",
}
"""What stands for the characters that the app and Textual's widgets draw with; each is one cell wide."""

STAND_INS = {ord(drawn): ascii_ for ascii_, all_drawn in _DRAWN.items() for drawn in all_drawn}
"""The same as `str.translate` takes it."""


class AsciiFilter(LineFilter):
    """Leaves letters of any script alone: they are what people wrote."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return list(self._replaced(segments))

    def _replaced(self, segments: list[Segment]) -> Iterator[Segment]:
        for segment in segments:
            text, style, control = segment
            yield segment if text.isascii() else Segment(text.translate(STAND_INS), style, control)
