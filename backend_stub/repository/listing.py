"""The files of a worktree, or of a branch, as git tells them."""

from collections.abc import Iterable, Mapping

import anyio

from backend_stub.domain.errors import GitError
from backend_stub.repository.git import Output, run_git

LISTING_SECONDS = 60.0


async def files_of(folder: str, environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The files in the worktree: those that git knows, then those that it does not know and does not ignore.

    Names are relative to it, with lone surrogates where they are no UTF-8. `environment` names the git folder, for a
    worktree whose own word for it is not to be trusted. Raises `GitError`.
    """
    found: dict[str, list[str]] = {}

    async def list_(kind: str, *more: str) -> None:
        done = await run_git(folder, "ls-files", "-z", kind, *more, timeout=LISTING_SECONDS, environment=environment)
        found[kind] = _names(done)

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(list_, "--cached")
            group.start_soon(list_, "--deleted")
            group.start_soon(list_, "--others", "--exclude-standard")
    except* GitError as errors:
        raise errors.exceptions[0] from None
    gone = set(found["--deleted"])
    return _files(name for kind in ("--cached", "--others") for name in found[kind] if name not in gone)


async def files_of_branch(folder: str, branch: str | None) -> tuple[str, ...]:
    """The files of a repository's branch, local or as last fetched, or else of its HEAD. Raises `GitError`."""
    refs = (f"refs/heads/{branch}", f"refs/remotes/origin/{branch}") if branch else ()
    for ref in (*refs, "HEAD"):
        done = await run_git(
            folder,
            "ls-tree",
            "-r",
            "-z",
            "--name-only",
            "--full-tree",
            ref,
            timeout=LISTING_SECONDS,
            accept=(0, 128),
            bare=True,
        )
        if done.exit_code == 0:
            return _files(_names(done))
    return ()


def _names(done: Output) -> list[str]:
    return done.text.split("\0")


def _files(names: Iterable[str]) -> tuple[str, ...]:
    """Each once: one with conflicts is told for each side. What ends in a slash is a repository inside."""
    return tuple(dict.fromkeys(name for name in names if name and not name.endswith("/")))
