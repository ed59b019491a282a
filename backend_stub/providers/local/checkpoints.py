"""Checkpoints of the local provider: commits under `refs/foundry/TASK_ID/` of the task's repository.

The message of each says what it is, its parent is what HEAD was, so that what was committed stays reachable.

A folder `checkpoints/TASK_ID/` in the data folder has what belongs to them: the index that makes the next one quick,
the path of the repository, and the state before the last prompt, since a turn that changes nothing leaves no
checkpoint. The folder outlives the sandbox: what a killed task had can be found until the task is pruned.
"""

import hashlib
import logging
import shutil
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import anyio
import anyio.to_thread
import msgspec
from msgspec import Struct

from backend_stub.domain.call import Call
from backend_stub.domain.checkpoints import unknown_checkpoint
from backend_stub.domain.clock import wall_clock
from backend_stub.domain.errors import CallError, GitError
from backend_stub.machine import processes
from backend_stub.providers.local.binary_sizes import with_sizes
from backend_stub.providers.local.comparison import files_of_side, line_counts, within_limits
from backend_stub.providers.local.kept_patch import write_kept
from backend_stub.providers.local.own_git_folder import room_beside
from backend_stub.providers.local.restoring import become, changed, in_the_way, left_alone
from backend_stub.providers.local.sandbox_record import KNOWN_PATCH, Made, Record, Records
from backend_stub.providers.local.snapshot import Between, Snapshot, Worktree
from backend_stub.providers.local.whole_patch import write_whole
from backend_stub.providers.local.worktree import common_of, git_dir_of
from backend_stub.repository.git import run_git
from foundry_tui.contract.checkpoints import LAST, Checkpoint, When
from foundry_tui.contract.codec import decode
from foundry_tui.contract.ids import is_task_id
from foundry_tui.contract.records import FileDiff, Repo, TaskDetail

logger = logging.getLogger(__name__)

CHECKPOINT_MARK = "FOUNDRY_CHECKPOINT_OF"
"""Environment variable by which a git that outlived the backend is known as one of a task's checkpoints."""
LARGE = 1_000_000
"""Bytes of the index of a worktree that takes a while to be read: it has some 10,000 files."""
LOOKED_AT = 50
"""The newest checkpoints, which tell whether an ignored file was there all the time."""
_COMMON, _LAST = "common", "last.json"
_AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Foundry"), ("EMAIL", "foundry@localhost"))
}


class Kept(Struct, frozen=True, kw_only=True):
    """A checkpoint with its commit and tree; `number` is its place among the task's."""

    checkpoint: Checkpoint
    number: int
    commit: str = ""
    tree: str = ""

    @property
    def id(self) -> str:
        return self.checkpoint.checkpoint_id


class Differing(Struct, frozen=True, kw_only=True):
    """What differs between two trees: for as long as both are the same, so is that."""

    trees: tuple[str, str]
    files: Sequence[FileDiff]


class _Last(Struct, frozen=True, kw_only=True):
    """What the files were before the last prompt."""

    prompt_id: str
    tree: str


