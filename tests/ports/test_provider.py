"""What every provider of sandboxes does, as `backend_stub.domain.provider` says."""

import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import msgspec
import pytest

from backend_stub.domain.call import Call
from backend_stub.domain.provider import Provider, Release
from foundry_tui.contract.records import TaskDetail
from tests.backend.in_process import InProcess
from tests.git import git
from tests.local.world import LocalWorld

pytestmark = pytest.mark.anyio

SCRIPT = {"default": {"create_sandbox": {"log": ["making it"]}}}


class Side:
    """Providers of one kind, and the calls that they are given."""

    name: str

    def __init__(self, folder: Path) -> None:
        self.world = LocalWorld(folder)
        self.world.set_script(SCRIPT)

    def provider(self) -> AbstractAsyncContextManager[Provider]:
        """One that runs; the next one on the same folder is what a restart makes."""
        raise NotImplementedError

    def task(self, branch: str = "fix/it") -> TaskDetail:
        return self.world.task(branch)

    def call(self, task: TaskDetail) -> Call:
        return self.world.call(task)

    async def made(self, provider: Provider, task: TaskDetail) -> TaskDetail:
        """The task with its sandbox."""
        made = await provider.create_sandbox(self.call(task))
        return msgspec.structs.replace(task, sandbox=made.sandbox)

    def close(self) -> None:
        self.world.close()


class OfDemo(Side):
    name = "demo"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._demo = InProcess(folder)
        self._demo.set_script(SCRIPT)

    @asynccontextmanager
    async def provider(self) -> AsyncIterator[Provider]:
        demo = self._demo.provider()
        async with anyio.create_task_group() as group:
            await group.start(demo.run)
            yield demo
            group.cancel_scope.cancel()

    def close(self) -> None:
        self._demo.close()
        super().close()


class OfLocal(Side):
    name = "local"

    def provider(self) -> AbstractAsyncContextManager[Provider]:
        return self.world.provider()


SIDES: Sequence[type[Side]] = (OfDemo, OfLocal)
"""One a provider that there is."""


@pytest.fixture(params=SIDES, ids=[each.name for each in SIDES])
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Side]:
    side: Side = request.param(tmp_path)
    yield side
    side.close()


def folder_of(task: TaskDetail) -> Path:
    assert task.sandbox is not None
    return Path(task.sandbox.cwd)


async def test_it_says_what_it_is(side: Side) -> None:
    async with side.provider() as provider:
        assert provider.name == side.name
        assert provider.default_agent()
        assert provider.state()
        assert provider.agents.on_lost is None


async def test_names_that_a_branch_has_are_told(side: Side) -> None:
    git(side.world.repository, "branch", "fix/taken")
    async with side.provider() as provider:
        existing = await provider.ensure_name(side.call(side.task()))
        assert set(await existing(["fix/taken", "fix/free"])) == {"fix/taken"}


async def test_a_sandbox_is_made_once_also_over_a_restart(side: Side) -> None:
    task = side.task()
    async with side.provider() as provider:
        first = await provider.create_sandbox(side.call(task))
        assert not first.resumed
        (Path(first.sandbox.cwd) / "by hand.txt").write_text("kept\n")
        again = await provider.create_sandbox(side.call(task))
    async with side.provider() as provider:
        later = await provider.create_sandbox(side.call(task))
    for adopted in (again, later):
        assert adopted.resumed
        assert (adopted.sandbox.sandbox_id, adopted.sandbox.cwd) == (first.sandbox.sandbox_id, first.sandbox.cwd)
    assert (Path(first.sandbox.cwd) / "by hand.txt").read_text() == "kept\n"


async def test_tasks_have_sandboxes_of_their_own(side: Side) -> None:
    async with side.provider() as provider:
        one, two = [await side.made(provider, side.task(f"fix/{number}")) for number in range(2)]
        assert folder_of(one) != folder_of(two)
        await provider.destroy_sandbox(side.call(one), Release())
        assert not folder_of(one).exists()
        assert folder_of(two).exists()


async def test_what_was_cut_is_completed(side: Side) -> None:
    task = side.task()
    async with side.provider() as provider:
        with anyio.CancelScope() as scope:
            told = replace(side.call(task), log=lambda line: scope.cancel())
            await provider.create_sandbox(told)
        assert scope.cancelled_caught
    async with side.provider() as provider:
        task = await side.made(provider, task)
        assert folder_of(task).is_dir()
        assert await provider.find_branch(side.call(task)) == "fix/it"


async def test_a_sandbox_that_somebody_removed_is_made_again(side: Side) -> None:
    async with side.provider() as provider:
        task = await side.made(provider, side.task())
        assert await provider.restore_sandbox(side.call(task)) is False
        shutil.rmtree(folder_of(task))
        assert await provider.restore_sandbox(side.call(task)) is True
        assert folder_of(task).is_dir()
        assert await provider.find_branch(side.call(task)) == "fix/it"


@pytest.mark.parametrize("call", ["release_sandbox", "destroy_sandbox"])
async def test_a_sandbox_is_removed_once_and_what_was_never_made_too(side: Side, call: str) -> None:
    async with side.provider() as provider:
        task = await side.made(provider, side.task())
        assert list(provider.would_lose(task, delete_branch=False)) == []
        for each in (task, task, side.task("fix/never")):
            await getattr(provider, call)(side.call(each), Release())
        assert not folder_of(task).exists()
        provider.forget(task.task_id)


async def test_changes_are_told_of_a_sandbox_only(side: Side, tmp_path: Path) -> None:
    patch = tmp_path / "patch"
    async with side.provider() as provider:
        task = side.task()
        assert await provider.diff(task) is None
        with patch.open("wb") as into:
            assert await provider.write_patch(side.call(task), into) is False
        task = await side.made(provider, task)
        diff = await provider.diff(task)
        assert diff is None or list(diff.files) == []
        with patch.open("wb") as into:
            assert await provider.write_patch(side.call(task), into) is True
        assert patch.read_bytes() == b""


async def test_files_are_those_of_the_sandbox(side: Side) -> None:
    async with side.provider() as provider:
        task = side.task()
        assert await provider.files(side.call(task)) is None
        task = await side.made(provider, task)
        before = await provider.files(side.call(task)) or ()
        (folder_of(task) / "a b.txt").write_text("")
        (folder_of(task) / "src").mkdir()
        (folder_of(task) / "src" / "line\nend.py").write_text("")
        now = await provider.files(side.call(task)) or ()
        assert sorted(set(now).difference(before)) == ["a b.txt", "src/line\nend.py"]
