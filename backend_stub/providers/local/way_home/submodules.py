"""Submodules that a branch has put on commits which nobody else could get: said before the branch goes anywhere."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import anyio.to_thread

from backend_stub.domain.errors import GitError
from backend_stub.providers.local.submodule_commits import git_folder_of, has_commit, kept_submodules, unpushed
from backend_stub.providers.local.way_home.place import HEADS, Place, listed

_PUT_ON = re.compile(r":\d{6} 160000 [0-9a-f]+ ([0-9a-f]+) [A-Z]\d*\0([^\0]+)\0")
"""A submodule in what `git log --raw -z` prints: the commit that it was put on, and its name."""


async def expect_reachable(place: Place, branch: str, *commits: str, here: bool = False) -> None:
    """Raises `GitError` where these commits of the branch (as `git log` takes them) put a submodule on a commit that
    none of its remotes has. `here`: the person's own repository may have it instead.

    What a submodule that is not filled was put on, nobody can look at.
    """
    if "160000 " not in await place.text("ls-files", "--stage"):
        return
    words = ("log", "--raw", "-z", "-m", "--root", "--no-abbrev", "--no-renames", "--ignore-submodules=none")
    raw = await place.text(*words, "--format=", *commits, "--")
    found: dict[str, str] = {}
    for commit, name in _PUT_ON.findall(f"{raw}\0"):
        # The newest is told of first.
        if name not in found and await _is_nowhere_else(place, name, commit, here=here):
            found[name] = commit
    if not found:
        return
    name, commit = next(iter(found.items()))
    them = "them" if len(found) > 1 else "it"
    push = f"git -C {shlex.quote(str(place.folder / name))} push origin {commit[:10]}:{HEADS}{branch}"
    raise GitError(
        f"The branch puts {listed(list(found), 3)} on a commit that no remote of the submodule has: nobody else could "
        f"fill {them}. Push that first, or have the agent do it ({push}); then do this again.",
        retryable=False,
    )


async def _is_nowhere_else(place: Place, name: str, commit: str, *, here: bool) -> bool:
    inside = await anyio.to_thread.run_sync(git_folder_of, place.folder / name)
    if inside is None or not await unpushed(inside, (commit,), place.told):
        return False
    for store in await anyio.to_thread.run_sync(_of_the_person, place, name) if here else ():
        if await has_commit(store, commit, place.told):
            return False
    return True


def _of_the_person(place: Place, name: str) -> Sequence[Path]:
    """In a thread: the git folders in which the person's own repository may have a submodule's commits."""
    own = git_folder_of(Path(place.record.repository) / name)
    kept = kept_submodules(place.record.common or "").values() if place.record.common else ()
    return [*([own] if own is not None else []), *kept]