class LocalCheckpoints:
    """See `backend_stub.domain.checkpoints.CheckpointKeeper`."""

    def __init__(self, data_dir: Path, records: Records) -> None:
        self._root = data_dir.resolve() / "checkpoints"
        self._records = records
        self._of: dict[str, TaskCheckpoints] = {}
        self._opening = anyio.Lock()
        """Who opens a task's ends what an earlier run left at work there, and must not meet one of this run."""

    async def prepare(self, call: Call) -> None:
        """Read a large worktree behind, so that no prompt has to wait for that. Raises nothing."""
        try:
            of = await self.open(call)
            if of is not None and await anyio.to_thread.run_sync(_is_large, of.snapshot.worktree):
                await of.prepare()
        except (CallError, OSError) as error:
            logger.info("the files of task %s are not read beforehand: %s", call.task.task_id, error)

    async def begin(self, call: Call, prompt_id: str) -> None:
        of = await self.open(call)
        if of is not None:
            await of.begin(prompt_id)

    async def end(self, call: Call, prompt_ids: Collection[str]) -> Sequence[Checkpoint]:
        of = await self.open(call)
        return await of.end(prompt_ids) if of is not None else ()

    async def all(self, task: TaskDetail, repo: Repo) -> Sequence[Checkpoint]:
        held = self._of.get(task.task_id)
        kept = held.known if held is not None else None
        if kept is None:
            kept = await self._read(task.task_id)
        return [each.checkpoint for each in kept]

    async def check(self, call: Call, since: str) -> None:
        place = self._root / call.task.task_id
        held = self._of.get(call.task.task_id)
        kept = _find(held.known if held is not None else await self._read(call.task.task_id), since)
        if kept is None and not (since == LAST and await anyio.to_thread.run_sync((place / _LAST).exists)):
            raise unknown_checkpoint(since)

    async def diff(self, call: Call, since: str) -> Sequence[FileDiff]:
        async with self._compared(call, since) as (of, between):
            trees = between.old, between.new
            if of.differing is None or of.differing.trees != trees:
                files = within_limits(await files_of_side(between))
                apart = between.snapshot
                sized = await with_sizes(apart.worktree.folder, between.old, apart.variables, files)
                of.differing = Differing(trees=trees, files=sized)
            return of.differing.files

    async def write_patch(self, call: Call, since: str, into: BinaryIO) -> None:
        async with self._compared(call, since) as (of, between):

            async def trees() -> str:
                return f"{between.old} {between.new}"

            async def make(file: BinaryIO) -> None:
                await write_whole(between, file)

            await write_kept(of.snapshot.place / KNOWN_PATCH, trees, make, into)

    async def open(self, call: Call) -> "TaskCheckpoints | None":
        """The checkpoints of a task that has a worktree now; None for one that has none."""
        task_id = call.task.task_id
        record = await anyio.to_thread.run_sync(self._record, task_id)
        if record is None:
            return None
        async with self._opening:
            held = self._of.get(task_id) or await self._load(record, call)
        held.snapshot.log = call.log
        return held

    async def _load(self, record: Record, call: Call) -> "TaskCheckpoints":
        task_id = record.task_id
        git_dir = await anyio.to_thread.run_sync(git_dir_of, record)
        common = await anyio.to_thread.run_sync(common_of, record)
        if git_dir is None or common is None:
            raise GitError(f"git knows nothing of the worktree {record.worktree} any more", retryable=False)
        place = self._root / task_id
        snapshot = Snapshot(
            Worktree(record.worktree, git_dir, common), place, call.log, marks={CHECKPOINT_MARK: task_id}
        )
        await anyio.to_thread.run_sync(_begin_anew, place, common, task_id)
        held = self._of[task_id] = TaskCheckpoints(task_id, record, snapshot, await self._read(task_id))
        return held

    def may_have(self, task_id: str, checkpoint_id: str | None) -> bool:
        """Whether there may be this checkpoint, or (None) one before the last prompt, from what is known at once."""
        held = self._of.get(task_id)
        return held is None or held.target(checkpoint_id) is not None

    def leave(self, task_id: str) -> None:
        """The worktree is removed, or made anew: what is known of it is found again if need be."""
        self._of.pop(task_id, None)

    async def forget(self, task_id: str) -> None:
        """The task was pruned: remove all of its checkpoints. Raises `GitError` and `OSError`."""
        self._of.pop(task_id, None)
        common = await anyio.to_thread.run_sync(self._common, task_id)
        if common is not None:
            names = [f"delete {_ref(task_id, each.id)}\n" for each in await self._read(task_id)]
            if names:
                await run_git(common, "update-ref", "--stdin", bare=True, given="".join(names).encode())
        if is_task_id(task_id):
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(self._root / task_id, ignore_errors=True))

    def _record(self, task_id: str) -> Record | None:
        """In a thread: the record of a worktree that somebody may work in."""
        record = self._records.load(task_id) if is_task_id(task_id) else None
        return record if record is not None and record.made is Made.READY else None

    def _common(self, task_id: str) -> str | None:
        """In a thread: where the repository is that has the task's checkpoints; None where there is none any more."""
        try:
            common = (self._root / task_id / _COMMON).read_bytes().decode("utf-8", "surrogateescape")
        except (OSError, ValueError):
            return None
        return common if Path(common).is_dir() else None

    async def _read(self, task_id: str) -> "list[Kept]":
        """The task's checkpoints as the repository has them."""
        common = await anyio.to_thread.run_sync(self._common, task_id) if is_task_id(task_id) else None
        if common is None:
            return []
        listed = await run_git(
            common, "for-each-ref", "--format=%(objectname) %(tree) %(contents:subject)", "--",
            f"refs/foundry/{task_id}/", bare=True,
        )  # fmt: skip
        found = []
        for line in listed.text.splitlines():
            commit, _, rest = line.partition(" ")
            tree, _, said = rest.partition(" ")
            try:
                kept = decode(said.encode("utf-8", "surrogateescape"), Kept)
            except msgspec.DecodeError:
                # Somebody else's ref.
                continue
            found.append(msgspec.structs.replace(kept, commit=commit, tree=tree))
        return sorted(found, key=lambda kept: kept.number)

    @asynccontextmanager
    async def _compared(self, call: Call, since: str) -> AsyncIterator[tuple["TaskCheckpoints", Between]]:
        """The files now against those of a checkpoint, by objects that are thrown away."""
        of = await self.open(call)
        if of is None:
            raise GitError("The task has no worktree to be compared.", retryable=False)
        old = await of.tree_of(since)
        async with room_beside(of.record) as room:
            async with of.lock:
                apart = await of.snapshot.apart(Path(room))
            yield of, Between(apart, old, await apart.take())


