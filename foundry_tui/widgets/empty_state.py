"""What stands in place of a list that has nothing to show: why, and which keys lead on."""

from collections.abc import Sequence

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
        for key, what in hints:
            parts += [("\n", ""), (key, "bold $footer-key-foreground"), (f"  {what}", "$text-soft")]
        self.update(Content.assemble(*((harmless(text, lines=True), look) for text, look in parts)))
