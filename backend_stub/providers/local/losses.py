"""What removing a worktree would lose, in words: looked at with git, and on the disk for what git does not look at."""

import os
import stat
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread

from backend_stub.providers.local.own_git_folder import make_git_folder, room_beside
from backend_stub.providers.local.sandbox_record import Losses, Made, Record
from backend_stub.providers.local.submodule_commits import git_folder_of, kept_submodules, unpushed
from backend_stub.providers.local.worktree import commits_lost, common_of, git_dir_of
from backend_stub.repository.files import inside_of, mode_of, read_text
from backend_stub.repository.git import Told, run_git

GIT_LIMIT = 60.0
NAMED = 5
"""Files that are called by name before the rest is counted."""
MOST_ENTRIES = 500_000
"""Files and folders that are looked at for changes among what git ignores, and in repositories inside."""

_CACHE_TAG = "CACHEDIR.TAG"
"""A folder with this file says itself that it can be made again (https://bford.info/cachedir)."""
_CACHES = frozenset({"__pycache__"})
_AUTOSTASHES = ("rebase-merge/autostash", "rebase-apply/autostash", "MERGE_AUTOSTASH")


async def losses_of(record: Record, told: Told | None = None) -> Losses:
    """Look at the worktree, also at one whose folder somebody removed. Raises `GitError` and `OSError`."""
    if record.made is Made.MAKING:
        return Losses()
    git_dir = await anyio.to_thread.run_sync(git_dir_of, record)
    there = await anyio.to_thread.run_sync(Path(record.worktree).is_dir)
    if git_dir is None and there:
        unknown = f"all files, which nobody can judge: {record.repository} is gone, or knows nothing of them any more"
        return Losses(here=(unknown,))
    if git_dir is None:
        common = await anyio.to_thread.run_sync(common_of, record)
        if common is None:
            return Losses()
        return Losses(branch=record.branch, commits=await _with_the_branch(record, common, told))
    here: list[str] = []
    folder, since = Path(record.worktree), record.ready_at or record.created_at * 1_000_000
    filled: dict[str, Path] = {}
    if there:
        here += await _files_lost(folder, {"GIT_DIR": git_dir, "GIT_WORK_TREE": str(folder)}, since, told)
        filled = await _filled(folder, git_dir, told)
    here += await anyio.to_thread.run_sync(_put_aside, git_dir)
    for name, place in (await anyio.to_thread.run_sync(_submodules, git_dir, filled)).items():
        # They live with the worktree, or in it.
        commits = await unpushed(place, ("HEAD", "--branches", "--tags", "refs/stash"), told)
        lost = [f"{commits} unpushed {'commit' if commits == 1 else 'commits'}"] if commits else []
        lost += await anyio.to_thread.run_sync(_put_aside, str(place))
        if name in filled:
            async with _as_ours(record, folder / name, place, told) as variables:
                lost += await _files_lost(folder / name, variables, since, told)
        here += [f"{what}, in the submodule {_shown(name)}" for what in lost]
    common = record.common or str(Path(git_dir).parent.parent)
    here += await _on_no_branch(record, common, git_dir, told)
    return Losses(tuple(here), record.branch, await _with_the_branch(record, common, told))


async def _with_the_branch(record: Record, common: str, told: Told | None) -> int:
    """Commits that are lost with the branch; a branch that was not made for the task is never deleted with it."""
    return await commits_lost(common, record.branch, told=told) if record.own_branch else 0


