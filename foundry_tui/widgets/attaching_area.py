"""A text area to which files are attached: their paths are pasted, as a terminal does with what is dropped on it."""

import asyncio
from collections.abc import Sequence

from textual import events

from foundry_tui.process.attached_files import existing
from foundry_tui.view.pasted_paths import pasted_paths
from foundry_tui.widgets.chips import Chips
from foundry_tui.widgets.naming_area import NamingArea


class AttachingArea(NamingArea):
    """Has `chips` for the files, which its screen mounts. A pasted text that is no path of a file stays a text."""

    def __init__(self, text: str = "", *, id: str | None = None, placeholder: str = "") -> None:
        super().__init__(text, id=id, placeholder=placeholder)
        self.chips = Chips(self)

    @property
    def detachable(self) -> bool:
        """Whether `backspace` takes a file off: nothing stands before the cursor that it could delete."""
        return bool(self.chips.files) and self.selection.is_empty and self.cursor_location == (0, 0)

    def on_paste(self, event: events.Paste) -> None:
        if paths := pasted_paths(event.text):
            event.prevent_default()
            event.stop()
            self.run_worker(self._take(paths, event.text), group="attach", exit_on_error=False)

    async def _take(self, paths: Sequence[str], text: str) -> None:
        files = await asyncio.to_thread(existing, paths)
        if files:
            self.chips.add(files)
        else:
            self._typed = False
            done = self.replace(text, *self.selection)
            self.move_cursor(done.end_location)

    def action_remove_attachment(self) -> None:
        self.chips.remove_last()
