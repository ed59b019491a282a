"""Where git keeps the submodules of a work tree, and how many of their commits no remote has."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio.to_thread

from backend_stub.repository.files import read_text
from backend_stub.repository.git import Told, run_git

GIT_LIMIT = 60.0


def git_folder_of(submodule: Path) -> Path | None:
    """Where git keeps what it knows of a submodule; None where it is not filled, or reached by a link only."""
    inside = submodule / ".git"
    if not inside.exists() or Path(os.path.realpath(submodule)) != Path(
        os.path.realpath(submodule.parent), submodule.name
    ):
        return None
    pointer = (read_text(inside) or "").removeprefix("gitdir:").strip()
    return Path(os.path.realpath(submodule / pointer)) if pointer else inside


def kept_submodules(git_dir: str) -> Mapping[str, Path]:
    """The git folders of the submodules that git keeps in a folder of its own, and of theirs, by its names for them."""
    found: dict[str, Path] = {}
    modules = Path(git_dir, "modules")
    for where, folders, names in os.walk(modules):
        if "HEAD" in names and "objects" in folders:
            found[os.path.relpath(where, modules).replace(f"{os.sep}modules{os.sep}", os.sep)] = Path(where)
            folders[:] = [name for name in folders if name == "modules"]
    return found


async def unpushed(place: Path, names: Sequence[str], told: Told | None) -> int:
    """How many commits of these names of a submodule its remotes do not have, as far as is known without asking them.

    Names that it does not know count for nothing.
    """
    return int(await _unpushed(place, ("--count", *names), told) or "0")


async def unpushed_of(place: Path, commits: Sequence[str], told: Told | None) -> Sequence[str]:
    """Which of these commits of a submodule its remotes do not have, as far as the same is known."""
    found = frozenset((await _unpushed(place, tuple(dict.fromkeys(commits)), told)).split())
    return [commit for commit in dict.fromkeys(commits) if commit in found]


async def _unpushed(place: Path, words: Sequence[str], told: Told | None) -> str:
    listed = await run_git(
        str(place),
        "rev-list",
        "--ignore-missing",
        *words,
        "--not",
        "--remotes",
        # Where it was set up, which a remote may have under no name.
        *await anyio.to_thread.run_sync(_first_commits, place),
        "--",
        told=told,
        timeout=GIT_LIMIT,
        accept=(0, 128),
        environment=_alone(place),
    )
    return listed.text.strip() if listed.exit_code == 0 else ""


async def lacking(place: Path, commits: Sequence[str], told: Told | None) -> Sequence[str]:
    """Which of these commits a submodule does not have."""
    asked = "".join(f"{commit}\n" for commit in commits).encode()
    words = ("cat-file", "--batch-check=%(objecttype)")
    done = await run_git(
        str(place), *words, told=told, timeout=GIT_LIMIT, accept=(0, 128), environment=_alone(place), given=asked
    )
    kinds = done.text.splitlines()
    return [commit for commit, kind in zip(commits, kinds, strict=False) if kind != "commit"] if kinds else commits


def _alone(place: Path) -> dict[str, str]:
    """The variables with which git looks at it: what is missing is not fetched, whatever its configuration says."""
    return {"GIT_DIR": str(place), "GIT_WORK_TREE": str(place), "GIT_ALLOW_PROTOCOL": ""}


def _first_commits(git_dir: Path) -> list[str]:
    """The commit that a submodule which git cloned was first put on, as its log of HEAD has it."""
    if git_dir.name == ".git":
        return []
    first = (read_text(git_dir / "logs" / "HEAD") or "").split("\n", 1)[0].split(" ")
    return [first[1]] if len(first) > 2 and len(first[1]) in (40, 64) else []
