"""The backend in this process, over doubles of its provider and its clock; `let` of a provider frees what it holds."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import anyio

from backend_stub.agents.demo import DemoAgents
from backend_stub.demo.journal import FileJournal
from backend_stub.demo.script import ScriptFile
from backend_stub.demo.world import World as DemoWorld
from backend_stub.domain.clock import Runtime, wall_clock
from backend_stub.domain.errors import SettingError
from backend_stub.domain.hosts import HostIdentity
from backend_stub.domain.provider import Provider
from backend_stub.domain.settings import DEFAULT_TIMEOUT_MS, Settings
from backend_stub.domain.storage import Change
from backend_stub.offered_options import OfferedOptions
from backend_stub.providers.demo import DemoProvider
from backend_stub.repository.clones import Clones
from backend_stub.repository.trust import Trust
from backend_stub.server.backend import Backend
from backend_stub.storage.sqlite import open_storage
from backend_stub.wiring import run_backend
from foundry_tui.contract.events import Topic, TopicKind
from foundry_tui.contract.records import HistoryEvent, TaskDetail
from foundry_tui.contract.requests import CreateTask
from foundry_tui.contract.status import TaskStatus
from tests.world import World


@dataclass
class Clock:
    """The time of day, with a step that a test may make."""

    step: int = 0

    def now(self) -> int:
        return wall_clock() + self.step


class InProcess(World):
    """A world whose backend runs in the test's own event loop."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.clock = Clock()
        self.jitter: Callable[[], float] = lambda: 1.0

    @property
    def source(self) -> Runtime:
        """Where the backend has the time of day from."""
        return Runtime(now=self.clock.now, jitter=self.jitter)

    def provider(self, kind: type[DemoProvider] = DemoProvider) -> DemoProvider:
        folder, script = self.data / "demo", ScriptFile(self.script_path, wrong)
        world = DemoWorld(FileJournal(folder / "world.jsonl"), script, self.source)
        return kind(folder, world, script, self.source, DemoAgents(world, script))

    @asynccontextmanager
    async def backend(self, provider: Provider, settings: Settings) -> AsyncIterator[Backend]:
        storage = open_storage(self.data, self.clock.now)
        self._committed = anyio.Event()
        commit = storage.commit

        async def tell(change: Change) -> Sequence[HistoryEvent]:
            history = await commit(change)
            self._committed.set()
            self._committed = anyio.Event()
            return history

        try:
            with patch.object(storage, "commit", tell), anyio.fail_after(20):
                clones = Clones(self.data)
                trust = Trust(self.data)
                providers = {provider.name: provider}
                async with run_backend(
                    storage,
                    HostIdentity("host-1", "here"),
                    providers,
                    settings,
                    self.source,
                    clones,
                    trust,
                    OfferedOptions(),
                ) as backend:
                    try:
                        yield backend
                    finally:
                        let = getattr(provider, "let", None)
                        if isinstance(let, anyio.Event):
                            let.set()
        finally:
            await storage.close()

    async def until(self, is_so: Callable[[], Awaitable[bool]]) -> None:
        """Wait until it is so; looked at again after each commit, for what no stream tells of."""
        while True:
            committed = self._committed
            if await is_so():
                return
            await committed.wait()

    async def create(self, backend: Backend) -> str:
        request = CreateTask(repo=str(self.repository), prompt="fix the login")
        return (await backend.organization.create_task(request)).task.task_id


def wrong(error: SettingError) -> None:
    raise error


def settings(timeout_ms: int = 60_000, attempts: int = 2, backoff_ms: int = 10) -> Settings:
    timeouts = {**DEFAULT_TIMEOUT_MS, "create_sandbox": timeout_ms}
    return Settings(timeout_ms=timeouts, attempts=attempts, backoff_ms=backoff_ms)


async def until(backend: Backend, task_id: str, accept: Callable[[TaskDetail], bool]) -> TaskDetail:
    """The task once it is as wanted; told by its stream."""
    async for _ in backend.streams.stream(Topic(TopicKind.TASK, task_id), None):
        task = await backend.commands.task(task_id)
        if accept(task):
            return task
    raise AssertionError("the stream ended first")


def has_status(status: TaskStatus) -> Callable[[TaskDetail], bool]:
    return lambda task: task.status is status
