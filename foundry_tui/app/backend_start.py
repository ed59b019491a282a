"""Starting our own backend from the app, and saying so until it is heard of."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from foundry_tui.app.host import Host

ANSWER_SECONDS = 5.0
"""How long a backend that was started is said to be starting while the list does not hear from it."""


class BackendStart:
    """Whether our backend is being started, and why it cannot be."""

    def __init__(self, host: Host, run: Callable[[], bool] | None, changed: Callable[[], None]) -> None:
        """`run` has our backend run, blocks until it does, and says whether it does; None where it is another's.

        `changed` is called when `starting` is another.
        """
        self._host = host
        self._run = run
        self._changed = changed
        self._live = asyncio.Event()
        self.starting = False
        """Whether it is being started, or found to run."""

    @property
    def why_not(self) -> str | None:
        """Why it cannot be started from here now, as a sentence without its full stop."""
        if self._run is None:
            return "this backend is not ours to start"
        if self.starting:
            return "it is being started"
        return "it has not gone away" if self._host.store.freshness().is_live else None

    def heard(self) -> None:
        """Something was heard of the backend."""
        self._live.set()

    async def start(self) -> None:
        """Have our own backend run; until it does, screens say that it is starting."""
        run = self._run
        if run is None or self.starting:
            return
        from anyio import to_thread

        self.note(starting=True)
        try:
            # Who leaves meanwhile does not wait for it.
            if await to_thread.run_sync(run, abandon_on_cancel=True):
                self._live.clear()
                self._host.commands.reconnect()
                if not self._host.store.freshness().is_live:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(ANSWER_SECONDS):
                            await self._live.wait()
        finally:
            self.note(starting=False)

    def note(self, *, starting: bool) -> None:
        """Have screens show whether it is being started."""
        self.starting = starting
        self._changed()
