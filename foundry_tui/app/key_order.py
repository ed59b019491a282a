"""Keys are handled one after the other: the next one goes to whatever has the focus once the one before is done.

Textual gives a key to the widget that has the focus when the key arrives. Of several that arrive at once all would go
there, and those behind one that moves the focus, or opens a dialog, would be lost, or be commands instead of text.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

from textual import events
from textual.app import App
from textual.message_pump import MessagePump
from textual.widget import Widget

ROUNDS = 2
"""How often all queues are waited for after a key: messages that the key caused take the second round."""


class KeyOrder:
    """Holds a typed key back until every message that earlier keys caused has been handled."""

    def __init__(
        self,
        app: App[Any],
        deliver: Callable[[events.Event], Awaitable[None]],
        while_open: Callable[[Callable[..., Any]], Callable[..., Any]],
    ) -> None:
        """`deliver` gives an event to who takes keys now; `while_open` makes a function do nothing without a screen."""
        self._app = app
        self._deliver = deliver
        self._while_open = while_open
        self._typed: deque[events.Key | events.Paste] = deque()
        self.typed_at = 0.0
        """When something was typed last, by the monotonic clock, in seconds."""
        self._following = False
        self._settled: Widget | None = None
        """The widget or screen that takes keys, once everything that earlier keys caused is handled; else None."""
        self._written: Widget | None = None
        """The widget that takes keys, while only text for it is being handled; else None."""

    @property
    def typing(self) -> bool:
        """Whether a typed key, or a message that it caused, is not handled yet."""
        return bool(self._typed) or self._following

    async def take(self, event: events.Key | events.Paste) -> None:
        """Deliver what was typed, now or once earlier keys are handled."""
        self._typed.append(event)
        self.typed_at = monotonic()
        if not self._following:
            await self._hand_over()

    async def _hand_over(self) -> None:
        """Deliver the waiting keys until one of them has to be waited for."""
        self._following = False
        while self._typed and self._app.screen_stack:
            place = self._app.focused or self._app.screen
            text = _is_text(self._typed[0], place)
            if place is not (self._written if text else self._settled):
                self._follow(place, ROUNDS)
                return
            self._settled = None
            await self._deliver(self._typed.popleft())
            if not text:
                self._written = None
                self._follow(place, ROUNDS)
                return

    def _follow(self, place: Widget, rounds: int) -> None:
        """Wait until the message queues of this widget, its ancestors and the app are handled, so many times over."""
        self._following = True
        self._while_open(self._step)(deque([*place.ancestors_with_self, self._app] * rounds), place)

    def _step(self, way: deque[MessagePump], place: Widget) -> None:
        """Wait for the next queue of `way`. A widget that is being removed takes no callback, and is left out."""
        while way:
            if way.popleft().call_later(self._while_open(self._step), way, place):
                return
        now = self._app.focused or self._app.screen
        if now is not place:
            self._follow(now, 1)
            return
        self._settled = self._written = place
        self._app.call_later(self._hand_over)


def _is_text(event: events.Key | events.Paste, place: Widget) -> bool:
    """Whether this widget takes the key as text, so that the focus stays where it is."""
    if isinstance(event, events.Key):
        return place.check_consume_key(event.key, event.character)
    return place.check_consume_key("a", "a")
