"""Where a prompt is written: several lines, sent with enter, never emptied before it was taken."""

from textual import events
from textual.message import Message
from textual.widgets import TextArea

from foundry_tui.actions.context import COMPOSER
from foundry_tui.actions.table import bindings
from foundry_tui.contract.records import SessionStatus


class Composer(TextArea):
    """A text area that sends: its keys are those of the table of actions, else a text area's own."""

    FIELD = COMPOSER
    BINDINGS = bindings(COMPOSER)

    class Sent(Message):
        """A person wants this text delivered."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, soft_wrap=True, compact=True, show_line_numbers=False, tab_behavior="focus")
        self._earlier: tuple[str, ...] = ()
        self._recalled: int | None = None
        self._unsent = ""

    def remember(self, earlier: tuple[str, ...]) -> None:
        """The session's earlier prompts, oldest first, for ctrl+up."""
        self._earlier = earlier

    async def on_key(self, event: events.Key) -> None:
        # TextArea would take enter for itself before bindings are looked at.
        if event.key == "enter":
            event.prevent_default()

    def action_send(self) -> None:
        text = self.text.strip("\n")
        if text.strip():
            self._recalled = None
            self.post_message(self.Sent(text))

    def action_newline(self) -> None:
        self.insert("\n")

    def action_earlier_prompt(self) -> None:
        self._recall(-1)

    def action_later_prompt(self) -> None:
        self._recall(1)

    def _recall(self, direction: int) -> None:
        """Show an earlier prompt in place of what is written, which comes back after the last."""
        if not self._earlier:
            return
        place = len(self._earlier) if self._recalled is None else self._recalled
        if self._recalled is None:
            self._unsent = self.text
        place = min(max(0, place + direction), len(self._earlier))
        if place == len(self._earlier):
            self._recalled = None
            self.load_text(self._unsent)
        else:
            self._recalled = place
            self.load_text(self._earlier[place])
        self.move_cursor(self.document.end)


PLACEHOLDERS: dict[SessionStatus, str] = {
    SessionStatus.PENDING_PROVISION: "Say what to do: delivered when the session is ready",
    SessionStatus.PENDING_CREATE: "Say what to do: delivered when the session is ready",
    SessionStatus.READY: "Say what to do next",
    SessionStatus.RUNNING: "Add to it: delivered after the agent's turn",
    SessionStatus.ERROR: "It failed: what you write is kept, and goes on from here",
    SessionStatus.CLOSED: "This session is closed",
}
"""What the empty composer says, for each state of its session."""
