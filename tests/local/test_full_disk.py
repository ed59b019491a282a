"""A disk that is full in the middle of an operation: it is said, and the sandbox is as it was once there is room."""

import errno
import os
import shutil
import time
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import pytest

from backend_stub.domain.errors import GitError
from backend_stub.providers.local.checkpoints import TaskCheckpoints
from backend_stub.providers.local.sandbox_record import OPERATION
from backend_stub.providers.local.way_home import checkout, update
from backend_stub.providers.local.way_home.journal import Journal
from backend_stub.task.failures import task_error
from foundry_tui.contract.records import ErrorKind
from foundry_tui.contract.replace import replace
from tests.git import git
from tests.local.test_way_home import Told, change, operate, operation_of, sandbox
from tests.local.world import LocalWorld

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("how", ["rebase", "merge"])
@pytest.mark.parametrize("following", ["commit", "update"])
async def test_an_update_that_even_taking_back_failed_of_is_taken_back_by_the_next_operation(
    git_world: LocalWorld, how: str, following: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "a.txt", "ours\n", commit=True)
        change(git_world.repository, "a.txt", "theirs\n", commit=True)
        head = git(folder, "rev-parse", "HEAD")

        async def refuse(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        said = r"taken back: No space left on device\. See to that, then update again"
        with monkeypatch.context() as full, pytest.raises(GitError, match=said):
            full.setattr(update, "_end_half", refuse)
            await operate(git_world, provider, task, "update", how=how)
        assert git(folder, "status", "--porcelain") != "", "it is half-way"
        words = "nothing to commit" if following == "commit" else r"conflicts in a\.txt\. Nothing was changed"
        with pytest.raises(GitError, match=words):
            await operate(git_world, provider, task, following, Told())
        assert git(folder, "rev-parse", "HEAD", task.branch or "").split() == [head, head]
        assert git(folder, "symbolic-ref", "--short", "HEAD") == task.branch
        assert git(folder, "status", "--porcelain") == ""


@pytest.mark.parametrize("how", ["rebase", "merge"])
@pytest.mark.parametrize("goes_on", ["", "writes", "removes"])
async def test_files_that_were_written_before_git_gave_up_are_taken_back_unless_somebody_goes_on(
    git_world: LocalWorld, how: str, goes_on: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "ours.txt", "ours\n", commit=True)
        change(git_world.repository, ".gitattributes", "z.bin filter=broken\n")
        change(git_world.repository, "a.txt", "theirs\n")
        change(git_world.repository, "z.bin", "theirs\n", commit=True)
        git(git_world.repository, "config", "filter.broken.smudge", "false")
        git(git_world.repository, "config", "filter.broken.clean", "cat")
        git(git_world.repository, "config", "filter.broken.required", "true")

        async def refuse(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as full, pytest.raises(GitError, match="taken back: No space left"):
            full.setattr(TaskCheckpoints, "keep_now", refuse)
            await operate(git_world, provider, task, "update", how=how)
        assert git(folder, "status", "--porcelain") != "", "it is half-way"
        assert "still" not in git(folder, "status") and "in progress" not in git(folder, "status")
        failed = replace(operation_of(task, "update"), finished_at=time.time_ns() // 1_000_000)
        task = replace(task, operations=(failed,))
        if goes_on == "removes":
            (folder / "ours.txt").unlink()
            while folder.stat().st_ctime_ns < ((failed.finished_at or 0) + 1) * 1_000_000:
                (folder / "for a moment").touch()
                (folder / "for a moment").unlink()
            await operate(git_world, provider, task, "commit")
            assert "ours.txt" not in git(folder, "ls-tree", "--name-only", "HEAD").split()
            return
        if goes_on:
            # The clock of files is coarse: until it has gone on.
            while (folder / "a.txt").stat().st_ctime_ns < ((failed.finished_at or 0) + 1) * 1_000_000:
                (folder / "a.txt").write_text("somebody's\n")
            await operate(git_world, provider, task, "commit")
            assert (folder / "a.txt").read_text() == "somebody's\n"
            return
        with pytest.raises(GitError, match="nothing to commit"):
            await operate(git_world, provider, task, "commit")
        assert git(folder, "status", "--porcelain") == ""
        git(git_world.repository, "config", "filter.broken.smudge", "cat")
        await operate(git_world, provider, task, "update", how=how)
        assert (folder / "a.txt").read_text() == "theirs\n"


@pytest.mark.parametrize("is_cut", [False, True])
async def test_what_the_disk_refuses_once_the_checkout_is_whole_is_not_said_to_be_half_made(
    git_world: LocalWorld, is_cut: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "a.txt", "ours\n", commit=True)

        def cut(self: Journal) -> None:
            self._become("after")
            raise RuntimeError("the power is cut")

        def refuse(*_: object) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        if is_cut:
            with monkeypatch.context() as power, pytest.raises(RuntimeError, match="the power"):
                power.setattr(Journal, "make", cut)
                await operate(git_world, provider, task, "land")
        stands = "is as it was" if is_cut else "is at the new commit of main"
        with monkeypatch.context() as disk, pytest.raises(GitError, match=f"{stands}, but .*Input/output") as refused:
            disk.setattr(checkout, "_unlock", refuse)
            await operate(git_world, provider, task, "commit" if is_cut else "land")
        assert "half made" not in refused.value.message
        lock = git_world.repository / ".git" / "index.lock"
        assert str(lock) in refused.value.message
        assert git(git_world.repository, "status", "--porcelain") == ""
        with pytest.raises(GitError, match="nothing to commit"):
            await operate(git_world, provider, task, "commit")
        assert not lock.exists()


@pytest.mark.parametrize("refuses", ["a file", "the proof", "the index", "the lock"])
async def test_landing_that_the_disk_refuses_leaves_the_checkout_as_it_was(
    git_world: LocalWorld, refuses: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "a.txt", "ours\n")
        change(folder, "z.txt", "new\n", commit=True)

        def refuse(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def refuse_the_proof(path: Path) -> None:
            if path.name == "made":
                refuse()

        def refuse_z(self: Journal, name: str, *rest: Any) -> None:
            refuse() if name == "z.txt" else put(self, name, *rest)

        def refuse_the_index(source: Path, target: Path, **options: Any) -> None:
            refuse() if Path(target).name == "foundry.index.new" else copyfile(source, target, **options)

        put, copyfile = Journal._put, shutil.copyfile
        at: dict[str, tuple[object, str, object]] = {
            "a file": (Journal, "_put", refuse_z),
            "the proof": (Path, "touch", refuse_the_proof),
            "the index": (shutil, "copyfile", refuse_the_index),
            "the lock": (checkout, "_lock", refuse),
        }
        with monkeypatch.context() as full, pytest.raises(GitError, match="No space left on device") as refused:
            full.setattr(*at[refuses])
            await operate(git_world, provider, task, "land")
        assert "half made" not in refused.value.message
        assert git(git_world.repository, "status", "--porcelain") == ""
        assert (git_world.repository / "a.txt").read_text() == "one\ntwo\n"
        assert not (git_world.repository / ".git/index.lock").exists()
        assert not (folder.parents[1] / OPERATION / "journal.json").exists(), "nothing is to be taken back later"
        await operate(git_world, provider, task, "land")
        assert (git_world.repository / "z.txt").read_text() == "new\n"


async def test_a_rebase_of_a_person_s_own_is_not_taken_back(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "a.txt", "ours\n", commit=True)
        change(git_world.repository, "theirs.txt", "theirs\n", commit=True)
        await operate(git_world, provider, task, "update")
        change(git_world.repository, "a.txt", "theirs\n", commit=True)
        with pytest.raises(CalledProcessError):
            git(folder, "rebase", "main")
        with pytest.raises(GitError, match=r"A rebase is under way|on no branch"):
            await operate(git_world, provider, task, "commit")
        assert git(folder, "status", "--porcelain") == "UU a.txt"


def test_what_this_machine_has_run_out_of_is_no_unforeseen_failure() -> None:
    failure = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/index")
    told = task_error(failure, "The commit", 1_000, 1)
    assert told.message == "The commit failed, as this machine has run out of something: No space left on device"
    assert (told.kind, told.retryable) == (ErrorKind.PROVIDER, True)
