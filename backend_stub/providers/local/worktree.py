"""Making, finding and removing the worktree of a task, so that a kill at any moment leaves what can be gone on with."""

import os
import shutil
import stat
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from backend_stub.domain.errors import GitError, ProviderError
from backend_stub.providers.local.branch_start import HEADS, Plan, beginning_of
from backend_stub.providers.local.sandbox_record import Made, Record, Records
from backend_stub.repository.checkouts import LISTING, commit_of, expect_free, worktrees_of
from backend_stub.repository.files import TABLE_HEAD, inside_of, mode_of, read_text, symbolic_ref
from backend_stub.repository.git import TREE_TIMEOUT, Told, run_git
from backend_stub.repository.location import NotARepositoryError, find_folders, is_text

COUNT_LIMIT = 60.0


class Worktrees:
    """Worktrees by task. One at a time is made or removed in a repository, since git locks its refs and lists."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._locks: dict[str, anyio.Lock] = {}

    async def make(self, plan: Plan, told: Told) -> tuple[Record, bool]:
        """The task's worktree, and whether it was there already; completes what was left half-made.

        Raises `GitError` when the branch or the base will not do, `ProviderError` when the place is somebody else's.
        """
        record = await anyio.to_thread.run_sync(self._records.load, plan.task_id)
        # The folder that was named may be gone by now, if it was itself a linked worktree.
        known = await anyio.to_thread.run_sync(common_of, record) if record is not None else None
        common = known or await anyio.to_thread.run_sync(find_common, plan.repository)
        if common is None:
            raise ProviderError(f"{plan.repository} is no git repository any more", retryable=False)
        async with self._lock(common):
            if record is None:
                return await self._make_new(plan, common, told), False
            if record.branch != plan.branch or record.repository != plan.repository:
                raise ProviderError(
                    f"the sandbox of this task was made for branch {record.branch} of {record.repository}",
                    retryable=False,
                )
            if record.made in (Made.READY, Made.MADE) and await self._stands(record, told):
                return record, True
            return await self._complete(record, told), False

    async def finish(self, record: Record) -> Record:
        """Note that the sandbox is complete: from now on somebody may have worked in it."""
        now = await anyio.to_thread.run_sync(self._records.clock, record.task_id)
        return await self._mark(msgspec.structs.replace(record, ready_at=now), Made.READY)

    async def look(self, record: Record, told: Told) -> str | None:
        """The branch that the worktree is on as git has it, None for no branch.

        A branch that was renamed is the task's own by its new name from now on. Raises `ProviderError` when there is
        no worktree to work in, with what happened and what to do.
        """
        common = await anyio.to_thread.run_sync(common_of, record)
        if common is None:
            raise ProviderError(
                f"The repository {record.repository} is gone, and this task's worktree {record.worktree} with it. Put "
                "the repository back, then retry.",
                retryable=False,
            )
        if not await anyio.to_thread.run_sync(_is_ours, Path(record.worktree), common):
            place = await anyio.to_thread.run_sync(_moved_to, record)
            if place is not None:
                raise ProviderError(
                    f"The worktree of this task was moved to {place}. Move it back, then retry: "
                    f"git -C {common} worktree move {place} {record.worktree}",
                    retryable=False,
                )
            raise ProviderError(
                f"The worktree {record.worktree} of this task is gone: somebody removed or moved it. Retry makes it "
                f"again as its branch {record.branch} has it; if it was moved, move it back first.",
                retryable=False,
            )
        git_dir = await anyio.to_thread.run_sync(git_dir_of, record)
        if git_dir is None:
            raise ProviderError(
                f"git knows nothing of the worktree {record.worktree} any more. Move the folder away, then retry: that "
                f"makes it again as its branch {record.branch} has it.",
                retryable=False,
            )
        if await anyio.to_thread.run_sync(linked_git_dir, Path(record.worktree)) is None:
            raise ProviderError(
                f"The .git of the worktree {record.worktree} is gone. Retry writes it again.", retryable=False
            )
        branch = await self._branch(record, git_dir, told)
        if branch is not None and not is_text(branch):
            return branch.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        if branch not in (None, record.branch) and not await commit_of(common, HEADS + record.branch, told):
            renamed = msgspec.structs.replace(record, branch=branch, git_dir=git_dir)
            await anyio.to_thread.run_sync(self._records.save, renamed)
        return branch

    async def _branch(self, record: Record, git_dir: str, told: Told) -> str | None:
        """The branch that HEAD names, with surrogates where its name is no text; None for no branch.

        Read without git, which is asked only where refs are kept in a table.
        """
        ref = symbolic_ref(await anyio.to_thread.run_sync(read_text, f"{git_dir}/HEAD"))
        if ref == TABLE_HEAD:
            head = await run_git(
                record.worktree,
                "symbolic-ref",
                "-q",
                "HEAD",
                told=told,
                accept=(0, 1),
                environment={"GIT_DIR": git_dir},
            )
            ref = head.text.strip()
        return ref.removeprefix("refs/heads/") if ref else None

    async def restore(self, record: Record, told: Told) -> Record | None:
        """Make the worktree again if it is gone, as its index or else its branch has it; None when it is there.

        What git keeps of it (HEAD, index, commits of submodules) is used again, never thrown away. Raises
        `ProviderError` or `GitError` when that cannot be.
        """
        common = await anyio.to_thread.run_sync(common_of, record)
        path = Path(record.worktree)
        if common is None:
            await self.look(record, told)
            return None
        there = await anyio.to_thread.run_sync(_is_ours, path, common)
        git_dir = await anyio.to_thread.run_sync(git_dir_of, record)
        if there:
            whole = git_dir is None or await anyio.to_thread.run_sync(linked_git_dir, path) is not None
        else:
            whole = await anyio.to_thread.run_sync(_moved_to, record) is not None
        if whole:
            await self.look(record, told)
            return None
        async with self._lock(common):
            if git_dir is not None:
                if await anyio.to_thread.run_sync(_point, path, git_dir):
                    return record
                await run_git(
                    str(path),
                    "checkout-index",
                    "--all",
                    "--quiet",
                    told=told,
                    timeout=TREE_TIMEOUT,
                    accept=(0, 1),
                    environment={"GIT_DIR": git_dir},
                )
                return await self._mark(record, Made.MADE)
            if await commit_of(common, HEADS + record.branch, told) is None:
                raise ProviderError(
                    f"The worktree {path} of this task is gone, and so is its branch {record.branch}. Put the branch "
                    f"back (git branch {record.branch} COMMIT; `git reflog` may know it), then retry.",
                    retryable=False,
                )
            return await self._add(record, told, new_branch=False)

    async def released(self, record: Record) -> Record:
        """Note that the worktree was removed and its branch kept."""
        return await self._mark(record, Made.RELEASED)

    async def remove(self, record: Record, told: Told, *, force: bool) -> None:
        """Remove the worktree of this record and nothing else; the branch stays. Nothing there is success.

        Whether it holds work is looked at before. Raises `ProviderError` for what is not ours, whether forced or not,
        and for what was locked or cannot be judged any more, unless forced.
        """
        path = Path(record.worktree)
        common = await anyio.to_thread.run_sync(common_of, record)
        async with self._lock(common or record.repository):
            await anyio.to_thread.run_sync(_remove_tree, self._records.removed(record.task_id))
            there = await anyio.to_thread.run_sync(_is_ours, path, common)
            entry = None if common is None else await self._entry(record, told)
            if there and not force:
                _refuse_unclear(record, common, entry)
            await self._discard(record, told, registered=entry is not None)

    async def delete_branch(self, record: Record, told: Told, *, force: bool) -> None:
        """Delete the branch that was made for the task; one that is gone already, or was there before, is left alone.

        Raises `ProviderError` for a branch of that name that is another one by now, and for commits that no other
        branch has unless forced.
        """
        common = await anyio.to_thread.run_sync(common_of, record)
        if common is None or not record.own_branch:
            return
        async with self._lock(common):
            tip = await commit_of(common, HEADS + record.branch, told)
            if tip is None:
                return
            ours = await run_git(
                common,
                "merge-base",
                "--is-ancestor",
                "--",
                record.base_commit,
                tip,
                told=told,
                accept=(0, 1, 128),
                bare=True,
            )
            if ours.exit_code != 0:
                raise ProviderError(
                    f"the branch {record.branch} does not begin where this task's did, so it is not ours and is kept",
                    retryable=False,
                )
            commits = 0 if force else await commits_lost(common, record.branch, told=told)
            if commits:
                raise ProviderError(
                    f"the branch {record.branch} is kept: it has {commits} unpushed "
                    f"{'commit' if commits == 1 else 'commits'}; push it or delete it yourself",
                    retryable=False,
                )
            words: tuple[str, ...] = ("branch", "-D", "--", record.branch)
            if record.cloned:
                # The HEAD of a clone of ours may name it, which is enough for git to call it checked out.
                await expect_free(common, record.branch, told, but_for=record.repository)
                words = ("update-ref", "-d", HEADS + record.branch, tip)
            await run_git(common, *words, told=told, bare=True)

    async def _make_new(self, plan: Plan, common: str, told: Told) -> Record:
        path = self._records.worktree(plan.task_id, plan.repository)
        if await anyio.to_thread.run_sync(_exists, path):
            raise ProviderError(
                f"{path} is there already and was not made for this task; move it away", retryable=False
            )
        begun = await beginning_of(plan, common, told)
        record = Record(
            task_id=plan.task_id,
            repository=plan.repository,
            worktree=str(path),
            branch=plan.branch,
            base=begun.base,
            base_commit=begun.base_commit,
            created_at=time.time_ns() // 1_000_000,
            common=common,
            begun_at=begun.commit,
            own_branch=begun.is_new,
            cloned=plan.cloned,
        )
        await anyio.to_thread.run_sync(self._records.save, record)
        return await self._add(record, told, new_branch=begun.is_new)

    async def _complete(self, record: Record, told: Told) -> Record:
        """Make what a killed or undone making left out. Before `made` nobody can have worked there."""
        common = await anyio.to_thread.run_sync(common_of, record) or record.repository
        head = await commit_of(common, HEADS + record.branch, told)
        begun_at = record.begun_at or record.base_commit
        if record.own_branch and record.made is Made.MAKING and head not in (None, begun_at):
            raise GitError(f"the branch {record.branch} was made by somebody else; choose another", retryable=False)
        await self._clear(record, told)
        return await self._add(record, told, new_branch=head is None)

    async def _clear(self, record: Record, told: Told) -> None:
        """Make room where the worktree goes; what may have been worked in is not ours to put away."""
        path = Path(record.worktree)
        common = await anyio.to_thread.run_sync(common_of, record)
        there = await anyio.to_thread.run_sync(_is_ours, path, common)
        if there and record.made is not Made.MAKING:
            raise ProviderError(f"{path} is no worktree of this task any more; move it away", retryable=False)
        registered = await self._entry(record, told) is not None
        await self._discard(record, told, registered=registered)

    async def _discard(self, record: Record, told: Told, *, registered: bool) -> None:
        """Take the worktree away in one step: what a kill leaves of its removal cannot be taken for a worktree."""
        path, removed = Path(record.worktree), self._records.removed(record.task_id)
        if await anyio.to_thread.run_sync(path.is_dir):
            await anyio.to_thread.run_sync(path.rename, removed)
        if registered:
            # Twice, since a worktree that was being made when git was killed is locked.
            common = record.common or record.repository
            arguments = ("worktree", "remove", "--force", "--force", "--", str(path))
            await run_git(common, *arguments, told=told, bare=True)
        await anyio.to_thread.run_sync(_remove_tree, removed)

    async def _add(self, record: Record, told: Told, *, new_branch: bool) -> Record:
        path = Path(record.worktree)
        await anyio.to_thread.run_sync(lambda: path.parent.mkdir(parents=True, exist_ok=True, mode=0o700))
        how = ("-b", record.branch, "--no-track") if new_branch else ()
        # The HEAD of a clone of ours names a branch, and nobody has that checked out.
        how = ("--force", *how) if record.cloned else how
        start = (record.begun_at or record.base_commit) if new_branch else record.branch
        common = await anyio.to_thread.run_sync(common_of, record) or record.repository
        if record.cloned:
            await expect_free(common, record.branch, told, but_for=record.repository)
        arguments = ("worktree", "add", *how, "--", str(path), start)
        await run_git(common, *arguments, told=told, timeout=TREE_TIMEOUT, bare=True)
        if not (new_branch or record.cloned):
            # Git looks before it makes it, and whoever switched to the branch meanwhile has looked before that, too.
            try:
                await expect_free(common, record.branch, told, but_for=record.worktree)
            except GitError:
                await self._discard(record, told, registered=True)
                raise
        git_dir = await anyio.to_thread.run_sync(linked_git_dir, path)
        made = msgspec.structs.replace(record, common=common, git_dir=str(git_dir or ""))
        return await self._mark(made, Made.MADE)

    async def _mark(self, record: Record, made: Made) -> Record:
        record = msgspec.structs.replace(record, made=made)
        await anyio.to_thread.run_sync(self._records.save, record)
        return record

    async def _stands(self, record: Record, told: Told) -> bool:
        common = await anyio.to_thread.run_sync(common_of, record)
        there = await anyio.to_thread.run_sync(_is_ours, Path(record.worktree), common)
        return there and await self._entry(record, told) is not None

    async def _entry(self, record: Record, told: Told) -> Sequence[str] | None:
        """What git has noted of this path among the repository's worktrees; None when it is not among them."""
        common = record.common or record.repository
        listed = await run_git(common, *LISTING, told=told, bare=True)
        return next((notes for place, notes in worktrees_of(listed.text) if place == record.worktree), None)

    def _lock(self, common: str) -> anyio.Lock:
        return self._locks.setdefault(common, anyio.Lock())


