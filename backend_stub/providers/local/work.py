"""How a branch stands to its base and its remote, and what is not committed yet; nothing of the person is touched."""

import re
from collections.abc import Sequence
from pathlib import Path

import anyio
import anyio.to_thread

from backend_stub.domain.errors import GitError
from backend_stub.providers.local.comparison import printable
from backend_stub.providers.local.own_git_folder import room_beside
from backend_stub.providers.local.sandbox_record import Record
from backend_stub.providers.local.worktree import git_dir_of
from backend_stub.repository.git import run_git
from foundry_tui.contract.file_names import read
from foundry_tui.contract.records import FileDiff
from foundry_tui.contract.work import Work

GIT_LIMIT = 60.0
MOST_CONFLICTS = 50
"""Paths with conflicts that are told."""
_SHORT = 10
"""Digits of a base that is a commit and no branch."""
_HEADS, _REMOTE = "refs/heads/", "refs/remotes/origin/"
_CLASH = 1
"""How `git merge-tree` ends when there are conflicts."""


async def work_of(record: Record, files: Sequence[FileDiff], now: int) -> Work:
    """Look at the worktree's branch; `files` are its changes since it left its base. Raises `GitError`, `OSError`."""
    git_dir = await anyio.to_thread.run_sync(git_dir_of, record)
    if git_dir is None:
        raise GitError(f"git knows nothing of the worktree {record.worktree} any more", retryable=False)
    git = _Git(record, {"GIT_DIR": git_dir, "GIT_WORK_TREE": record.worktree})
    base = await git.base()
    behind, ahead = await git.counts(base)
    upstream = await git.upstream()
    return Work(
        base=base.removeprefix(_HEADS).removeprefix("refs/remotes/") if base.startswith("refs/") else base[:_SHORT],
        ahead=ahead,
        behind=behind,
        files=len(files),
        added=_total([file.added for file in files]),
        removed=_total([file.removed for file in files]),
        uncommitted=await git.uncommitted(files),
        pushed=upstream is not None and await git.holds(upstream),
        upstream=None if upstream is None else upstream.removeprefix("refs/remotes/"),
        conflicts=await git.conflicts(base) if ahead and behind else (),
        landed=await git.has_landed(),
        at=now,
    )


class _Git:
    """Asks git of one worktree, without writing anything into its repository."""

    def __init__(self, record: Record, variables: dict[str, str]) -> None:
        self._record = record
        self._variables = variables

    async def base(self) -> str:
        """What the branch is compared with: the remote's where there is one, and a commit that has no name any more."""
        base = self._record.base
        if base.startswith(_HEADS):
            remote = _REMOTE + base.removeprefix(_HEADS)
            if await self._commit(remote):
                return remote
        return base if await self._commit(base) else self._record.base_commit

    async def counts(self, base: str) -> tuple[int, int]:
        """Commits that only the base has, and commits that only the branch has."""
        counted = await self._text("rev-list", "--left-right", "--count", f"{base}...HEAD", "--")
        only_base, _, only_branch = counted.partition("\t")
        return int(only_base or "0"), int(only_branch or "0")

    async def upstream(self) -> str | None:
        """The remote's branch that this one is pushed to: the one configured, else the one of its name at origin."""
        configured = await self._text("rev-parse", "--symbolic-full-name", "@{upstream}", accept=(0, 128))
        branch = await self._text("symbolic-ref", "--quiet", "HEAD", accept=(0, 1))
        # One that was made from the remote's base has that for its upstream, and is not pushed there.
        base = f"/{self._record.base_name}"
        if configured.startswith("refs/remotes/") and (branch.endswith(base) or not configured.endswith(base)):
            return configured
        same = _REMOTE + branch.removeprefix(_HEADS)
        return same if branch.startswith(_HEADS) and await self._commit(same) else None

    async def holds(self, upstream: str) -> bool:
        """Whether the upstream has all that the branch has."""
        return await self._text("rev-list", "--count", f"{upstream}..HEAD", "--") == "0"

    async def uncommitted(self, files: Sequence[FileDiff]) -> int:
        """Files that a commit of everything would take; one that was moved is one of them, as it is of `files`."""
        listed = await self._text(
            "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=dirty"
        )
        names = {entry[3:] for entry in listed.split("\0") if entry}
        return len(names) - sum(1 for file in files if file.status == "R" and names.issuperset(_names_of(file.patch)))

    async def has_landed(self) -> bool:
        """Whether merging the branch's own commits into the local base would change nothing there."""
        base = self._record.base
        local = await self._commit(base) if base.startswith(_HEADS) else ""
        head, begun = await self._commit("HEAD"), self._record.base_commit
        # A base that nobody has moved has nothing of the branch, and is the usual one.
        if not local or local == begun or head == begun:
            return False
        merged = await self._merged(local)
        return merged is not None and merged == [await self._text("rev-parse", f"{local}^{{tree}}")]

    async def conflicts(self, base: str) -> tuple[str, ...] | None:
        """The paths that a merge of the base would not settle; None where this git cannot tell."""
        merged = await self._merged(base)
        if merged is None:
            return None
        return tuple(printable(name) for name in dict.fromkeys(merged[1:]))[:MOST_CONFLICTS]

    async def _merged(self, base: str) -> list[str] | None:
        """The tree that a merge of the base makes, then the paths that it would not settle; None: git cannot tell."""
        async with room_beside(self._record) as room:
            # Merging writes objects: into a folder that is thrown away, while those that are there are read.
            objects = await self._text("rev-parse", "--path-format=absolute", "--git-path", "objects")
            written = Path(room) / "objects"
            await anyio.to_thread.run_sync(written.mkdir)
            done = await run_git(
                self._record.worktree, "merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", base, "HEAD",
                timeout=GIT_LIMIT, accept=(0, _CLASH, 128, 129),
                environment={
                    **self._variables,
                    "GIT_OBJECT_DIRECTORY": str(written),
                    "GIT_ALTERNATE_OBJECT_DIRECTORIES": objects,
                },
            )  # fmt: skip
        if done.exit_code not in (0, _CLASH):
            return None
        return [name for name in done.text.split("\0") if name]

    async def _commit(self, name: str) -> str:
        """The commit of a name, "" without one."""
        return await self._text(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", accept=(0, 1, 128)
        )

    async def _text(self, *arguments: str, accept: Sequence[int] = (0,)) -> str:
        done = await run_git(
            self._record.worktree, *arguments, timeout=GIT_LIMIT, accept=accept, environment=self._variables
        )
        return done.text.strip("\n") if done.exit_code == 0 else ""


def _names_of(patch: str) -> tuple[str, ...]:
    """From where to where a file was moved, by its patch; nothing that is a name where that is not in it."""
    found = (re.search(rf"^rename {way} (.+)$", patch, re.MULTILINE) for way in ("from", "to"))
    return tuple(read(each[1]) if each is not None else "" for each in found)


def _total(counts: Sequence[int | None]) -> int | None:
    """The sum; None when nothing was counted though there is something."""
    known = [count for count in counts if count is not None]
    return sum(known) if known or not counts else None