async def _files_lost(folder: Path, variables: dict[str, str], since: int, told: Told | None) -> list[str]:
    """What is not committed, and what was made or changed since then where git does not look.

    `variables` name git's folder and what else git needs to know of the work tree.
    """
    status = await run_git(
        str(folder),
        "status",
        "--porcelain=v1",
        "-z",
        "--no-renames",
        "--untracked-files=all",
        "--ignored=matching",
        # What is in them is looked at apart; here only that they are on another commit counts.
        "--ignore-submodules=dirty",
        told=told,
        timeout=GIT_LIMIT,
        environment=variables,
    )
    entries = [(entry[:2], entry[3:]) for entry in status.text.split("\0") if entry]
    # Git does not look into other repositories, and calls them by their folder.
    files = [name for code, name in entries if code not in ("!!", "??")]
    untracked = [name for code, name in entries if code == "??" and not name.endswith("/")]
    # What git was told not to look at (`update-index --skip-worktree`, `--assume-unchanged`).
    listed = await _listed(folder, variables, told, "-v")
    untracked += [name for tag, name in listed if tag[0] == "S" or tag[0].islower()]
    files += await anyio.to_thread.run_sync(
        lambda: [name for name in untracked if _is_newer(os.path.join(folder, name), since)]
    )
    others = [name for code, name in entries if code != "!!" and name.endswith("/")]
    ignored = [name for code, name in entries if code == "!!"]
    changed, inside, whole = await anyio.to_thread.run_sync(_changed_since, folder, ignored, others, since)
    lost = []
    if files:
        lost.append(_counted(files, "uncommitted file"))
    if changed:
        lost.append(_counted(changed, "ignored file", " made or changed since set-up"))
    lost += [f"what is in {_shown(name)}, which is a repository of its own" for name in inside]
    if not whole:
        lost.append(f"ignored files, of which only the first {MOST_ENTRIES:,} were looked at")
    return lost


def _changed_since(
    folder: Path, ignored: Sequence[str], others: Sequence[str], since: int
) -> tuple[list[str], list[str], bool]:
    """Ignored files and repositories inside that changed since, and whether all was looked at."""
    changed: list[str] = []
    inside: list[str] = []
    left = MOST_ENTRIES
    for name in others:
        for path in _walk(folder / name):
            left -= 1
            if _is_newer(path, since):
                inside.append(name)
                break
    for name in ignored:
        for path in _walk(folder / name):
            left -= 1
            if left < 0:
                return changed, inside, False
            if not _is_newer(path, since):
                continue
            shown = os.path.relpath(path, folder)
            owner = _repository_around(path, folder)
            if owner is None:
                changed.append(shown)
            elif owner not in inside:
                inside.append(owner)
    return changed, inside, True


def _walk(top: Path) -> Iterator[str]:
    """The files at or below `top`, links not followed, without folders that only hold what can be made again."""
    if top.is_symlink() or not top.is_dir():
        yield str(top).rstrip(os.sep)
        return
    for where, folders, names in os.walk(top):
        if _CACHE_TAG in names or os.path.basename(where) in _CACHES:
            folders.clear()
            continue
        if os.path.basename(where) == ".git":
            # Only what was committed or stashed there counts: git writes its index when it is only asked.
            folders[:] = [name for name in folders if name in ("objects", "modules")]
            continue
        yield from (os.path.join(where, name) for name in names)
        yield from (path for name in folders if os.path.islink(path := os.path.join(where, name)))


def _is_newer(path: str, since: int) -> bool:
    """Whether the file was made, changed, or moved here since then."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    # Package managers link files from a store of theirs, and each further link counts as a change of the file.
    linked = stat.S_ISREG(found.st_mode) and found.st_nlink > 1
    return (found.st_mtime_ns if linked else max(found.st_mtime_ns, found.st_ctime_ns)) > since


def _repository_around(path: str, folder: Path) -> str | None:
    """The repository of its own that a file inside the worktree belongs to, if any."""
    for above in Path(path).parents:
        if above == folder:
            return None
        if (above / ".git").exists():
            return f"{above.relative_to(folder)}/"
    return None


async def _filled(folder: Path, git_dir: str, told: Told | None) -> dict[str, Path]:
    """The submodules below a work tree that are filled, whether `.gitmodules` knows them or not, and theirs: by their
    place in it, where git keeps each.
    """
    found: dict[str, Path] = {}
    for tag, name in await _listed(folder, {"GIT_DIR": git_dir, "GIT_WORK_TREE": str(folder)}, told):
        place = await anyio.to_thread.run_sync(git_folder_of, folder / name) if tag.startswith("160000 ") else None
        if place is not None:
            found[name] = place
            deeper = await _filled(folder / name, str(place), told)
            found |= {f"{name}/{below}": inside for below, inside in deeper.items()}
    return found


async def _listed(folder: Path, variables: dict[str, str], told: Told | None, *options: str) -> list[tuple[str, str]]:
    """What git has in the index of a work tree: what it says of each file, and the file's name."""
    listed = await run_git(
        str(folder),
        "ls-files",
        "--stage",
        "-z",
        *options,
        "--",
        told=told,
        timeout=GIT_LIMIT,
        environment=variables,
    )
    return [(tag, name) for tag, _, name in (entry.partition("\t") for entry in listed.text.split("\0")) if name]