async def commits_lost(common: str, branch: str, *, told: Told | None = None) -> int:
    """How many commits no branch would have any more, local or remote, nor a tag, once `branch` is deleted.

    `common` is the repository's git folder.
    """
    counted = await run_git(
        common,
        "rev-list",
        "--count",
        "--ignore-missing",
        f"refs/heads/{branch}",
        "--not",
        f"--exclude={branch}",
        "--branches",
        "--remotes",
        "--tags",
        "--",
        told=told,
        timeout=COUNT_LIMIT,
        bare=True,
    )
    return int(counted.text.strip() or "0")


def _refuse_unclear(record: Record, common: str | None, entry: Sequence[str] | None) -> None:
    """Raise `ProviderError` for a worktree that cannot be judged, or that somebody protected."""
    kept = f"{record.worktree} is kept; when nothing in it is needed, remove it yourself"
    if common is None:
        raise ProviderError(f"the repository {record.repository} is gone, and {kept}", retryable=False)
    if entry is None:
        raise ProviderError(f"{record.repository} knows nothing of its worktree any more: {kept}", retryable=False)
    if any(note.partition(" ")[0] == "locked" for note in entry):
        raise ProviderError(
            f"{record.worktree} is locked, so it is kept; git worktree unlock {record.worktree} lets go of it",
            retryable=False,
        )


