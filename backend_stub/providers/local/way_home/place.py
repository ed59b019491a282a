"""The worktree that an operation works on, and git in it: as the person would run it, with their hooks and signing."""

import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from backend_stub.domain.call import Call
from backend_stub.domain.errors import GitError
from backend_stub.machine import processes
from backend_stub.providers.local.sandbox_record import OPERATION, Record
from backend_stub.providers.local.worktree import git_dir_of
from backend_stub.repository.checkouts import LISTING, worktrees_of
from backend_stub.repository.git import Command, Output, run_git
from backend_stub.repository.git_errors import explain
from foundry_tui.contract.records import Operation

GIT_LIMIT = 300.0
"""Seconds that one command may take; hooks count with it."""
LOCK_SECONDS = 1.0
"""Seconds after which the lock of a ref that is as it was is held by nobody."""
OPERATION_MARK = "FOUNDRY_OPERATION_ID"
"""Environment variable by which a git that outlived the backend is known as this operation's."""
HEADS = "refs/heads/"
ORIGIN = "refs/remotes/origin/"
_NOBODY = re.compile(
    r"please tell me who you are|unable to auto-detect email|empty ident name|no (?:name|email) was given",
    re.IGNORECASE,
)
_UNSIGNED = re.compile(
    r"failed to sign|signing failed|couldn't (?:sign|load public key)|user\.signingkey", re.IGNORECASE
)
_FATAL = re.compile(r"^(?:fatal|error): ")
_IN_PROGRESS = {
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
}


class Place:
    """The worktree of a task, for one operation."""

    def __init__(self, call: Call, operation: Operation, record: Record, git_dir: str) -> None:
        self._call = call
        self._operation = operation
        self.operation_id = operation.operation_id
        self.record = record
        self.folder = Path(record.worktree)
        self.git_dir = Path(git_dir)
        self.common = self.git_dir.parents[1]
        """The git folder that the worktree shares with all checkouts of its repository."""
        self.own = self.folder.parents[1] / OPERATION
        """A folder for what an operation keeps while it lasts."""

    @classmethod
    async def of(cls, call: Call, operation: Operation, record: Record) -> "Place | None":
        """None when git knows nothing of the worktree."""
        git_dir = await anyio.to_thread.run_sync(git_dir_of, record)
        return None if git_dir is None else cls(call, operation, record, git_dir)

    async def git(
        self,
        *arguments: str,
        accept: Collection[int] = (0,),
        folder: Path | None = None,
        given: bytes = b"",
        variables: Mapping[str, str] | None = None,
    ) -> Output:
        """Run git with the person's hooks, in the worktree or in another of the repository's; raises `GitError`."""
        own = folder is None
        return await run_git(
            str(folder or self.folder),
            *arguments,
            told=self.told,
            timeout=GIT_LIMIT,
            accept=accept,
            environment={
                OPERATION_MARK: self._operation.operation_id,
                "GIT_OPTIONAL_LOCKS": "1",
                # What an agent may have written into the worktree's `.git` is not followed.
                **({"GIT_DIR": str(self.git_dir)} if own else {}),
                **(variables or {}),
            },
            given=given,
            hooks=True,
        )

    def told(self, command: Command) -> None:
        """Log a command that was run."""
        self._call.log(str(command))

    async def text(
        self,
        *arguments: str,
        accept: Collection[int] = (0,),
        folder: Path | None = None,
    ) -> str:
        """What git prints, "" when it ends otherwise than well."""
        done = await self.git(*arguments, accept=accept, folder=folder)
        return done.text.rstrip("\n") if done.exit_code == 0 else ""

    async def explained(self, words: Sequence[str], stderr: str, remote: str, *side: str) -> GitError:
        """Why git could not talk to a remote; `side` is `--push` where that may have a URL of its own."""
        url = await self.text("remote", "get-url", *side, "--", remote, accept=(0, 2, 128))
        explaining = partial(explain, words, str(self.folder), 1, stderr, remote=(remote, url) if url else None)
        return await anyio.to_thread.run_sync(explaining)

    async def commit_of(self, name: str) -> str:
        """The commit of a name, "" without one."""
        return await self.text(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", accept=(0, 1, 128)
        )

    async def holds(self, commit: str, name: str) -> bool:
        """Whether what this name stands for has all of the commit."""
        done = await self.git("merge-base", "--is-ancestor", commit, name, accept=(0, 1, 128))
        return done.exit_code == 0

    async def branch(self) -> str:
        """The branch that the worktree is on; raises `GitError` when it is on none."""
        ref = await self.text("symbolic-ref", "--quiet", "HEAD", accept=(0, 1))
        if not ref.startswith(HEADS):
            raise GitError(
                f"The sandbox is on no branch. Switch to one in {self.folder}, then do this again.", retryable=False
            )
        return ref.removeprefix(HEADS)

    async def dirty(self, folder: Path | None = None) -> Sequence[str]:
        """Files of a worktree that differ from its HEAD, also those that git does not know yet.

        The index is not written anew, as git does by the way: killed then, it would leave a lock.
        """
        listed = await self.git(
            "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=dirty",
            folder=folder, variables={"GIT_OPTIONAL_LOCKS": "0"},
        )  # fmt: skip
        return [entry[3:] for entry in listed.text.split("\0") if entry]

    async def is_sparse(self, folder: Path | None = None) -> bool:
        """Whether only a part of what the branch has is checked out in a worktree."""
        return (
            await self.text("config", "--type=bool", "--get", "core.sparseCheckout", accept=(0, 1), folder=folder)
            == "true"
        )

    async def in_progress(self, git_dir: Path | None = None) -> str | None:
        """What was begun in the worktree, or in another one, and not ended (a merge, a rebase …)."""

        def find() -> str | None:
            place = git_dir or self.git_dir
            return next((what for name, what in _IN_PROGRESS.items() if (place / name).exists()), None)

        return await anyio.to_thread.run_sync(find)

    async def expect_nothing_in_progress(self) -> None:
        """Raises `GitError` when a merge or the like is under way: that is somebody's work."""
        if (what := await self.in_progress()) is not None:
            raise GitError(
                f"A {what} is under way in {self.folder}. End it there (git {what} --continue or --abort), or have the "
                "agent do that; then do this again.",
                retryable=False,
            )

    async def end_strays(self) -> None:
        """End what an earlier run of this operation left running. Git takes its locks along, being asked first."""
        id_ = self._operation.operation_id
        await anyio.to_thread.run_sync(partial(processes.end_marked, id_, OPERATION_MARK, gently=True))

    async def take_over(self) -> None:
        """The same for one that has begun to change the worktree: locks that nobody holds any more are taken away."""
        await self.end_strays()

        def unlock() -> None:
            locks = list(self.git_dir.rglob("*.lock"))
            if locks and not processes.at_work("git", (self.folder, self.git_dir)):
                for lock in locks:
                    lock.unlink(missing_ok=True)

        await anyio.to_thread.run_sync(unlock)

    async def free_refs(self, *more: str) -> None:
        """Take away the locks of refs that a git of this operation has left, being killed with the backend: on its
        branch, on what it fetches and pushes, and on the refs `more`. While somebody else's git is at work in the
        repository they may be that one's, and stay; ours hold one for a moment only.
        """
        common = self.common
        since = min((step.started_at or 0 for step in self._operation.steps), default=0) / 1000 - 1

        def left() -> dict[Path, tuple[int, int]]:
            names = [self.record.branch and f"{HEADS}{self.record.branch}", *more]
            places = [common / f"{name}.lock" for name in names if name]
            places += [
                *(common / "refs" / "remotes").rglob("*.lock"),
                common / "packed-refs.lock",
                common / "HEAD.lock",
            ]
            found = {}
            for lock in places:
                with suppress(OSError):
                    held = lock.stat()
                    if held.st_mtime >= since:
                        found[lock] = (held.st_ino, held.st_mtime_ns)
            return found

        found = await anyio.to_thread.run_sync(left)
        if not found:
            return
        await anyio.sleep(LOCK_SECONDS)
        checkouts = [Path(folder) for folder, _ in worktrees_of(await self.text(*LISTING))]
        if await anyio.to_thread.run_sync(processes.at_work, "git", (*checkouts, common)):
            return
        still = await anyio.to_thread.run_sync(left)
        for lock in (lock for lock, held in still.items() if found.get(lock) == held):
            await anyio.to_thread.run_sync(partial(lock.unlink, missing_ok=True))

    async def save_index(self) -> None:
        """Keep the index as it is now, for `restore_index`; a second time changes nothing."""

        def save() -> None:
            kept = self.own / "index"
            if not kept.exists():
                self.own.mkdir(mode=0o700, exist_ok=True)
                if (self.git_dir / "index").exists():
                    shutil.copy2(self.git_dir / "index", self.own / "index.new")
                    (self.own / "index.new").rename(kept)

        await anyio.to_thread.run_sync(save)

    async def restore_index(self) -> None:
        """Put the index back that was kept, if one was."""

        def restore() -> None:
            kept = self.own / "index"
            if kept.exists():
                kept.replace(self.git_dir / "index")

        await anyio.to_thread.run_sync(restore)

    async def clear(self) -> None:
        """What an operation kept is not needed any more: another one begins, or all is as it was."""
        await anyio.to_thread.run_sync(lambda: shutil.rmtree(self.own, ignore_errors=True))


