"""The home screen: every task, one line each."""

from textual.app import ComposeResult
from textual.widgets import Static

from foundry_tui.actions import bindings
from foundry_tui.context import TASKS
from foundry_tui.screens.base import FoundryScreen


class TasksScreen(FoundryScreen[None]):
    """The task list with its filter, peek and footer."""

    SCREEN_NAME = TASKS
    BINDINGS = bindings(TASKS)

    def compose(self) -> ComposeResult:
        yield Static("Tasks")
