"""Submodules that a branch has put on commits which nobody else could get: said before the branch goes anywhere."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import anyio.to_thread

from backend_stub.domain.errors import GitError
from backend_stub.providers.local.submodule_commits import git_folder_of, kept_submodules, lacking, unpushed_of
from backend_stub.providers.local.way_home.place import HEADS, Place, listed

_PUT_ON = re.compile(r":+(?:\d{6} )+160000 (?:[0-9a-f]+ )+?([0-9a-f]+) [A-Z]+\d*\0([^\0]+)\0")
"""A submodule in what git prints with `--raw -z`, also of a merge: the commit that it was put on, and its name."""
_RAW = ("--raw", "-z", "--no-abbrev", "--no-renames", "--ignore-submodules=none")


async def expect_pushable(place: Place, branch: str, remote: str) -> None:
    """Raises `GitError` where a commit that a push of the branch would bring to the remote puts a submodule on a commit
    that no remote of the submodule has; git's own `push --recurse-submodules=check` goes by the same.
    """
    without = [f"--remotes={remote}"]
    if not await place.text("for-each-ref", "--count=1", f"refs/remotes/{remote}/"):
        # All history would count as new there; what was before the branch left its base is no part of it.
        without.append(await place.commit_of(place.record.base_commit))
    await _expect_reachable(place, branch, ("HEAD", "--not", *filter(None, without)))


async def expect_landable(place: Place, branch: str, old: str, *, squash: bool) -> None:
    """The same for what a branch at `old` would get; the person's own repository may have the commit instead. Of what
    is squashed only the last state lands.
    """
    parted = await place.text("merge-base", "--", old, "HEAD", accept=(0, 1)) if squash else ""
    await _expect_reachable(
        place, branch, (parted, "HEAD") if parted else (f"{old}..HEAD",), last=bool(parted), here=True
    )


async def _expect_reachable(
    place: Place, branch: str, commits: Sequence[str], *, last: bool = False, here: bool = False
) -> None:
    """`commits` as `git log` takes them; `last`: two of them, of which only the difference counts.

    What a submodule that is not filled was put on, nobody can look at.
    """
    if "160000 " not in await place.text("ls-files", "--stage"):
        return
    words = ("diff-tree", "-r") if last else ("log", "-c", "--root", "--format=")
    raw = await place.text(*words, *_RAW, *commits, "--")
    put_on: dict[str, list[str]] = {}
    for commit, name in _PUT_ON.findall(f"{raw}\0"):
        # The newest is told of first.
        put_on.setdefault(name, []).append(commit)
    found = {
        name: nowhere for name, each in put_on.items() if (nowhere := await _nowhere_else(place, name, each, here))
    }
    if not found:
        return
    name, nowhere = next(iter(found.items()))
    them = "them" if len(found) > 1 else "it"
    stands_on = await place.text("rev-parse", "--verify", "--quiet", f"HEAD:{name}", accept=(0, 1, 128))
    if stands_on not in nowhere:
        raise GitError(
            f"A commit of the branch puts {name} on {nowhere[0][:10]}, which no remote of the submodule has, and which "
            f"the branch has left since: nobody else could fill {name} there. Have the agent make one commit of these, "
            "or land the task squashed (land --how squash).",
            retryable=False,
        )
    push = f"git -C {shlex.quote(str(place.folder / name))} push origin {stands_on[:10]}:{HEADS}{branch}"
    raise GitError(
        f"The branch puts {listed(list(found), 3)} on a commit that no remote of the submodule has: nobody else could "
        f"fill {them}. Push that first, or have the agent do it ({push}); then do this again.",
        retryable=False,
    )


async def _nowhere_else(place: Place, name: str, commits: Sequence[str], here: bool) -> Sequence[str]:
    """Those of the commits of a submodule that only the sandbox has."""
    inside = await anyio.to_thread.run_sync(git_folder_of, place.folder / name)
    if inside is None:
        return ()
    left = await unpushed_of(inside, commits, place.told)
    for store in await anyio.to_thread.run_sync(_of_the_person, place, name) if here else ():
        if left:
            left = await lacking(store, left, place.told)
    return left


def _of_the_person(place: Place, name: str) -> Sequence[Path]:
    """In a thread: the git folders in which the person's own repository may have a submodule's commits."""
    own = git_folder_of(Path(place.record.repository) / name)
    kept = kept_submodules(place.record.common or "").values() if place.record.common else ()
    return [*([own] if own is not None else []), *kept]
