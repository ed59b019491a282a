"""What the server calls: the parts of a backend that works."""

import os
from dataclasses import dataclass

import anyio.to_thread

from backend_stub.domain.dispatch import Queue
from backend_stub.domain.hosts import Hosts
from backend_stub.domain.provider import Provider
from backend_stub.domain.storage import Storage
from backend_stub.known_agents import KnownAgents
from backend_stub.known_files import KnownFiles
from backend_stub.organization import Organization
from backend_stub.server.far_readers import FarReaders
from backend_stub.server.hub import Hub
from backend_stub.server.metrics import Metrics
from backend_stub.server.streams import Streams
from backend_stub.task.checkpoints import CheckpointQueries
from backend_stub.task.commands import Commands
from backend_stub.task.operation_commands import OperationCommands
from backend_stub.task.pull_requests import PullRequests
from backend_stub.task.work import WorkFinder
from foundry_tui.contract.memory import AgentMemory, MemoryReport
from foundry_tui.contract.records import Health
from foundry_tui.contract.versions import VERSION

APART = (
    "This system does not show which process is which agent: where no session is named, all agents of the task and "
    "their server are counted together, and what they share several times."
)
"""What is said of memory that is counted for all agents of a task together."""


@dataclass(frozen=True)
class Backend:
    """The parts that the server calls."""

    storage: Storage
    organization: Organization
    commands: Commands
    operations: OperationCommands
    agents: KnownAgents
    checkpoints: CheckpointQueries
    work: WorkFinder
    pull_requests: PullRequests
    files: KnownFiles
    streams: Streams
    hub: Hub
    hosts: Hosts
    far_readers: FarReaders
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

    def stopping(self) -> None:
        """The process is about to end: streams end now, and no new task is to come here."""
        self.hosts.drain()
        self.hub.close()

    def read_elsewhere(self, task_id: str) -> None:
        """The task is read at another host, and what only this one can find out of it is to be kept true."""
        self.work.look(task_id)
        self.far_readers.read_elsewhere(task_id)
        self.pull_requests.look(task_id)

    async def memory(self, task_id: str | None = None) -> MemoryReport:
        """What the agents that run take now, of one task or of all."""
        found: list[AgentMemory] = []
        for provider in self.providers.values():
            found += await provider.agents.memory(task_id)
        together = any(each.session_id is None for each in found)
        return MemoryReport(
            agents=tuple(sorted(found, key=lambda each: -each.bytes)), unknown=APART if together else None
        )

    def _states(self) -> dict[str, str]:
        """In a thread, since providers look at files: what each says of itself."""
        return {name: provider.state() for name, provider in self.providers.items()}
