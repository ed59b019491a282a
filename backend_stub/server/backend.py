"""What the server calls: the parts of a backend that works."""

import os
from dataclasses import dataclass

import anyio.to_thread

from backend_stub.domain.dispatch import Queue
from backend_stub.domain.provider import Provider
from backend_stub.domain.storage import Storage
from backend_stub.known_agents import KnownAgents
from backend_stub.organization import Organization
from backend_stub.server.hub import Hub
from backend_stub.server.metrics import Metrics
from backend_stub.server.streams import Streams
from backend_stub.task.commands import Commands
from backend_stub.task.work import WorkFinder
from foundry_tui.contract.records import Health
from foundry_tui.contract.versions import VERSION


@dataclass(frozen=True)
class Backend:
    """The parts that the server calls."""

    storage: Storage
    organization: Organization
    commands: Commands
    agents: KnownAgents
    work: WorkFinder
    streams: Streams
    hub: Hub
    metrics: Metrics
    provisioning: Queue
    providers: dict[str, Provider]
    started_at: int

    async def health(self) -> Health:
        fault = await self.storage.fault()
        return Health(
            status="ok" if fault is None else fault.state,
            reason=None if fault is None else f"{fault.reason}.",
            version=VERSION,
            pid=os.getpid(),
            started_at=self.started_at,
            providers=await anyio.to_thread.run_sync(self._states),
        )

    def _states(self) -> dict[str, str]:
        """In a thread, since providers look at files: what each says of itself."""
        return {name: provider.state() for name, provider in self.providers.items()}
