"""An app whose screens close before it does: what comes to it by itself in between finds none, and is let go."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from textual.timer import Timer

from foundry_tui.app.textual_compat import UnusedKeys


class ClosingApp(UnusedKeys):
    """Its timers, and all that is wrapped in `while_open`, do nothing once its screens are gone."""

    def while_open(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        """`callback` as long as there is a screen, and nothing (None) afterwards."""

        @wraps(callback)
        def call(*arguments: Any) -> Any:
            return callback(*arguments) if self.screen_stack else None

        return call

    def set_timer(
        self, delay: float, callback: Callable[..., Any] | None = None, *, name: str | None = None, pause: bool = False
    ) -> Timer:
        return super().set_timer(delay, callback and self.while_open(callback), name=name, pause=pause)

    def set_interval(
        self,
        interval: float,
        callback: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        repeat: int = 0,
        pause: bool = False,
    ) -> Timer:
        gated = callback and self.while_open(callback)
        return super().set_interval(interval, gated, name=name, repeat=repeat, pause=pause)
