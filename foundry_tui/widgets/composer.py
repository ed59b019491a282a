"""Where a prompt is written: several lines, sent with enter, never emptied before it was taken."""

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from foundry_tui.actions.context import COMPOSER
from foundry_tui.actions.table import bindings
from foundry_tui.contract.records import Prompt, PromptState, SessionStatus
from foundry_tui.view.prompt_queue import waiting
from foundry_tui.widgets.attaching_area import AttachingArea


class Composer(AttachingArea):
    """A text area that sends: its keys are those of the table of actions, else a text area's own."""

    FIELD = COMPOSER
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(COMPOSER),
        Binding("up", "cursor_up", show=False),
        Binding("down", "cursor_down", show=False),
        Binding("backspace", "delete_left", show=False),
    ]

    class Sent(Message):
        """A person wants this text delivered; `steer`: into the turn that runs."""

        def __init__(self, text: str, *, steer: bool = False) -> None:
            super().__init__()
            self.text = text
            self.steer = steer

    class Saved(Message):
        """A person wants this prompt, which waits, to have this text."""

        def __init__(self, prompt: Prompt, text: str) -> None:
            super().__init__()
            self.prompt = prompt
            self.text = text

    class Overtaken(Message):
        """The prompt that was being changed waits no longer; `kept`: its changed text stands there as a new one's."""

        def __init__(self, prompt: Prompt, *, kept: bool) -> None:
            super().__init__()
            self.prompt = prompt
            self.kept = kept

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._earlier: tuple[Prompt, ...] = ()
        self._recalled: Prompt | None = None
        self._unsent = ""

    @property
    def changing(self) -> Prompt | None:
        """The waiting prompt that is shown to be changed, as it was when it was recalled."""
        recalled = self._recalled
        return recalled if recalled is not None and recalled.state is PromptState.QUEUED else None

    @property
    def unsent(self) -> str:
        """What somebody has written and not sent, which is not what was only recalled."""
        return self._unsent if self._recalled is not None and self._untouched else self.text

    @property
    def _sendable(self) -> str:
        """What is written, as it is sent: a choice that was taken leaves a space behind it."""
        return self.text.lstrip("\n").rstrip()

    @property
    def recallable(self) -> bool:
        """Whether `up` shows an earlier prompt: nothing is written, or the cursor is at the top of a recalled one."""
        if self._recalled is None:
            return not self.text and bool(self._earlier)
        return self._untouched and self.navigator.is_first_wrapped_line(self.cursor_location)

    @property
    def _untouched(self) -> bool:
        """Whether the recalled prompt is shown as it was."""
        return self._recalled is not None and self.text == self._recalled.text

    def start(self, text: str) -> None:
        """Show the unsent text of another session."""
        self._recalled = None
        if text != self.text:
            self._write(text)

    def sent(self, text: str) -> None:
        """What was written, and attached, is with the backend; what was written since stays."""
        self.chips.show(())
        if self._sendable == text:
            self.load_text("")

    def remember(self, prompts: Sequence[Prompt]) -> None:
        """The session's prompts, oldest first, to be recalled: those that wait to be changed, the others as copies."""
        queue = waiting(prompts)
        self._earlier = (*(prompt for prompt in prompts if prompt.state is not PromptState.QUEUED), *queue)
        changing = self.changing
        if changing is not None and all(prompt.prompt_id != changing.prompt_id for prompt in queue):
            kept = not self._untouched
            self.stop_changing(keep=kept)
            self.post_message(self.Overtaken(changing, kept=kept))

    def stop_changing(self, *, keep: bool) -> None:
        """What was written before is shown again; with `keep`, behind what is shown now, as one text to be sent."""
        self._recalled = None
        if not keep:
            self._write(self._unsent)
        elif self._unsent.strip():
            self._write(f"{self.text}\n\n{self._unsent}")

    async def on_key(self, event: events.Key) -> None:
        # Enter never begins a new line here.
        if event.key == "enter":
            event.prevent_default()

    def action_send(self) -> None:
        self._send(steer=False)

    def action_send_at_once(self) -> None:
        self._send(steer=False)

    def action_steer(self) -> None:
        self._send(steer=True)

    def _send(self, *, steer: bool) -> None:
        text, changing = self._sendable, self.changing
        if not text.strip():
            if self.chips.files:
                self.notify("Say what to do with it: there is no prompt without a text.")
            return
        if changing is None:
            self._recalled = None
            self.post_message(self.Sent(text, steer=steer))
        else:
            self.stop_changing(keep=False)
            self.post_message(self.Saved(changing, text))

    def action_newline(self) -> None:
        self.insert("\n")

    def action_recall(self) -> None:
        self._recall(-1)

    def action_cursor_down(self, select: bool = False) -> None:
        if self._untouched and not select and self.cursor_at_last_line:
            self._recall(1)
        else:
            super().action_cursor_down(select)

    def action_earlier_prompt(self) -> None:
        self._recall(-1)

    def action_later_prompt(self) -> None:
        self._recall(1)

    def _recall(self, direction: int) -> None:
        """Show an earlier prompt in place of what is written, which comes back after the last.

        A recalled one that was changed stays until it is sent, saved or put back.
        """
        if not self._earlier or (self._recalled is not None and not self._untouched):
            return
        ids = [prompt.prompt_id for prompt in self._earlier]
        recalled = self._recalled
        place = ids.index(recalled.prompt_id) if recalled is not None and recalled.prompt_id in ids else len(ids)
        if recalled is None:
            self._unsent = self.text
        place = min(max(0, place + direction), len(ids))
        self._recalled = self._earlier[place] if place < len(ids) else None
        self._write(self._unsent if self._recalled is None else self._recalled.text)

    def _write(self, text: str) -> None:
        self.load_text(text)
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
