"""What was compared is compared again only when git says that something else has changed, and is never told stale."""

import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from backend_stub.providers.local import LocalProvider
from backend_stub.providers.local.comparison import diff_of
from backend_stub.providers.local.sandbox_record import KNOWN_PATCH, Records
from foundry_tui.contract.records import TaskDetail
from tests.local.test_way_home import change, sandbox
from tests.local.world import LocalWorld

pytestmark = pytest.mark.anyio


async def patch_of(world: LocalWorld, provider: LocalProvider, task: TaskDetail, since: str | None = None) -> bytes:
    with tempfile.TemporaryFile() as file:
        if since is None:
            assert await provider.write_patch(world.call(task), file)
        else:
            await provider.checkpoints.write_patch(world.call(task), since, file)
        file.seek(0)
        return file.read()


def kept_of(world: LocalWorld, task: TaskDetail, where: str) -> Callable[[], tuple[int, int] | None]:
    """Tells which file the kept patch is: another one once it was made again."""

    def tell() -> tuple[int, int] | None:
        try:
            held = (world.data / where / task.task_id / KNOWN_PATCH).stat()
        except FileNotFoundError:
            return None
        return held.st_ino, held.st_mtime_ns

    return tell


def rewrite(path: Path, text: str) -> None:
    """Change a file so that its size and its time of change are as before."""
    held = path.stat()
    path.write_text(text)
    os.utime(path, ns=(held.st_atime_ns, held.st_mtime_ns))


@pytest.fixture
def _kept_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was changed a moment ago is taken to change no more."""
    monkeypatch.setattr("backend_stub.providers.local.files_on_disk.TOO_LATE", 0)


@asynccontextmanager
async def changed(world: LocalWorld) -> AsyncIterator[tuple[LocalProvider, TaskDetail, Path]]:
    """A sandbox in which `a.txt` differs from its base."""
    async with world.provider() as provider:
        task, folder = await sandbox(world, provider)
        change(folder, "a.txt", "ours\n")
        yield provider, task, folder


@pytest.mark.usefixtures("_kept_at_once")
async def test_a_patch_is_made_once_for_the_same_changes(git_world: LocalWorld) -> None:
    async with changed(git_world) as (provider, task, folder):
        change(folder, "new.txt", "one\n")
        kept = kept_of(git_world, task, "sandboxes")
        first, made = await patch_of(git_world, provider, task), kept()
        assert made is not None
        assert await patch_of(git_world, provider, task) == first
        assert kept() == made
        rewrite(folder / "new.txt", "two\n")
        second = await patch_of(git_world, provider, task)
        assert b"+two" in second
        assert kept() != made
        change(folder, "new.txt", "two\n", commit=True)
        assert b"+two" in await patch_of(git_world, provider, task)
        assert [path.name for path in (git_world.data / "sandboxes" / task.task_id).glob(f"{KNOWN_PATCH}.*")] == []


async def test_what_was_changed_a_moment_ago_is_not_kept(git_world: LocalWorld) -> None:
    async with changed(git_world) as (provider, task, _):
        assert b"+ours" in await patch_of(git_world, provider, task)
        assert kept_of(git_world, task, "sandboxes")() is None


@pytest.mark.usefixtures("_kept_at_once")
async def test_a_diff_is_the_one_held_until_something_changes(git_world: LocalWorld) -> None:
    async with changed(git_world) as (_, task, folder):
        record = Records(git_world.data).load(task.task_id)
        assert record is not None
        first = await diff_of(record)
        assert await diff_of(record, first) is first
        rewrite(folder / "a.txt", "0urs\n")
        second = await diff_of(record, first)
        assert "+0urs" in second.files[0].patch
        (folder / "a.txt").write_text("one\ntwo\n")
        assert (await diff_of(record, second)).files == ()


async def test_a_patch_since_a_checkpoint_is_made_once_for_the_same_files(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        await provider.checkpoints.begin(git_world.call(task), "p1")
        change(folder, "a.txt", "ours\n")
        kept = kept_of(git_world, task, "checkpoints")
        first, made = await patch_of(git_world, provider, task, "last"), kept()
        assert b"+ours" in first
        assert await patch_of(git_world, provider, task, "last") == first
        assert kept() == made is not None
        rewrite(folder / "a.txt", "0urs\n")
        assert b"+0urs" in await patch_of(git_world, provider, task, "last")
