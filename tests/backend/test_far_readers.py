"""A host is told of those who read its tasks elsewhere."""

from typing import Any, cast

import anyio
import pytest

from backend_stub.domain.hosts import Answered, Asked, Hosts
from backend_stub.server.far_readers import FarReaders
from backend_stub.server.hub import Hub


class TwoHosts:
    """This one is `b`; the task `far` is on `a`."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Asked]] = []

    async def host_of(self, key: str) -> str | None:
        return "a" if key == "far" else "b"

    def has(self, name: str | None) -> bool:
        return name == "b"

    def is_lost(self, name: str) -> bool:
        return False

    async def ask(self, host: str, asked: Asked) -> Answered | None:
        self.asked.append((host, asked))
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
