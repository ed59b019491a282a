"""A question before something is destroyed: it names what would be lost, and no is the easy answer.

What it names scrolls where it does not fit, and a line says how much is not seen.
"""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Static
from textual.widgets.button import ButtonVariant

from foundry_tui.actions.context import CONFIRM
from foundry_tui.actions.table import bindings
from foundry_tui.contract.control_characters import harmless
from foundry_tui.screens.base import FoundryDialog
from foundry_tui.screens.scrolling import Box, ScrollActions, Scrolled


class ConfirmScreen(ScrollActions, FoundryDialog[bool]):
    """Answers True for yes. The focus begins on no."""

    SCREEN_NAME = CONFIRM
    BINDINGS = bindings(CONFIRM)
    CSS_PATH = "confirm.tcss"
    AUTO_FOCUS = "#no"
    NOTE = ""
    """What stands above the answers."""
    YES: ClassVar[ButtonVariant] = "error"
    """How the button looks that does it."""

    def __init__(self, question: str, losses: Sequence[str] = (), yes: str = "Yes", no: str = "Keep it") -> None:
        """`losses` are named one a line; `yes` and `no` are the words on the buttons."""
        super().__init__()
        self._question = question
        self._losses = tuple(losses)
        self._yes = yes
        self._no = no

    def compose(self) -> ComposeResult:
        with Vertical(id="question-box"):
            yield Static(harmless(self._question), id="question", markup=False)
            with VerticalScroll(id="told", can_focus=False):
                yield from self.statements()
            yield Static(id="rest", markup=False)
            if self.NOTE:
                yield Static(self.NOTE, id="note", markup=False)
            with Horizontal(id="answers"):
                yield Button(f"{self._no}  {self.key_of('decline')}", id="no", compact=True)
                yield Button(f"{self._yes}  {self.key_of('confirm')}", id="yes", variant=self.YES, compact=True)

    def statements(self) -> Iterable[Static]:
        """What is to be read before it is answered."""
        mark = "" if len(self._losses) == 1 else "- " if self.foundry.options.ascii else "• "
        for loss in self._losses:
            yield Static(f"{mark}{harmless(loss, lines=True)}", markup=False)

    def on_mount(self) -> None:
        self.watch(self.query_one("#told"), "scroll_y", self._tell_rest, init=False)

    def on_resize(self) -> None:
        # How much fits is known only when the box has been laid out.
        self.call_after_refresh(self._tell_rest)

    def _tell_rest(self) -> None:
        """Say how much stands below what is seen."""
        told, rest = self.query_one("#told"), self.query_one("#rest", Static)
        below = told.max_scroll_y - told.scroll_target_y
        key = self.key_of("screen_down" if below > 0 else "screen_up")
        lines = f"{below:.0f} more line{'s' * (below > 1)}: {key}"
        rest.update(lines if below > 0 else f"That is all of it; {key} goes back")
        rest.set_class(below > 0, "more")
        rest.display = told.max_scroll_y > 0

    @property
    def scrolled(self) -> Scrolled:
        return Box(self.query_one("#told"))

    def action_confirm(self) -> None:
        self.dismiss(True)

    def action_decline(self) -> None:
        self.dismiss(False)

    @on(Button.Pressed, "#yes")
    def _pressed_yes(self) -> None:
        self.action_confirm()

    @on(Button.Pressed, "#no")
    def _pressed_no(self) -> None:
        self.action_decline()

    def action_other_answer(self) -> None:
        self.focus_next()
