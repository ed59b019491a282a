"""Repositories on disks that do not answer: each waits for its own disk alone, and not for long."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from backend_stub import organization
from backend_stub.dispatch.one_host import OneHost
from backend_stub.domain.clock import Runtime
from backend_stub.domain.errors import StorageUnavailableError
from backend_stub.domain.hosts import HostIdentity, HostReport
from backend_stub.domain.settings import Settings
from backend_stub.known_agents import KnownAgents
from backend_stub.organization import Organization
from backend_stub.repository.clones import Clones
from backend_stub.repository.trust import Trust
from backend_stub.storage.sqlite import open_storage
from foundry_tui.contract.records import Repo, RepoTrust
from foundry_tui.contract.requests import AddRepo
from tests.git import make_repository

pytestmark = pytest.mark.anyio

NEW = RepoTrust(digest="0" * 64, trusted=False, files=(".foundry/setup",))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class DeadDisk(Trust):
    """Trust whose look at repositories that are called `dead` never ends before `woken`."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self.woken = threading.Event()
        self.asked: list[str] = []

    def of(self, repo: Repo) -> RepoTrust | None:
        self.asked.append(repo.label)
        if repo.label == "dead":
            self.woken.wait(30)
        return NEW


async def nothing() -> HostReport:
    return HostReport(providers=(), repositories=(), running=0, limit=1)


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[tuple[Organization, DeadDisk]]:
    storage, disk, runtime = open_storage(folder), DeadDisk(folder), Runtime()
    hosts = OneHost(HostIdentity("h", "here"), nothing, runtime.now)
    for label in ("dead", "living", "other"):
        path = str(make_repository(folder / label))
        await storage.put_repo(Repo(repo_id=f"repo-{label}", label=label, path=path))
    try:
        yield (
            Organization(
                storage, {}, Settings(), runtime, Clones(folder), disk, KnownAgents({}), hosts, lambda task_id: None
            ),
            disk,
        )
    finally:
        disk.woken.set()
        await storage.close()


async def test_a_dead_disk_keeps_no_other_repository_from_being_told_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(organization, "LIST_SECONDS", 0.3)
    async with world(tmp_path) as (repositories, disk):
        for _ in range(2):
            told = {repo.label: repo.trust for repo in await repositories.repos()}
            assert told == {"dead": None, "living": NEW, "other": NEW}
        assert disk.asked.count("dead") == 1, "each list would else cost a thread more"


async def test_what_asks_a_dead_disk_alone_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(organization, "DISK_SECONDS", 0.1)
    async with world(tmp_path) as (repositories, _):
        with anyio.fail_after(20), pytest.raises(StorageUnavailableError, match="dead does not answer"):
            await repositories.add_repo(AddRepo(path=str(tmp_path / "dead")))
