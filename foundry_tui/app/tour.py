"""The demo's tour in the app: its line stands on the screen on top, and goes on with the keys that are pressed."""

from typing import TYPE_CHECKING

from foundry_tui.actions import table as actions
from foundry_tui.screens.base import FoundryScreen
from foundry_tui.view.keys import key_label
from foundry_tui.view.tour import LAST, Tour
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.tour_line import TourLine

if TYPE_CHECKING:
    from foundry_tui.app.host import Host


class TourGuide:
    """Leads through the tour until its end, or until it is left."""

    def __init__(self, host: "Host") -> None:
        self._host = host
        self._tour = Tour()
        self._going = True

    @property
    def takes_escape(self) -> bool:
        """Whether escape leaves the tour: not where it is the key to press."""
        return self._going and self._tour.stop is not None and self._tour.stop.action != "back"

    def done(self, action_id: str) -> None:
        """An action was done."""
        if self._going and self._tour.pressed(action_id) and self._tour.stop is None:
            self._host.app.notify(LAST, title="Tour", timeout=8)
            self.action_leave_tour()

    def place(self) -> None:
        """Put the line on the screen that is on top now, with what it says now."""
        screen, stop = self._host.app.screen, self._tour.stop
        if stop is None or not self._going or not isinstance(screen, FoundryScreen):
            return
        if not screen.is_mounted:
            # It was opened just now.
            screen.call_later(self.place)
            return
        lines = screen.query(TourLine)
        if lines:
            line = lines.first()
        else:
            bars = screen.query(ActionBar)
            if not bars:
                return
            line = TourLine()
            screen.mount(line, before=bars.first())
        leave = self._key("back") if self.takes_escape else ""
        line.show(*self._tour.words(self._key(stop.action)), leave)

    def action_leave_tour(self) -> None:
        """Take the line away from all screens."""
        self._going = False
        for screen in self._host.app.screen_stack:
            screen.query(TourLine).remove()

    def _key(self, action_id: str) -> str:
        keys = self._host.keys_of(actions.find(action_id))
        return key_label(keys[0], ascii_only=self._host.options.ascii) if keys else ""
