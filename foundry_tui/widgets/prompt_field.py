"""Where the prompt of a new task is written: as many lines as it takes, with files named after `@`."""

from typing import ClassVar

from textual.binding import Binding, BindingType

from foundry_tui.actions.context import PROMPT
from foundry_tui.actions.table import bindings
from foundry_tui.widgets.attaching_area import AttachingArea


class PromptField(AttachingArea):
    """A text area in which enter begins a new line, unless a choice is open to be taken."""

    FIELD = PROMPT
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(PROMPT),
        Binding("up", "cursor_up", show=False),
        Binding("down", "cursor_down", show=False),
        Binding("backspace", "delete_left", show=False),
    ]
