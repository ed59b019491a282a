"""The keys of the screen below, from the table of actions as it stands now."""

import re
from pathlib import PurePath
from textwrap import wrap
from typing import ClassVar

from msgspec.structs import replace
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
from foundry_tui.widgets.search_row import SearchRow

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
    """Keys by group, or those that do what is searched for; what cannot be done now says why."""

    SCREEN_NAME = HELP
    BINDINGS = bindings(HELP)
    CSS_PATH: ClassVar[list[str | PurePath]] = ["help.tcss", "../widgets/search_row.tcss"]

    def __init__(self, context: Context, usable: list[tuple[Action, tuple[str, ...]]]) -> None:
        """`context` and `usable` are those of the screen that help is wanted for."""
        super().__init__()
        self._below = context
        self._usable = usable
        self._words: tuple[str, ...] = ()
        """What is searched for."""

    def compose(self) -> ComposeResult:
        with Vertical(id="help-box"):
            yield Static("Keys of this screen", id="help-title")
            with VerticalScroll(id="keys", can_focus=False):
                yield Static(id="help-text")
            self._search = SearchRow(self._search_for, "what a key does")
            self._search.display = False
            yield self._search
            yield ActionBar()

    def on_resize(self) -> None:
        # Its new width is known only when the box has been laid out.
        self.call_after_refresh(self._show)

    def _show(self) -> None:
        keys = self.query_one("#keys", VerticalScroll)
        self.query_one("#help-text", Static).update(self.text(keys.scrollable_content_region.width - 1))

    def text(self, width: int) -> Content:
        """The whole page, or what is searched for, its sentences wrapped beside the keys."""
        app = self.foundry
        groups: dict[str, list[StyledText]] = {}
        for action, keys in self._usable:
            labels = "  ".join(key_label(key, ascii_only=app.options.ascii) for key in keys)
            if self._is_wanted(action.group, action.label, action.help, labels):
                rows = groups.setdefault(action.group, [])
                rows += _row(labels, action.help, width)
                if (why := action.why_not(self._below)) is not None:
                    rows += _row("", f"Not now: {why}.", width, "italic $text-faint")
        if self._below.screen == TASKS:
            name = "Marks in the list"
            marks = [mark for mark in legend(app.glyphs) if self._is_wanted(name, *mark)]
            groups |= {name: [part for mark in marks for part in _row(*mark, width)]} if marks else {}
        parts: list[StyledText] = []
        for group, rows in groups.items():
            parts += [(f"{group}\n", "bold $text-accent"), *rows, ("\n", "")]
        if not groups:
            parts.append(("No key of this screen does that.\n\n", "$text-warning"))
        page = _content(parts)
        if self._words and groups:
            words = re.compile("|".join(map(re.escape, self._words)), re.IGNORECASE)
            page = page.highlight_regex(words, style="underline $text-warning")
        return page + _content([("All keys can be changed in the configuration: foundry config init\n", "$text-faint")])

    def _is_wanted(self, *texts: str) -> bool:
        """Whether each word that is searched for is in one of these."""
        return all(any(word in text.lower() for text in texts) for word in self._words)

    def _search_for(self, text: str) -> None:
        self._words = tuple(text.lower().split())
        self._show()
        self.query_one("#keys").scroll_to(y=0, animate=False, immediate=True)

    def context(self) -> Context:
        return replace(super().context(), searching=self._search.display)

    def action_search_keys(self) -> None:
        self._search.begin()

    def action_keep_search(self) -> None:
        self.set_focus(None)
        if not self._words:
            self._end_search()

    def _end_search(self) -> None:
        self.set_focus(None)
        self._search.display = False
        self._search.input.value = ""
        self.show_actions()

    @property
    def scrolled(self) -> Scrolled:
        return Box(self.query_one("#keys"))

    def action_close(self) -> None:
        self.dismiss()

    def action_leave_search(self) -> None:
        self._end_search()


def _content(parts: list[StyledText]) -> Content:
    return Content.assemble(*((harmless(text, lines=True), style) for text, style in parts))


def _row(keys: str, sentence: str, width: int, style: str = "$text-soft") -> list[StyledText]:
    lines = wrap(sentence, max(20, width - KEYS_WIDTH - 2)) or [""]
    rows: list[StyledText] = [(f"{keys:>{KEYS_WIDTH}}", "bold $footer-key-foreground"), (f"  {lines[0]}\n", style)]
    rows += [(f"{' ' * (KEYS_WIDTH + 2)}{line}\n", style) for line in lines[1:]]
    return rows
