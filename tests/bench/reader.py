"""An app of one widget, in our colours, for measuring that alone."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from textual.app import ComposeResult
from textual.widget import Widget

from foundry_tui.app import themes
from foundry_tui.app.textual_compat import MendedApp


class Reader(MendedApp):
    """The widget that `make` makes, and nothing else."""

    def __init__(self, make: Callable[[], Widget], css_path: str | None = None) -> None:
        super().__init__()
        self.css_path = [Path(css_path)] if css_path else []
        self._make = make
        for theme in themes.OURS:
            self.register_theme(theme)
        self.theme = themes.DEFAULT

    def get_css_variables(self) -> dict[str, str]:
        variables = super().get_css_variables()
        return {**themes.extra_variables(self.current_theme, variables), **variables}

    def compose(self) -> ComposeResult:
        yield self._make()

    async def painted(self) -> None:
        """Wait until what has changed so far is on the screen."""
        done = asyncio.Event()
        self.screen.call_after_refresh(done.set)
        await done.wait()
