"""What has arrived of an agent and was not taken yet, and waking whoever waits for that or for another change."""

from collections import deque
from collections.abc import Sequence

import anyio

from backend_stub.agents.sandbox_agent.messages import Arrival


class Inbox:
    """True while there is something in it."""

    def __init__(self) -> None:
        self._arrivals: deque[Arrival] = deque()
        self._wake = anyio.Event()

    def __bool__(self) -> bool:
        return bool(self._arrivals)

    def put(self, arrival: Arrival) -> None:
        """It has arrived."""
        self._arrivals.append(arrival)
        self.notify()

    def put_back(self, arrivals: Sequence[Arrival]) -> None:
        """These were taken first, and are to be taken again."""
        self._arrivals.extendleft(reversed(arrivals))

    def take_all(self) -> list[Arrival]:
        """All that has arrived."""
        given = list(self._arrivals)
        self._arrivals.clear()
        return given

    async def woken(self) -> None:
        """Wait until something has changed; what that is the caller has to look for."""
        await self._wake.wait()

    def notify(self) -> None:
        """Wake those that wait for a change."""
        self._wake.set()
        self._wake = anyio.Event()
