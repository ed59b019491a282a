"""The keys of the screen below, from the table of actions as it stands now."""

from textwrap import wrap

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from foundry_tui.actions.context import HELP, TASKS, Context
from foundry_tui.actions.model import Action
from foundry_tui.actions.table import bindings
from foundry_tui.contract.control_characters import harmless
from foundry_tui.screens.base import FoundryDialog
from foundry_tui.screens.scrolling import Box, ScrollActions, Scrolled
from foundry_tui.view.glyphs import Glyphs
from foundry_tui.view.keys import key_label
from foundry_tui.widgets.bars import ActionBar

StyledText = tuple[str, str]

KEYS_WIDTH = 14
"""Cells for the keys of an action."""


def legend(glyphs: Glyphs) -> list[tuple[str, str]]:
    """What the glyphs of the task list mean."""
    return [
        (glyphs.asks, "needs your answer"),
        (glyphs.queued, "queued"),
        (glyphs.spinner[0], "being prepared"),
        (glyphs.working[0], "the agent works"),
        (glyphs.ready, "ready"),
        (glyphs.failed, "failed"),
        (glyphs.releasing, "being released"),
        (glyphs.archived, "archived"),
        (glyphs.killed, "killed"),
        (glyphs.pending, "not yet answered by the backend"),
        (glyphs.refused, "refused by the backend"),
        (glyphs.unread, "unread"),
    ]


class HelpScreen(ScrollActions, FoundryDialog[None]):
    """Keys by group; what cannot be done now says why."""

    SCREEN_NAME = HELP
    BINDINGS = bindings(HELP)
    CSS_PATH = "help.tcss"

    def __init__(self, context: Context, usable: list[tuple[Action, tuple[str, ...]]]) -> None:
        """`context` and `usable` are those of the screen that help is wanted for."""
        super().__init__()
        self._below = context
        self._usable = usable

    def compose(self) -> ComposeResult:
        with Vertical(id="help-box"):
            yield Static("Keys of this screen", id="help-title")
            with VerticalScroll(id="keys", can_focus=False):
                yield Static(id="help-text")
            yield ActionBar()

    def on_resize(self) -> None:
        # Its new width is known only when the box has been laid out.
        self.call_after_refresh(self._show)

    def _show(self) -> None:
        keys = self.query_one("#keys", VerticalScroll)
        self.query_one("#help-text", Static).update(self.text(keys.scrollable_content_region.width - 1))

    def text(self, width: int) -> Content:
        """The whole page, its sentences wrapped beside the keys."""
        app = self.foundry
        groups: dict[str, list[tuple[Action, tuple[str, ...]]]] = {}
        for row in self._usable:
            groups.setdefault(row[0].group, []).append(row)
        parts: list[StyledText] = []
        for group, members in groups.items():
            parts.append((f"{group}\n", "bold $text-accent"))
            for action, keys in members:
                labels = [key_label(key, ascii_only=app.options.ascii) for key in keys]
                parts += _row("  ".join(labels), action.help, width)
                why = action.why_not(self._below)
                if why is not None:
                    parts += _row("", f"Not now: {why}.", width, "italic $text-faint")
            parts.append(("\n", ""))
        if self._below.screen == TASKS:
            parts.append(("Marks in the list\n", "bold $text-accent"))
            for glyph, meaning in legend(app.glyphs):
                parts += _row(glyph, meaning, width)
            parts.append(("\n", ""))
        parts.append(("All keys can be changed in the configuration: foundry config init\n", "$text-faint"))
        return Content.assemble(*((harmless(text, lines=True), style) for text, style in parts))

    @property
    def scrolled(self) -> Scrolled:
        return Box(self.query_one("#keys"))

    def action_close(self) -> None:
        self.dismiss()


def _row(keys: str, sentence: str, width: int, style: str = "$text-soft") -> list[StyledText]:
    lines = wrap(sentence, max(20, width - KEYS_WIDTH - 2)) or [""]
    rows: list[StyledText] = [(f"{keys:>{KEYS_WIDTH}}", "bold $footer-key-foreground"), (f"  {lines[0]}\n", style)]
    rows += [(f"{' ' * (KEYS_WIDTH + 2)}{line}\n", style) for line in lines[1:]]
    return rows
