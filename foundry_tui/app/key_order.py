"""Keys in the order they were typed: each is handled where those before it have led, however fast they come.

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
"""What a widget tells about a key goes the key's way behind it: all is over when the way was gone once more."""


class KeyOrder:
    """Keeps back what is typed until all that comes of the keys before it is over."""

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
        """The place that takes keys, if all that comes of earlier ones is over."""
        self._written: Widget | None = None
        """The place that takes keys, if nothing is under way but text for it."""

    @property
    def typing(self) -> bool:
        """Whether something that was typed has not come to its end."""
        return bool(self._typed) or self._following

    async def take(self, event: events.Key | events.Paste) -> None:
        """Deliver what was typed now, or as soon as it is certain who takes it."""
        self._typed.append(event)
        self.typed_at = monotonic()
        if not self._following:
            await self._hand_over()

    async def _hand_over(self) -> None:
        """Hand over what was typed, as far as it is certain who takes it."""
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
        """Go the way of a key that this place takes: through the queues of messages from it up to the app's."""
        self._following = True
        self._while_open(self._step)(deque([*place.ancestors_with_self, self._app] * rounds), place)

    def _step(self, way: deque[MessagePump], place: Widget) -> None:
        """Stand behind all that is in the next queue; a widget that is being removed has none any more."""
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
    """Whether the place takes it as text, so that it leads nowhere else."""
    if isinstance(event, events.Key):
        return place.check_consume_key(event.key, event.character)
    return place.check_consume_key("a", "a")