@asynccontextmanager
async def _as_ours(record: Record, folder: Path, place: Path, told: Told | None) -> AsyncIterator[dict[str, str]]:
    """The variables with which git looks at a submodule without reading its configuration, which is the agent's."""
    known = await anyio.to_thread.run_sync(inside_of, str(place))
    common = place if known is None else Path(known.common)
    found = await run_git(
        str(place),
        "rev-parse",
        "--verify",
        "--quiet",
        "HEAD",
        told=told,
        timeout=GIT_LIMIT,
        accept=(0, 1, 128),
        environment={"GIT_DIR": str(place), "GIT_WORK_TREE": str(place)},
    )
    head = found.text.strip() if found.exit_code == 0 else ""
    async with room_beside(record) as room:

        def make() -> None:
            exclude = read_text(common / "info" / "exclude") or ""
            make_git_folder(Path(room) / "git", len(head), head=head or "ref: refs/heads/none", exclude=exclude)

        await anyio.to_thread.run_sync(make)
        yield {
            "GIT_DIR": f"{room}/git",
            "GIT_WORK_TREE": str(folder),
            "GIT_INDEX_FILE": f"{place}/index",
            "GIT_OBJECT_DIRECTORY": f"{common}/objects",
        }


def _submodules(git_dir: str, filled: Mapping[str, Path]) -> dict[str, Path]:
    """The git folders of submodules: of those that are filled by their place, of others by the name git keeps."""
    known = set(filled.values())
    return {**filled, **{name: place for name, place in kept_submodules(git_dir).items() if place not in known}}


def _put_aside(git_dir: str) -> list[str]:
    """Changes that an unfinished rebase or merge is to bring back (`--autostash`): no branch and no file has them."""
    if any(mode_of(os.path.join(git_dir, name)) is not None for name in _AUTOSTASHES):
        return ["changes that git put aside for a rebase or merge that is not finished"]
    return []


async def _on_no_branch(record: Record, common: str, git_dir: str, told: Told | None) -> list[str]:
    """Commits that only this worktree has by a name: checked out without a branch, or under `refs/worktree`."""
    head = (read_text(f"{git_dir}/HEAD") or "").strip()
    only_here = ("--glob=refs/worktree", *(() if not head or head.startswith("ref:") else ("HEAD",)))
    arguments = ("rev-list", "--count", *only_here, "--not", record.base_commit, "--branches", "--remotes", "--tags")
    counted = await run_git(
        common, *arguments, "--", told=told, timeout=GIT_LIMIT, bare=True, environment={"GIT_DIR": git_dir}
    )
    commits = int(counted.text.strip() or "0")
    return [f"{commits} {'commit' if commits == 1 else 'commits'} on no branch"] if commits else []


def _counted(names: Sequence[str], what: str, more: str = "") -> str:
    named = ", ".join(_shown(name) for name in names[:NAMED])
    rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{len(names)} {what}{'' if len(names) == 1 else 's'}{more}: {named}{rest}"


def _shown(name: str) -> str:
    """A name as text: bytes that are no UTF-8 are shown as replacement characters."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
