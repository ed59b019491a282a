"""Screens that are composed and drawn before they are shown: showing one then draws only what has changed since."""

from textual import events

from foundry_tui.screens.base import FoundryScreen, ResultT


class PrerenderedScreen(FoundryScreen[ResultT]):
    """A screen that can be composed, styled, laid out and drawn while another one is on top."""

    _is_prerendered = False

    async def prerender(self) -> None:
        """Compose, style, lay out and draw this screen without showing it."""
        await self.foundry.compose_unseen(self)
        self.show_actions()
        self._draw_unseen()
        # Widgets take their new sizes in messages, and some are then drawn otherwise.
        self.call_after_refresh(self._draw_unseen)

    def _draw_unseen(self) -> None:
        self.foundry.draw_unseen(self)
        self._is_prerendered = True

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        if self._is_prerendered and self.size == self.app.size:
            self._is_prerendered = False
            event.refresh_styles = False
            self.foundry.show_at_once(self)
