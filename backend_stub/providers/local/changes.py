"""What a task changed and what removing it would lose: computed behind, kept, and answered at once."""

import logging
import os
import re
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import TaskStatus
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from backend_stub.providers.base import CallError
from backend_stub.providers.local.recent import RecentDiffs
from backend_stub.providers.local.record import Made, Record, Records
from backend_stub.providers.local.worktree import unpushed
from backend_stub.repository.git import Told, run_git
from foundry_tui.contract.records import FileDiff
from foundry_tui.contract.requests import Diff

logger = logging.getLogger(__name__)

GIT_LIMIT = 60.0
PATCH_LIMIT = 200_000
"""Characters of one file's patch that are kept."""
PATCHES_LIMIT = 8_000_000
"""Characters of all patches of a task."""
DIFFS_LIMIT = 32_000_000
"""Characters of all tasks' diffs that are held in memory; what was let go is computed again, or read from the disk."""
UNTRACKED_LIMIT = 500
"""Untracked files whose content is shown; further ones are listed only."""
NAMED = 5
"""Files that are called by name before the rest is counted."""
WORKERS = 2
PATIENCE = 3.0
"""Seconds that the end of a turn waits for what changed in it; a huge worktree takes longer."""

_DIFF = (
    "-c", "diff.noprefix=false", "-c", "diff.mnemonicPrefix=false", "-c", "diff.suppressBlankEmpty=false", "diff",
    "--no-color", "--no-ext-diff", "--no-textconv", "--find-renames", "--ignore-submodules=dirty",
)  # fmt: skip
_SECTION = re.compile(rb"^diff --git ", re.MULTILINE)