def find_common(repository: str) -> str | None:
    """The git folder of a repository's refs and worktrees, or None when it is no repository any more."""
    try:
        folders = find_folders(repository)
    except NotARepositoryError:
        return None
    return folders.common if Path(folders.top) == Path(repository) else None


def common_of(record: Record) -> str | None:
    """The same as it was when the worktree was made, or None when it is gone."""
    if not record.common:
        return find_common(record.repository)
    return record.common if inside_of(record.common) is not None else None


def linked_git_dir(worktree: Path) -> Path | None:
    """Where the worktree says that git keeps what it knows of it."""
    pointer = (read_text(worktree / ".git") or "").removeprefix("gitdir:").strip()
    return Path(os.path.realpath(worktree / pointer)) if pointer else None


def git_dir_of(record: Record) -> str | None:
    """What git keeps of the worktree (its HEAD, its index, its submodules), or None when that is gone."""
    git_dir = record.git_dir or str(linked_git_dir(Path(record.worktree)) or "")
    return git_dir if git_dir and mode_of(f"{git_dir}/HEAD", follow=False) is not None else None


def _moved_to(record: Record) -> Path | None:
    """Where the worktree is now, when git was told that it was moved."""
    git_dir = git_dir_of(record)
    inside = Path((read_text(f"{git_dir}/gitdir") or "").strip()) if git_dir else Path()
    return inside.parent if inside.name == ".git" and inside.exists() else None


