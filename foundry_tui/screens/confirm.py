"""A question before something is destroyed: it names what would be lost, and no is the easy answer."""

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Static

from foundry_tui.actions.context import CONFIRM
from foundry_tui.actions.table import bindings
from foundry_tui.screens.base import FoundryDialog


class ConfirmScreen(FoundryDialog[bool]):
    """Answers True for yes. The focus begins on no."""

    SCREEN_NAME = CONFIRM
    BINDINGS = bindings(CONFIRM)
    CSS_PATH = "confirm.tcss"
    AUTO_FOCUS = "#no"

    def __init__(self, question: str, losses: Sequence[str] = (), yes: str = "Yes", no: str = "Keep it") -> None:
        """`losses` are named one a line; `yes` and `no` are the words on the buttons."""
        super().__init__()
        self._question = question
        self._losses = tuple(losses)
        self._yes = yes
        self._no = no

    def compose(self) -> ComposeResult:
        mark = "-" if self.foundry.options.ascii else "•"
        with Vertical(id="question-box"):
            yield Static(self._question, id="question", markup=False)
            if len(self._losses) == 1:
                yield Static(self._losses[0], id="losses", markup=False)
            elif self._losses:
                with VerticalScroll(id="losses", can_focus=False):
                    for loss in self._losses:
                        yield Static(f"{mark} {loss}", markup=False)
            with Horizontal(id="answers"):
                yield Button(f"{self._no}  {self.key_of('decline')}", id="no", compact=True)
                yield Button(f"{self._yes}  {self.key_of('confirm')}", id="yes", variant="error", compact=True)

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