class Changes:
    """Known losses and diffs by task. `run` computes; the rest only reads, or says that something may have changed."""

    def __init__(self, records: Records, now: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._records = records
        self._now = now
        self._losses: dict[str, tuple[str, ...]] = {}
        self._diffs = RecentDiffs(DIFFS_LIMIT)
        self._waiting: set[str] = set()
        self._again: set[str] = set()
        self._busy: set[str] = set()
        self._jobs: MemoryObjectSendStream[str] | None = None
        self._idle = anyio.Event()
        self._left: set[str] = set()
        self._step = anyio.Event()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Compute what is asked for until cancelled, beginning with what an earlier run knew."""
        self._losses = {**await anyio.to_thread.run_sync(self._records.known_losses), **self._losses}
        task_status.started()
        send, receive = anyio.create_memory_object_stream[str](float("inf"))
        self._jobs = send
        async with send, receive, anyio.create_task_group() as group:
            for _ in range(WORKERS):
                group.start_soon(self._work, receive.clone())
            for task_id in tuple(self._waiting):
                send.send_nowait(task_id)

    async def _work(self, jobs: MemoryObjectReceiveStream[str]) -> None:
        async with jobs:
            async for task_id in jobs:
                self._waiting.discard(task_id)
                self._busy.add(task_id)
                try:
                    await self._compute(task_id)
                finally:
                    self._busy.discard(task_id)
                    if task_id in self._again:
                        self._again.discard(task_id)
                        self.refresh(task_id)
                    self._step.set()
                    self._step = anyio.Event()
                if not self._waiting and not self._busy:
                    self._idle.set()

    def refresh(self, task_id: str) -> None:
        """Something may have changed in this task's worktree: compute anew, soon, once."""
        if task_id in self._busy:
            self._again.add(task_id)
        elif task_id not in self._waiting:
            self._waiting.add(task_id)
            if self._idle.is_set():
                self._idle = anyio.Event()
            if self._jobs is not None:
                self._jobs.send_nowait(task_id)

    async def settled(self) -> None:
        """Wait until everything asked for has been computed."""
        while self._waiting or self._busy:
            await self._idle.wait()

    async def computed(self, task_id: str) -> None:
        """Wait until what was asked for of this task has been computed, for `PATIENCE` seconds at most."""
        with anyio.move_on_after(PATIENCE):
            while task_id in self._waiting or task_id in self._busy:
                await self._step.wait()

    def losses(self, task_id: str) -> Sequence[str]:
        """What removing would lose, as last computed."""
        return self._losses.get(task_id, ())

    def diff(self, task_id: str) -> Diff | None:
        """The changes as last computed; None before that, also when they were let go, as at a restart."""
        return self._diffs.get(task_id)

    async def leave(self, task_id: str) -> None:
        """The worktree is about to be removed: look into it no more, and wait until nobody does."""
        self._left.add(task_id)
        while task_id in self._busy:
            await self._step.wait()

    def watch(self, task_id: str) -> None:
        """The worktree is there, also again: compute what it has."""
        self._left.discard(task_id)
        self.refresh(task_id)

    def forget(self, task_id: str, *, diff: bool = False) -> None:
        """The worktree is gone; its last diff is kept for reading unless that is to be forgotten too."""
        self._losses.pop(task_id, None)
        if diff:
            self._diffs.drop(task_id)
        else:
            self._left.discard(task_id)

    async def _compute(self, task_id: str) -> None:
        if task_id in self._left:
            return
        try:
            record = await anyio.to_thread.run_sync(self._records.load, task_id)
            if record is None or not await anyio.to_thread.run_sync(Path(record.worktree).is_dir):
                self._losses.pop(task_id, None)
                await self._find_kept(task_id, record)
                return
            losses = await losses_of(record)
            if losses != self._losses.get(task_id):
                await anyio.to_thread.run_sync(self._records.save_losses, task_id, losses)
            self._losses[task_id] = losses
            files = await diff_of(record)
            held = self._diffs.get(task_id)
            diff = Diff(files=files, computed_at=self._now())
            self._diffs.put(task_id, diff)
            if held is None or held.files != files:
                await anyio.to_thread.run_sync(self._records.save_diff, task_id, diff)
        except (CallError, OSError) as error:
            # What cannot be computed now keeps its last value; removal looks for itself.
            logger.info("the changes of task %s cannot be computed: %s", task_id, error)
        except Exception:  # a defect here must not end the backend
            logger.exception("computing the changes of task %s failed", task_id)

    async def _find_kept(self, task_id: str, record: Record | None) -> None:
        """The last diff of a worktree that was removed before this run of the backend."""
        if record is not None and self._diffs.get(task_id) is None:
            kept = await anyio.to_thread.run_sync(self._records.known_diff, task_id)
            if kept is not None:
                self._diffs.put(task_id, kept)


async def losses_of(record: Record, told: Told | None = None) -> tuple[str, ...]:
    """Uncommitted files and commits that no remote has, in words. Raises `GitError`."""
    if record.made is Made.MAKING:
        return ()
    status = await run_git(
        record.worktree,
        "status",
        "--porcelain=v1",
        "-z",
        "--no-renames",
        "--untracked-files=all",
        "--ignore-submodules=none",
        told=told,
        timeout=GIT_LIMIT,
    )
    files = [entry[3:] for entry in status.text.split("\0") if entry]
    losses: list[str] = []
    if files:
        named = ", ".join(file.encode("utf-8", "replace").decode() for file in files[:NAMED])
        more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
        losses.append(f"{len(files)} uncommitted {'file' if len(files) == 1 else 'files'}: {named}{more}")
    commits = await unpushed(record.worktree, record, told)
    if commits:
        head = await run_git(record.worktree, "symbolic-ref", "--short", "-q", "HEAD", told=told, accept=(0, 1))
        on = head.text.strip() or "no branch"
        where = record.branch if on == record.branch else f"{record.branch} and {on}"
        losses.append(f"{commits} unpushed {'commit' if commits == 1 else 'commits'} on {where}")
    return tuple(losses)


async def diff_of(record: Record) -> tuple[FileDiff, ...]:
    """The worktree's files against where its branch left its base, untracked files included. Raises `GitError`."""
    folder = record.worktree
    base = await _fork_point(record)
    names = (await run_git(folder, *_DIFF, "--name-status", "-z", base, "--", timeout=GIT_LIMIT)).text
    numbers = (await run_git(folder, *_DIFF, "--numstat", "-z", base, "--", timeout=GIT_LIMIT)).text
    whole = (await run_git(folder, *_DIFF, "--patch", base, "--", timeout=GIT_LIMIT)).stdout
    patches = await anyio.to_thread.run_sync(_sections, whole)
    tracked = _zip(_name_status(names), _numstat(numbers), patches)
    listed = await run_git(folder, "ls-files", "--others", "--exclude-standard", "-z", "--", timeout=GIT_LIMIT)
    untracked = [name for name in listed.text.split("\0") if name]
    room = PATCHES_LIMIT - sum(len(file.patch) for file in tracked)
    new = await anyio.to_thread.run_sync(_new_files, Path(folder), untracked, room)
    return (*tracked, *new)


async def _fork_point(record: Record) -> str:
    """Where the branch left its base: other people's work that was merged in is no change of the task's."""
    done = await run_git(
        record.worktree, "merge-base", "--", "HEAD", record.base, timeout=GIT_LIMIT, accept=(0, 1, 128)
    )
    return done.text.strip() if done.exit_code == 0 and done.text.strip() else record.base_commit


def _name_status(text: str) -> list[tuple[str, str]]:
    """Status letter and (new) path of each file."""
    fields = iter(text.split("\0"))
    found = []
    for status in fields:
        if not status:
            continue
        path = next(fields, "")
        if status[0] in "RC":
            path = next(fields, path)
        found.append((status[0], path))
    return found


def _numstat(text: str) -> dict[str, tuple[int, int]]:
    """Lines added and removed by path; none for binary files."""
    fields = iter(text.split("\0"))
    found: dict[str, tuple[int, int]] = {}
    for field in fields:
        if not field:
            continue
        added, removed, path = field.split("\t", 2)
        if not path:
            next(fields, "")
            path = next(fields, "")
        found[path] = (int(added) if added.isdigit() else 0, int(removed) if removed.isdigit() else 0)
    return found


def _sections(patch: bytes) -> list[str]:
    starts = [match.start() for match in _SECTION.finditer(patch)]
    places = [*starts, len(patch)]
    return [patch[start:end].decode("utf-8", "replace") for start, end in pairwise(places)]


def _zip(
    names: Sequence[tuple[str, str]], numbers: dict[str, tuple[int, int]], patches: Sequence[str]
) -> list[FileDiff]:
    """The files in git's order, in which their patches come too; patches that do not match one to one are left out."""
    whole = len(names) == len(patches)
    room = PATCHES_LIMIT
    files = []
    for number, (status, path) in enumerate(names):
        patch = _cut(patches[number], min(PATCH_LIMIT, room)) if whole else ""
        room -= len(patch)
        added, removed = numbers.get(path, (0, 0))
        files.append(FileDiff(path=_printable(path), status=status, added=added, removed=removed, patch=patch))
    return files


def _new_files(folder: Path, names: Sequence[str], room: int) -> list[FileDiff]:
    files = []
    for number, name in enumerate(names):
        files.append(_new_file(folder, name, shown=number < UNTRACKED_LIMIT and room > 0))
        room -= len(files[-1].patch)
    return files


def _new_file(folder: Path, name: str, *, shown: bool) -> FileDiff:
    """An untracked file as git would show it once added."""
    path = folder / name
    mode = "100755" if path.is_file() and os.access(path, os.X_OK) else "100644"
    header = f"diff --git a/{_printable(name)} b/{_printable(name)}\nnew file mode {mode}\n"
    added, patch = 0, header
    if shown and path.is_file() and not path.is_symlink():
        with path.open("rb") as file:
            content = file.read(PATCH_LIMIT + 1)
        if b"\0" in content:
            patch = f"{header}Binary files /dev/null and b/{_printable(name)} differ\n"
        elif content:
            lines = content[:PATCH_LIMIT].decode("utf-8", "replace").split("\n")
            ends_open = lines[-1] != ""
            lines = lines if ends_open else lines[:-1]
            added = len(lines)
            body = "\n".join(f"+{line}" for line in lines)
            tail = "\n\\ No newline at end of file\n" if ends_open else "\n"
            patch = _cut(
                f"{header}--- /dev/null\n+++ b/{_printable(name)}\n@@ -0,0 +1,{added} @@\n{body}{tail}", PATCH_LIMIT
            )
    return FileDiff(path=_printable(name), status="?", added=added, removed=0, patch=patch)


def _cut(patch: str, limit: int) -> str:
    if len(patch) <= limit:
        return patch
    return f"{patch[: max(0, limit)]}\n… {len(patch) - max(0, limit)} more characters\n"


def _printable(path: str) -> str:
    """A path as text: bytes that are no UTF-8 are shown as replacement characters."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