def _point(worktree: Path, git_dir: str) -> bool:
    """Make the folder the worktree that git keeps this of, again; whether it has files that are to be left alone."""
    worktree.mkdir(parents=True, exist_ok=True, mode=0o700)
    has_files = any(worktree.iterdir())
    (worktree / ".git").write_text(f"gitdir: {git_dir}\n")
    return has_files


def _is_ours(path: Path, common: str | None) -> bool:
    """Whether the worktree is there, as a folder that may be taken for ours: False when nothing is.

    Raises `ProviderError` for what somebody else put in its place: a link, a file, another repository or a worktree of
    another one.
    """
    if path.resolve() != path:
        raise ProviderError(f"{path} leads through a symbolic link, which is not ours to follow", retryable=False)
    if not path.exists():
        return False
    inside, entry = path / ".git", linked_git_dir(path)
    worktrees = None if common is None else Path(common) / "worktrees"
    foreign = entry is not None and entry.exists() and entry.parent != worktrees
    if foreign or inside.is_dir() or not path.is_dir():
        raise ProviderError(
            f"{path} is no worktree of this task any more: something else was put there, which is not ours. "
            "Move it away",
            retryable=False,
        )
    return True


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _remove_tree(path: Path) -> None:
    """Remove a folder, its read-only folders included; a link in it is removed, not followed."""
    if path.is_symlink() or not path.exists():
        return
    try:
        shutil.rmtree(path)
    except PermissionError:
        for folder in (path, *path.rglob("*")):
            if folder.is_dir() and not folder.is_symlink() and not folder.stat().st_mode & stat.S_IWUSR:
                folder.chmod(stat.S_IRWXU)
        shutil.rmtree(path)