class TaskCheckpoints:
    """Those of one task that has a worktree; one thing is done with its index at a time."""

    def __init__(self, task_id: str, record: Record, snapshot: Snapshot, known: list[Kept]) -> None:
        self._task_id = task_id
        self.record = record
        self.snapshot = snapshot
        self.known = known
        """All of them, oldest first."""
        self.differing: Differing | None = None
        """What was compared last."""
        self.lock = anyio.Lock()

    async def prepare(self) -> None:
        """Read the files, as the first checkpoint would."""
        async with self.lock:
            await self.snapshot.take()

    async def begin(self, prompt_id: str) -> None:
        async with self.lock:
            if self._begun(prompt_id) is not None:
                return
            tree = await self.snapshot.take()
            number = 1 + sum(1 for each in self._of_prompt(prompt_id) if each.checkpoint.when is When.BEFORE)
            await self._keep(When.BEFORE, _id(When.BEFORE, prompt_id, number), tree, prompt_id)
            last = msgspec.json.encode(_Last(prompt_id=prompt_id, tree=tree))
            await anyio.to_thread.run_sync(_write, self.snapshot.place / _LAST, last)

    async def end(self, prompt_ids: Collection[str] | None) -> Sequence[Checkpoint]:
        """`prompt_ids` None: of all turns that were begun."""
        made: list[Checkpoint] = []
        async with self.lock:
            begun = [
                before
                for before in self.known
                if before.checkpoint.when is When.BEFORE
                and before.checkpoint.prompt_id is not None
                and (prompt_ids is None or before.checkpoint.prompt_id in prompt_ids)
                and self._begun(before.checkpoint.prompt_id) is before
            ]
            if not begun:
                return made
            tree = await self.snapshot.take()
            for before in begun:
                if tree == before.tree:
                    await self._drop(before)
                    continue
                after = before.id.replace(When.BEFORE, When.AFTER, 1)
                kept = await self._keep(When.AFTER, after, tree, before.checkpoint.prompt_id, since=before.tree)
                made += [before.checkpoint, kept.checkpoint]
        return made

    async def keep_before_undo(self, operation_id: str, target: Kept) -> Kept:
        """Keep what the files are now, with those ignored ones that are in the way of the target."""
        async with self.lock:
            now = await self.snapshot.take()
            now = await self._with_what_is_in_the_way(now, target.tree)
            return await self._keep(When.UNDO, _id(When.UNDO, operation_id, 1), now, None)

    async def keep_now(self, operation_id: str) -> Kept:
        """Keep what the files are now."""
        async with self.lock:
            tree = await self.snapshot.take()
            return await self._keep(When.MANUAL, _id(When.MANUAL, operation_id, 1), tree, None)

    async def become(self, target: str, made: Kept | None = None) -> str:
        """Make the files those of a tree: the tree that they have then. `made` was kept before this began.

        What somebody else changed since an earlier attempt is kept too. Raises `GitError`.
        """
        async with self.lock, room_beside(self.record) as room:
            now = await self.snapshot.take()
            now = await self._with_what_is_in_the_way(now, target)
            if made is not None and now != made.tree:
                strange = await changed(self.snapshot, made.tree, now) & await changed(self.snapshot, target, now)
                if strange:
                    await self._keep(When.UNDO, f"{made.id}-now", now, None)
            # An ignored file that came to light by an undo, and is in none of them, was there all the time.
            others = {each.tree for each in self.known[-LOOKED_AT:] if made is None or each.id != made.id}
            return await become(self.snapshot, now, target, Path(room), others)

    async def left_alone(self, target: str, now: str) -> Sequence[str]:
        """The repositories inside of a tree that the files, by their tree `now`, have not again."""
        return await left_alone(self.snapshot, target, now)

    async def commits_since(self, kept: Kept) -> Sequence[str]:
        """The commits that HEAD has now and that it had not then, newest first, 50 at most."""
        listed = await run_git(
            self.record.worktree, "rev-list", "--max-count=50", "HEAD", "--not", f"{kept.commit}^@", "--",
            accept=(0, 128), environment=self.snapshot.worktree.real,
        )  # fmt: skip
        return listed.text.split() if listed.exit_code == 0 else ()

    def target(self, checkpoint_id: str | None) -> Kept | None:
        """The checkpoint of this id, or (None) the one before the last prompt."""
        return _find(self.known, LAST if checkpoint_id is None else checkpoint_id)

    async def tree_of(self, since: str) -> str:
        """The tree that a diff is since; raises `UnknownCheckpointError`."""
        kept = _find(self.known, since)
        last = await anyio.to_thread.run_sync(_last, self.snapshot.place / _LAST) if since == LAST else None
        if last is not None and not (kept and kept.checkpoint.prompt_id == last.prompt_id):
            # A turn that changed nothing left no checkpoint.
            there = await self.snapshot.git("cat-file", "-e", f"{last.tree}^{{tree}}", accept=(0, 1, 128))
            if there.exit_code == 0:
                return last.tree
        if kept is None:
            raise unknown_checkpoint(since)
        return kept.tree

    async def count(self, old: str, new: str) -> tuple[int, int, int]:
        """Files that differ between two trees, and lines added and removed, as the diff of the two has them."""
        if old == new:
            return 0, 0, 0
        counted = await self.snapshot.git(
            "diff-tree", "-r", "--numstat", "-z", "--find-renames", "--no-ext-diff", old, new
        )
        lines = line_counts(counted.stdout).values()
        return len(lines), sum(added or 0 for added, _ in lines), sum(removed or 0 for _, removed in lines)

    async def _with_what_is_in_the_way(self, now: str, target: str) -> str:
        ignored = await in_the_way(self.snapshot, now, target)
        return await self.snapshot.take_with(ignored) if ignored else now

    def _of_prompt(self, prompt_id: str) -> list[Kept]:
        return [each for each in self.known if each.checkpoint.prompt_id == prompt_id]

    def _begun(self, prompt_id: str) -> Kept | None:
        """What was kept before a turn of this prompt that is not known to be over."""
        ids = {each.id for each in self._of_prompt(prompt_id)}
        for each in reversed(self._of_prompt(prompt_id)):
            if each.checkpoint.when is When.BEFORE and each.id.replace(When.BEFORE, When.AFTER, 1) not in ids:
                return each
        return None

    async def _keep(
        self, when: When, checkpoint_id: str, tree: str, prompt_id: str | None, *, since: str | None = None
    ) -> Kept:
        """Have the repository hold the tree; counted against `since`, or the checkpoint before."""
        others = [each for each in self.known if each.id != checkpoint_id]
        old = since or (others[-1].tree if others else tree)
        files, added, removed = await self.count(old, tree)
        checkpoint = Checkpoint(
            checkpoint_id=checkpoint_id,
            prompt_id=prompt_id,
            when=when,
            at=wall_clock(),
            files=files,
            added=added,
            removed=removed,
        )
        kept = Kept(checkpoint=checkpoint, number=others[-1].number + 1 if others else 1)
        commit = await self._commit(tree, kept)
        await self._git("update-ref", _ref(self._task_id, checkpoint_id), commit)
        kept = msgspec.structs.replace(kept, commit=commit, tree=tree)
        self.known = [*others, kept]
        return kept

    async def _commit(self, tree: str, kept: Kept) -> str:
        message = msgspec.json.encode(kept) + b"\n"
        dates = {f"GIT_{who}_DATE": f"@{kept.checkpoint.at // 1000} +0000" for who in ("AUTHOR", "COMMITTER")}
        for parent in (("-p", "HEAD"), ()):
            done = await run_git(
                self.record.worktree, "commit-tree", *parent, "-F", "-", tree,
                accept=(0, 128) if parent else (0,), given=message,
                environment={**self.snapshot.worktree.real, **_AUTHOR, **dates},
            )  # fmt: skip
            if done.exit_code == 0:
                break
        return done.text.strip()

    async def _drop(self, kept: Kept) -> None:
        await self._git("update-ref", "-d", _ref(self._task_id, kept.id))
        self.known = [each for each in self.known if each.id != kept.id]

    async def _git(self, *arguments: str) -> None:
        await run_git(
            self.record.worktree, "-c", "core.logAllRefUpdates=false", *arguments,
            environment=self.snapshot.worktree.real,
        )  # fmt: skip


