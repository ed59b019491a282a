"""Who reads a task at another host than its own: that has to know, since it keeps true what only it can find out."""

from contextlib import suppress

import anyio
from anyio.abc import TaskGroup

from backend_stub.domain.errors import HostLostError, StorageUnavailableError
from backend_stub.domain.hosts import Asked, Hosts
from backend_stub.server.hub import Hub
from foundry_tui.contract.events import Topic, TopicKind

AGAIN_SECONDS = 30.0
"""How often a task's host is told that it is still read here."""


class FarReaders:
    """Tells other hosts of readers here, and keeps in mind what they tell of theirs."""

    def __init__(self, hosts: Hosts, hub: Hub, tasks: TaskGroup) -> None:
        self._hosts = hosts
        self._hub = hub
        self._tasks = tasks
        self._telling: set[str] = set()
        """The tasks whose hosts are being told, which may take long."""
        self._until: dict[str, float] = {}
        """Until when each task is taken to be read elsewhere, by a clock of this process."""

    def is_read(self, task_id: str) -> bool:
        """Whether a stream of the task is open, here or elsewhere."""
        read_elsewhere = self._until.get(task_id, 0.0) > anyio.current_time()
        return read_elsewhere or self._hub.is_watched(Topic(TopicKind.TASK, task_id))

    def read_elsewhere(self, task_id: str) -> None:
        """Another host tells that the task is read there."""
        now = anyio.current_time()
        self._until = {task_id: until for task_id, until in self._until.items() if until > now}
        self._until[task_id] = now + 2 * AGAIN_SECONDS

    def begin(self, task_id: str) -> None:
        """The task is read here from now on. Returns at once."""
        if task_id not in self._telling:
            self._telling.add(task_id)
            self._tasks.start_soon(self._tell, task_id)

    async def run(self) -> None:
        """Tell other hosts again and again, until cancelled."""
        while True:
            await anyio.sleep(AGAIN_SECONDS)
            for topic in self._hub.topics():
                if topic.kind is TopicKind.TASK:
                    self.begin(topic.id)

    async def _tell(self, task_id: str) -> None:
        # Where it fails, it is told again.
        with suppress(StorageUnavailableError, HostLostError):
            host = await self._hosts.host_of(task_id)
            if host is not None and not self._hosts.has(host) and not self._hosts.is_lost(host):
                await self._hosts.ask(host, Asked("GET", f"/v1/tasks/{task_id}"))
        self._telling.discard(task_id)
