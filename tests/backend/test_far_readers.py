"""A host is told of those who read its tasks elsewhere."""

from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from backend_stub.domain.hosts import Answered, Asked, Hosts
from backend_stub.server import far_readers
from backend_stub.server.far_readers import FarReaders
from backend_stub.server.handing_over import answering
from backend_stub.server.hub import Hub
from backend_stub.server.routes import make_app
from foundry_tui.contract.events import Topic, TopicKind
from tests.backend.in_process import InProcess, settings


class TwoHosts:
    """This one is `b`; the task `far` is on `a`."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Asked]] = []
        self.hold = anyio.Event()
        self.asked_of_far_thrice = anyio.Event()

    def count(self, task_id: str) -> int:
        """How often a host was asked about the task."""
        return [asked.target for _, asked in self.asked].count(f"/v1/tasks/{task_id}")

    async def host_of(self, key: str) -> str | None:
        return "b" if key == "near" else "a"

    def has(self, name: str | None) -> bool:
        return name == "b"

    def is_lost(self, name: str) -> bool:
        return False

    async def ask(self, host: str, asked: Asked) -> Answered | None:
        self.asked.append((host, asked))
        if self.count("far") == 3:
            self.asked_of_far_thrice.set()
        if asked.target.endswith("slow"):
            await self.hold.wait()
        return None


@pytest.mark.anyio
async def test_the_host_of_a_task_that_is_read_here_is_told() -> None:
    hosts: Any = TwoHosts()
    async with anyio.create_task_group() as tasks:
        readers = FarReaders(cast("Hosts", hosts), Hub("x"), tasks)
        readers.begin("far")
        readers.begin("near")
    assert hosts.asked == [("a", Asked("GET", "/v1/tasks/far"))]
    assert not readers.is_read("near")
    readers.read_elsewhere("near")
    assert readers.is_read("near") and not readers.is_read("far")


@pytest.mark.anyio
async def test_a_host_that_takes_long_keeps_nobody_from_being_told_and_is_not_told_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(far_readers, "AGAIN_SECONDS", 0.01)
    hosts: Any = TwoHosts()
    hub = Hub("x")
    topics = [Topic(TopicKind.TASK, name) for name in ("slow", "far")]
    monkeypatch.setattr(hub, "topics", lambda: topics)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(FarReaders(cast("Hosts", hosts), hub, tasks).run)
        with anyio.fail_after(10):
            await hosts.asked_of_far_thrice.wait()
        tasks.cancel_scope.cancel()
    assert hosts.count("slow") == 1


@pytest.mark.anyio
async def test_who_tells_that_a_task_is_read_there_is_answered_in_no_words(tmp_path: Path) -> None:
    with InProcess(tmp_path) as world:
        async with world.backend(world.provider(), settings()) as backend:
            task_id = await world.create(backend)
            answer = answering(make_app(backend))
            assert await answer(Asked("GET", f"/v1/tasks/{task_id}")) == Answered(204, {})
            assert backend.far_readers.is_read(task_id)
            assert (await answer(Asked("GET", "/v1/tasks/unknown"))).status == 404
