"""The proof of what we made: a file a task, written before anything is made, and the only licence to remove it."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, TypeVar

import anyio
import anyio.to_thread
import msgspec
from msgspec import Struct

from foundry_tui.contract.codec import decode
from foundry_tui.contract.ids import is_task_id
from foundry_tui.contract.requests import Diff

RECORD = "record.json"
LOSSES = "losses.json"
DIFF = "diff.json"
PATCH = "changes.patch"
KNOWN_PATCH = "known.patch"
"""The patch that was asked for last, while the worktree is there."""
COMPARING = "comparing"
"""The folder of what comparisons need while they last."""
OPERATION = "operation"
"""The folder of what an operation keeps while it lasts."""

T = TypeVar("T")


class Made(StrEnum):
    """How far the making has come. Up to `made` nobody has worked in the worktree yet."""

    MAKING = "making"
    MADE = "made"
    READY = "ready"
    RELEASED = "released"


class Record(Struct, frozen=True, kw_only=True):
    """What was made for a task. `base_commit` is where the branch leaves its base. `own_branch`: the branch was made
    for the task, at the commit `begun_at` ("": where it leaves its base); else it is somebody's who had it before.

    `repository` is the folder that the task was asked for, which may itself be a linked worktree and go away; `common`
    is the git folder that it shares with all others and that refs and worktrees live in, `git_dir` what git keeps of
    this worktree in there. `ready_at` is when the set-up had ended, by the file system's clock in nanoseconds: what was
    changed later is somebody's work. Records of earlier versions have none of these three.
    `cloned`: the repository is a clone of ours.
    """

    task_id: str
    repository: str
    worktree: str
    branch: str
    base: str
    base_commit: str
    created_at: int
    made: Made = Made.MAKING
    common: str = ""
    git_dir: str = ""
    ready_at: int = 0
    begun_at: str = ""
    own_branch: bool = True
    cloned: bool = False

    @property
    def base_name(self) -> str:
        """The branch that `base` is, here or at the remote `origin`; a commit as it is."""
        return self.base.removeprefix("refs/heads/").removeprefix("refs/remotes/origin/")

    @property
    def base_branch(self) -> str | None:
        """The same, None where the task began from a commit that is no branch."""
        return self.base_name if self.base.startswith("refs/") else None


class Losses(Struct, frozen=True):
    """`here` is lost with the worktree, the `commits` of `branch` that no other has only when that is deleted too."""

    here: tuple[str, ...] = ()
    branch: str = ""
    commits: int = 0

    def of(self, *, delete_branch: bool) -> tuple[str, ...]:
        """What is lost, with the branch or without."""
        if not (delete_branch and self.commits):
            return self.here
        return (*self.here, f"{self.commits} unpushed {'commit' if self.commits == 1 else 'commits'} on {self.branch}")


class Records:
    """The sandboxes' folders below the data folder: `sandboxes/TASK_ID/` holds the record, what the agent's
    runtime keeps (`agent/`) and the worktree (`work/NAME`).
    """

    def __init__(self, data_dir: Path) -> None:
        # What git says of paths has no symbolic links in it, and is compared with ours.
        self.root = data_dir.resolve() / "sandboxes"

    def folder(self, task_id: str) -> Path:
        """The folder of a task; raises `ValueError` for what is no task id, so that nothing can lead elsewhere."""
        if not is_task_id(task_id):
            raise ValueError(f"{task_id!r} is no task id")
        return self.root / task_id

    def agent_folder(self, task_id: str) -> Path:
        return self.folder(task_id) / "agent"

    def worktree(self, task_id: str, repository: str) -> Path:
        """Where the worktree goes; named after the repository, which agents and shells show."""
        return self.folder(task_id) / "work" / (Path(repository).name or "repository")

    def removed(self, task_id: str) -> Path:
        """Where a worktree is moved in order to be removed: nobody wants what is in there."""
        return self.folder(task_id) / "removed"

    def load(self, task_id: str) -> Record | None:
        """The record, or None if there is none that is ours: it must name this task and lie in its folder."""
        try:
            record = decode((self.folder(task_id) / RECORD).read_bytes(), Record)
        except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
            return None
        work = self.folder(task_id) / "work"
        if record.task_id != task_id or Path(record.worktree).parent != work:
            return None
        return record

    def save(self, record: Record) -> None:
        """Write the record durably: it must be there before what it speaks of."""
        folder = self.folder(record.task_id)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = folder / f"{RECORD}.new"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(record))
            os.fsync(file.fileno())
        new.replace(folder / RECORD)
        for name in (folder, self.root):
            handle = os.open(name, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)

    def clock(self, task_id: str) -> int:
        """The file system's own time now, in nanoseconds, to compare with what it notes of files."""
        mark = self.folder(task_id) / f"{RECORD}.new"
        mark.touch(mode=0o600)
        return mark.stat().st_mtime_ns

    def forget(self, task_id: str) -> None:
        """Remove the task's folder without its worktree, of which nothing may be left; the record goes last.

        Raises `OSError` when something is.
        """
        folder = self.folder(task_id)
        if folder.is_symlink():
            raise OSError(f"{folder} is a symbolic link")
        for place in (folder / "work", self.removed(task_id)):
            if place.exists():
                place.rmdir()
        shutil.rmtree(folder / "agent", ignore_errors=True)
        for left in folder.glob(f"{KNOWN_PATCH}.*"):
            left.unlink(missing_ok=True)
        for name in (COMPARING, OPERATION):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in (LOSSES, DIFF, PATCH, KNOWN_PATCH, RECORD):
            (folder / f"{name}.new").unlink(missing_ok=True)
            (folder / name).unlink(missing_ok=True)
        if folder.exists():
            folder.rmdir()

    def save_losses(self, task_id: str, losses: Losses) -> None:
        """Keep what removing would lose as it is known now, for the next run of the backend."""
        self._keep(task_id, LOSSES, losses)

    def save_diff(self, task_id: str, diff: Diff) -> None:
        """Keep the diff for the next run of the backend, and for when the worktree is gone."""
        self._keep(task_id, DIFF, diff)

    def known_diff(self, task_id: str) -> Diff | None:
        """The diff that was kept."""
        return self._kept(task_id, DIFF, Diff)

    @asynccontextmanager
    async def patch_to_keep(self, task_id: str) -> AsyncIterator[BinaryIO]:
        """A file for the task's patch, which is kept if nothing is raised."""
        folder = self.folder(task_id)
        new = folder / f"{PATCH}.new"
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            yield file
        await anyio.to_thread.run_sync(new.replace, folder / PATCH)
        await anyio.to_thread.run_sync(lambda: (folder / KNOWN_PATCH).unlink(missing_ok=True))

    def copy_patch(self, task_id: str, into: BinaryIO) -> bool:
        """Write the patch that was kept, if one was."""
        try:
            with (self.folder(task_id) / PATCH).open("rb") as file:
                shutil.copyfileobj(file, into)
        except FileNotFoundError:
            return False
        return True

    def _keep(self, task_id: str, name: str, value: object) -> None:
        folder = self.folder(task_id)
        new = folder / f"{name}.new"
        new.write_bytes(msgspec.json.encode(value))
        new.replace(folder / name)

    def _kept(self, task_id: str, name: str, type_: type[T]) -> T | None:
        try:
            return decode((self.folder(task_id) / name).read_bytes(), type_)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def all(self) -> Iterator[Record]:
        """The records of all tasks, in no order."""
        if not self.root.is_dir():
            return
        for folder in self.root.iterdir():
            if is_task_id(folder.name):
                record = self.load(folder.name)
                if record is not None:
                    yield record

    def all_with_losses(self) -> Iterator[tuple[Record, Losses | None]]:
        """The same, each with what was known to be lost with its worktree; None where that is gone or nothing is."""
        for record in self.all():
            yield record, None if record.made is Made.RELEASED else self._kept(record.task_id, LOSSES, Losses)
