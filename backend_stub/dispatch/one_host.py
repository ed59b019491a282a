"""The hosts where there is one: this machine."""

from collections.abc import Callable, Sequence

from backend_stub.domain.hosts import Answer, Answered, Asked, HostIdentity, Report
from foundry_tui.contract.hosts import Host, HostState


class OneHost:
    """See `backend_stub.domain.hosts.Hosts`. `now` tells the time in milliseconds since the epoch."""

    def __init__(self, me: HostIdentity, report: Report, now: Callable[[], int]) -> None:
        self.me = me
        self._report = report
        self._now = now
        self._state = HostState.UP

    async def all(self) -> Sequence[Host]:
        told = await self._report()
        return [
            Host(
                host_id=self.me.host_id,
                name=self.me.name,
                state=self._state,
                providers=told.providers,
                repositories=told.repositories,
                running=told.running,
                limit=told.limit,
                at=self._now(),
            )
        ]

    def drain(self) -> None:
        self._state = HostState.DRAINING

    def has(self, name: str | None) -> bool:
        """What tasks call their host by may be a former name of this machine."""
        return True

    def is_alone(self) -> bool:
        return True

    def is_lost(self, name: str) -> bool:
        return False

    async def host_of(self, key: str) -> str | None:
        return self.me.name

    async def mine(self, task_ids: Sequence[str]) -> Sequence[str]:
        return task_ids

    def roomiest(self, provider: str | None, path: str | None) -> str:
        return self.me.name

    async def ask(self, host: str, asked: Asked) -> Answered | None:
        """There is nobody to ask."""

    def answer_with(self, answer: Answer) -> None:
        """There is nobody who asks."""