def _find(known: Sequence[Kept], since: str) -> Kept | None:
    """The checkpoint of this id, or the one before the last prompt."""
    if since == LAST:
        return next((each for each in reversed(known) if each.checkpoint.when is When.BEFORE), None)
    return next((each for each in known if each.id == since), None)


def _ref(task_id: str, checkpoint_id: str) -> str:
    return f"refs/foundry/{task_id}/{checkpoint_id}"


def _id(when: When, cause: str, number: int) -> str:
    """A checkpoint's id, the same each time that it is made for the same cause."""
    digest = hashlib.sha256(cause.encode()).hexdigest()[:12]
    return f"{when}-{digest}" if number == 1 else f"{when}-{digest}-{number}"


def _begin_anew(place: Path, common: str, task_id: str) -> None:
    """In a thread: end what an earlier run of the backend left at work, and note where the repository is."""
    lock = place / "git" / "index.lock"
    if lock.exists():
        processes.end_marked(task_id, CHECKPOINT_MARK)
        lock.unlink(missing_ok=True)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(place / _COMMON, common.encode("utf-8", "surrogateescape"))


def _is_large(worktree: Worktree) -> bool:
    try:
        return (Path(worktree.git_dir) / "index").stat().st_size > LARGE
    except OSError:
        return False


def _write(path: Path, content: bytes) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(content)
    new.replace(path)


def _last(path: Path) -> _Last | None:
    try:
        return decode(path.read_bytes(), _Last)
    except (OSError, msgspec.DecodeError):
        return None
