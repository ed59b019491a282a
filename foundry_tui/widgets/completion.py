"""A field's choices in a list beside it, found by what is typed into it."""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from textual import events
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input

from foundry_tui.contract.control_characters import harmless
from foundry_tui.view.file_search import letters, score
from foundry_tui.widgets.choices import Choice, ChoiceList

MOST_COMPARED = 1_000
"""Choices with the letters that were typed which are compared with each other; further ones are left out."""


class Completion(ChoiceList):
    """Typing opens it, and so does down; tab takes the highlighted choice, to be written on, enter takes it and goes on
    to the next field, escape closes it.
    """

    def __init__(self, field: str, candidates: Callable[[str], Iterable[str]]) -> None:
        """`field` selects an `Input`; `candidates` are all its choices, for what stands before its cursor."""
        super().__init__(field, self._take)
        self._candidates = candidates
        self._taken: str | None = None
        self._chosen = False
        """Whether somebody went to the highlighted choice."""

    @property
    def _input(self) -> Input:
        field = self.field
        assert isinstance(field, Input)
        return field

    def on_mount(self) -> None:
        # The field stands in a box that is filled after this.
        self.call_after_refresh(self._attend)

    def _attend(self) -> None:
        if not self.is_attached:
            return
        self._input.message_signal.subscribe(self, self._hear)
        self.watch(self._input, "has_focus", self._focus_moved, init=False)

    def _focus_moved(self, has_focus: bool) -> None:
        if not has_focus:
            self.show(())

    def _hear(self, message: Message) -> None:
        """See what the field is told before it does."""
        if isinstance(message, events.Key):
            if self._does(message.key):
                message.prevent_default()
                message.stop()
        elif isinstance(message, Input.Changed) and self._input.has_focus:
            typed, taken, self._taken, self._chosen = self._typed, self._taken, None, False
            self._offer(typed if typed and self._input.value != taken else None)

    def _does(self, key: str) -> bool:
        """Whether this key did something here, so that the field does not."""
        if key == "down" and not self.display:
            self._offer(self._typed)
            self._chosen = True
            return self.display
        if not self.display:
            return False
        if key in ("down", "up"):
            self.move(1 if key == "down" else -1)
            self._chosen = True
        elif key in ("enter", "tab"):
            self._take()
            if key == "enter":
                self.screen.focus_next()
        elif key == "escape":
            self.show(())
        else:
            return False
        return True

    @property
    def _typed(self) -> str:
        return self._input.value[: self._input.cursor_position]

    def _offer(self, typed: str | None) -> None:
        """Show what is found by this; nothing if it is all that would be."""
        found = self._found(typed) if typed is not None else []
        self.show([] if [choice.text for choice in found] == [typed] else found)

    def _found(self, typed: str) -> list[Choice]:
        # A field cannot have control characters in it.
        texts = (text for text in self._candidates(typed) if harmless(text) == text)
        if not typed:
            return [Choice(name=text, text=text) for text in texts]
        having = islice(((text, places) for text in texts if (places := letters(text, typed))), MOST_COMPARED)
        best = sorted(having, key=lambda found: -score(found[0], typed))
        return [Choice(name=text, text=text, places=places) for text, places in best]

    def settle(self, is_wrong: Callable[[str], bool]) -> None:
        """What is written is sent: take the highlighted choice that somebody went to, or else would be refused."""
        if self.display and (self._chosen or is_wrong(self._input.id or "")):
            self._take()
        self.show(())

    def _take(self) -> None:
        choice = self.highlighted
        if choice is not None:
            field = self._input
            self._taken = choice.text
            field.value = choice.text
            field.cursor_position = len(choice.text)
            self.show(())


def settle_choices(dialog: Screen[Any], is_wrong: Callable[[str], bool]) -> None:
    """What is written in a dialog is sent: see `settle`; `is_wrong` tells whether a field would be refused."""
    for completion in dialog.query(Completion):
        completion.settle(is_wrong)
