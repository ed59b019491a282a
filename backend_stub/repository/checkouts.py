"""Where a branch of a repository stands, and which worktree has it."""

from collections.abc import Iterator, Sequence

from backend_stub.domain.errors import GitError
from backend_stub.repository.git import Told, run_git

LISTING = ("worktree", "list", "--porcelain", "-z")
"""The command whose output tells of worktrees."""


def worktrees_of(listing: str) -> Iterator[tuple[str, Sequence[str]]]:
    """The worktrees of a listing: the path of each, and what git notes of it."""
    for entry in listing.split("\0\0"):
        place, *notes = entry.split("\0")
        if place.startswith("worktree "):
            yield place.removeprefix("worktree "), notes


def checkout_in(listing: str, branch: str, *, but_for: str | None = None) -> str | None:
    """The worktree of a listing that has the branch checked out; that in the folder `but_for` does not count."""
    wanted = f"branch refs/heads/{branch}"
    return next((place for place, notes in worktrees_of(listing) if wanted in notes and place != but_for), None)


async def name_behind(folder: str, branch: str, told: Told) -> str:
    """The branch that one stands for which is but another name of it (`git symbolic-ref refs/heads/master
    refs/heads/main`): worktrees are on that one. Any other is its own.
    """
    words = ("symbolic-ref", "--quiet", f"refs/heads/{branch}")
    done = await run_git(folder, *words, told=told, accept=(0, 1, 128), bare=True)
    return done.text.strip().removeprefix("refs/heads/") if done.exit_code == 0 else branch


async def commit_of(folder: str, name: str, told: Told) -> str | None:
    """The commit that a name stands for in the repository in `folder`, if it has one; raises `GitError`."""
    done = await run_git(
        folder,
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        f"{name}^{{commit}}",
        told=told,
        accept=(0, 1),
        bare=True,
    )
    return done.text.strip() or None if done.exit_code == 0 else None


def no_such_branch(branch: str, repository: str) -> GitError:
    """There is none, here or at the remote."""
    return GitError(
        f"There is no branch {branch} in {repository}, and none at its remote. Look at its spelling (git branch "
        "--all), and create the task again.",
        retryable=False,
    )


async def expect_free(folder: str, branch: str, told: Told, *, but_for: str | None = None) -> None:
    """Raise `GitError`, which names the worktree, when one has the branch; that in the folder `but_for` does not count.

    A worktree that somebody removed has its branch until git is told so.
    """
    listed = await run_git(folder, *LISTING, told=told, bare=True)
    taken = checkout_in(listed.text, await name_behind(folder, branch, told), but_for=but_for)
    if taken is not None:
        raise GitError(
            f"The branch {branch} is taken: the worktree {taken} has it. Switch to another branch there, or archive "
            "the task that works there, then retry; if that folder is gone: git worktree prune.",
            retryable=False,
        )
