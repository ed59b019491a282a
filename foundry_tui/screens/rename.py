"""The dialog that gives a task of the list another title."""

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, Static

from foundry_tui.actions.context import RENAME
from foundry_tui.actions.table import bindings
from foundry_tui.contract.records import TaskSummary
from foundry_tui.screens.base import FoundryDialog
from foundry_tui.view.labels import title_of
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.task_header import TitleInput


class RenameScreen(FoundryDialog[str]):
    """Answers with the title that was written, its spaces single; empty or None for none."""

    SCREEN_NAME = RENAME
    BINDINGS = bindings(RENAME)
    CSS_PATH = "rename.tcss"
    AUTO_FOCUS = "#title"

    def __init__(self, task: TaskSummary) -> None:
        super().__init__()
        self._about = task

    def compose(self) -> ComposeResult:
        with Vertical(id="rename-box"):
            yield Static("Rename", id="heading")
            yield TitleInput(title_of(self._about), id="title")
            yield ActionBar()

    @on(Input.Submitted)
    def _entered(self, message: Input.Submitted) -> None:
        self.dismiss(" ".join(message.value.split()))

    def action_keep_title(self) -> None:
        self.dismiss(None)
