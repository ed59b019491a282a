"""Rich texts as strips, for widgets that draw a few lines by themselves."""

from collections.abc import Iterable
from typing import Any, Self, cast

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text as RichText
from textual.strip import Strip

from foundry_tui.contract.control_characters import harmless
from foundry_tui.view.cells import apart

_CONSOLE = Console(quiet=True, color_system="truecolor", force_terminal=True, width=1000)


def _marked(text: str) -> str:
    """The text with marks in place of control characters, its pictures apart; newlines stay, and tabs, which are
    expanded later.
    """
    return apart(text if text.isprintable() else "\t".join(harmless(part, lines=True) for part in text.split("\t")))


class Text(RichText):
    """Rich's text, in which every control character has a visible mark: Rich leaves out five of them without a word."""

    def __init__(self, text: str = "", style: str | Style = "", **options: Any) -> None:
        super().__init__(_marked(text), style, **options)

    def append(self, text: RichText | str, style: str | Style | None = None) -> Self:
        super().append(_marked(text) if isinstance(text, str) else text, style)
        return self

    @classmethod
    def assemble(cls, *parts: str | RichText | tuple[str, str | Style], **options: Any) -> Self:
        return cast("Self", super().assemble(*parts, **options))


def strip_of(text: RichText, width: int, base: Style) -> Strip:
    """One line of exactly `width` cells, cut with an ellipsis if the text is longer."""
    if text.cell_len > width:
        text = text.copy()
        text.truncate(width, overflow="ellipsis")
    return Strip(segments_of(text)).apply_style(base).adjust_cell_length(width, base)


def segments_of(text: RichText) -> list[Segment]:
    """The segments of a text of one line; Rich forgets the text's own style when it has no spans."""
    if not text.spans:
        style = text.style if isinstance(text.style, Style) else Style.parse(text.style)
        return [Segment(text.plain, style)] if text.plain else []
    return [Segment(part.text, part.style) for part in text.render(_CONSOLE) if part.text and part.text != "\n"]


def wrapped(text: RichText, width: int) -> list[Text]:
    """The text on as many lines of `width` cells as it takes."""
    lines = text.wrap(_CONSOLE, max(1, width), overflow="fold", tab_size=4)
    return [Text.assemble(line) for line in lines]


def spread(left: Text, right: Text, width: int) -> Text:
    """Two texts at the two ends of a line; the left one is cut if they do not fit."""
    room = width - right.cell_len - 1
    if room < 8:
        return left
    head = Text.assemble(left)
    if head.cell_len > room:
        head.truncate(room, overflow="ellipsis")
    head.append(" " * (width - head.cell_len - right.cell_len))
    head.append_text(right)
    return head


def joined(parts: Iterable[RichText | str], separator: str, style: Style) -> Text:
    """Texts with a separator between those that are not empty."""
    text = Text()
    for part in parts:
        if not part:
            continue
        if text:
            text.append(separator, style)
        text.append_text(part) if isinstance(part, RichText) else text.append(part)
    return text
