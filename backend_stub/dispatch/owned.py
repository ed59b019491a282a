"""A dispatcher where several hosts share the tasks: each runs what is its own."""

import math
from collections.abc import Awaitable, Callable

from backend_stub.domain.dispatch import Dispatcher, Queue, Run


class OwnedDispatcher:
    """See `backend_stub.domain.dispatch.Dispatcher`. Before each run `is_mine` looks into the database whether the key
    is this host's: whatever woke it, work of another host's task never begins here.
    """

    def __init__(self, dispatcher: Dispatcher, is_mine: Callable[[str], Awaitable[bool]]) -> None:
        self._dispatcher = dispatcher
        self._is_mine = is_mine

    def queue(self, name: str, run: Run, limit: float = math.inf, patience: float = math.inf) -> Queue:
        async def run_if_mine(key: str) -> int | None:
            return await run(key) if await self._is_mine(key) else None

        return self._dispatcher.queue(name, run_if_mine, limit, patience)

    async def serve(self) -> None:
        await self._dispatcher.serve()
