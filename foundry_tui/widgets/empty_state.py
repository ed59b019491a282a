"""What stands in place of a list that has nothing to show: why, and which keys lead on."""

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from foundry_tui.contract.control_characters import harmless

Hint = tuple[str, str]
"""A key as people write it, and what it does."""


class EmptyList(Static):
    """A few centred lines: a glyph, a headline, a sentence, and keys."""

    DEFAULT_CSS = """
    EmptyList {
        width: 1fr;
        height: 1fr;
        content-align: center middle;
        text-align: center;
        color: $text-soft;
        padding: 1 4;
    }
    """

    def show_empty_state(
        self, glyph: str, headline: str, sentence: str, hints: Sequence[Hint] = (), style: str = "$primary"
    ) -> None:
        """Show this; `style` is that of the glyph."""
        parts: list[tuple[str, str]] = [
            (f"{glyph}\n\n", f"bold {style}"),
            (f"{headline}\n", "bold $foreground"),
            (sentence, "$text-soft"),
        ]
        if hints:
            parts.append(("\n", ""))
        # The keys stand one below the other, and the whole of it in the middle.
        keys, words = (max((cell_len(each[place]) for each in hints), default=0) for place in (0, 1))
        for key, what in hints:
            before, behind = " " * (keys - cell_len(key)), "\u00a0" * (words - cell_len(what))
            parts += [("\n", ""), (before + key, "bold $footer-key-foreground"), (f"  {what}{behind}", "$text-soft")]
        self.update(Content.assemble(*((harmless(text, lines=True), look) for text, look in parts)))