def said_by(output: Output) -> str:
    """The last lines of what git, or a hook that it ran, said of its failure."""
    lines = [_FATAL.sub("", line.strip()) for line in (output.stderr + output.text).splitlines()]
    # What git advises is for somebody at a prompt in the middle of it.
    said = [line for line in lines if line and not line.startswith(("hint:", "Not committing merge;"))]
    return " · ".join(said[-4:])[:600].rstrip(".") or f"exit code {output.exit_code}"


def refused(what: str, output: Output) -> GitError:
    """Why git made no commit, with what to do where that is known; `what` begins the sentence otherwise."""
    if _NOBODY.search(output.stderr):
        return GitError(
            "git does not know who commits here. Tell it: git config --global user.name NAME, and git config --global "
            "user.email ADDRESS.",
            retryable=False,
        )
    if _UNSIGNED.search(output.stderr):
        return GitError(
            f"git could not sign the commit: {said_by(output)}. See that the key can be used without a question (git "
            "config user.signingKey), or have commits unsigned: git config commit.gpgSign false.",
            retryable=False,
        )
    return GitError(
        f"{what}: {said_by(output)}. Mend what it names, or have the agent do it; then do this again.", retryable=False
    )


def listed(names: Sequence[str], most: int = 5) -> str:
    """Some names, and how many more there are."""
    shown = ", ".join(name.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


async def base_of(place: Place) -> str | None:
    """The ref of the base that the branch is brought up to, the remote's where one is known; None when it is gone."""
    base = place.record.base
    name = base.removeprefix(HEADS).removeprefix(ORIGIN)
    for ref in (f"{ORIGIN}{name}", base):
        if await place.commit_of(ref):
            return ref
    return None


def short(ref: str) -> str:
    """A ref as people say it."""
    return ref.removeprefix(HEADS).removeprefix("refs/remotes/")
