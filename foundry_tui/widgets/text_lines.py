"""Rich texts as strips, for widgets that draw a few lines by themselves."""

from collections.abc import Iterable

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from foundry_tui.contract.control_characters import harmless

_CONSOLE = Console(quiet=True, color_system="truecolor", force_terminal=True, width=1000)


def visible(text: Text) -> Text:
    """The text with marks in place of control characters, each as wide as it is shown; itself if it has none.

    Newlines stay, and tabs where they are expanded later.
    """
    plain = text.plain
    if plain.isprintable():
        return text
    clean = "\t".join(harmless(part, lines=True) for part in plain.split("\t"))
    if clean != plain:
        text = text.copy()
        text.plain = clean
    return text


def strip_of(text: Text, width: int, base: Style) -> Strip:
    """One line of exactly `width` cells, cut with an ellipsis if the text is longer."""
    text = visible(text)
    if text.cell_len > width:
        text = text.copy()
        text.truncate(width, overflow="ellipsis")
    return Strip(segments_of(text)).apply_style(base).adjust_cell_length(width, base)


def segments_of(text: Text) -> list[Segment]:
    """The segments of a text of one line; Rich forgets the text's own style when it has no spans."""
    if not text.spans:
        style = text.style if isinstance(text.style, Style) else Style.parse(text.style)
        return [Segment(text.plain, style)] if text.plain else []
    return [Segment(part.text, part.style) for part in text.render(_CONSOLE) if part.text and part.text != "\n"]


def wrapped(text: Text, width: int) -> list[Text]:
    """The text on as many lines of `width` cells as it takes."""
    return list(visible(text).wrap(_CONSOLE, max(1, width), overflow="fold", tab_size=4))


def spread(left: Text, right: Text, width: int) -> Text:
    """Two texts at the two ends of a line; the left one is cut if they do not fit."""
    left, right = visible(left), visible(right)
    room = width - right.cell_len - 1
    if room < 8:
        return left
    head = left.copy()
    if head.cell_len > room:
        head.truncate(room, overflow="ellipsis")
    head.append(" " * (width - head.cell_len - right.cell_len))
    head.append_text(right)
    return head


def joined(parts: Iterable[Text | str], separator: str, style: Style) -> Text:
    """Texts with a separator between those that are not empty."""
    text = Text()
    for part in parts:
        if not part:
            continue
        if text:
            text.append(separator, style)
        text.append_text(part) if isinstance(part, Text) else text.append(part)
    return text
