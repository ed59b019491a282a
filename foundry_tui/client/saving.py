"""Writes what the outbox holds into its file, soon after it changed; what is to be sent waits for that."""

from collections.abc import Callable

import anyio

from foundry_tui.client.outbox import Outbox

MOMENT = 0.25
"""Seconds of typing that are saved together: as much as a crash can lose."""


class Saver:
    """Saves an outbox on a thread. `failed` is told each time that the file cannot be written."""

    def __init__(self, outbox: Outbox, failed: Callable[[OSError], None]) -> None:
        self._outbox = outbox
        self._failed = failed
        self._unsaved, self._pressing, self._round = anyio.Event(), anyio.Event(), anyio.Event()
        self._owed = self._tried = 0
        """Changes that cannot wait, and how many of them were written, or could not be."""
        outbox.on_change = self._changed

    def _changed(self, can_wait: bool) -> None:
        self._unsaved.set()
        if not can_wait:
            self._owed += 1
            self._pressing.set()

    async def run(self) -> None:
        """Save until cancelled."""
        while True:
            await self._unsaved.wait()
            with anyio.move_on_after(MOMENT):
                await self._pressing.wait()
            self._unsaved, self._pressing = anyio.Event(), anyio.Event()
            owed, delta, written = self._owed, self._outbox.take(), False
            try:
                await anyio.to_thread.run_sync(self._outbox.write, delta)
                written = True
            except OSError as error:
                self._failed(error)
            finally:
                # Also when cancelled: a thread that was not begun has written nothing.
                if not written:
                    self._outbox.give_back(delta)
            self._tried = owed
            done, self._round = self._round, anyio.Event()
            done.set()

    async def saved(self) -> None:
        """Wait until all that was asked for so far is in the file, or could not be written into it."""
        owed = self._owed
        while self._tried < owed:
            await self._round.wait()

    def save_now(self) -> None:
        """Write what is unsaved, blocking: the app is leaving, and a moment is better than a lost draft."""
        try:
            self._outbox.write(self._outbox.take())
        except OSError as error:
            self._failed(error)
