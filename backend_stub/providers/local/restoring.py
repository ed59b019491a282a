"""Makes a worktree's files those of a tree that was taken of it: git does it, by the index of `snapshot` and its rules.

What is ignored stays, and so do repositories inside. An ignored file that is in the way is to be taken before: what
is made away with is always in a tree.
"""

import os
import stat
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread

from backend_stub.domain.errors import GitError
from backend_stub.providers.local.comparison import GITLINK, printable
from backend_stub.providers.local.snapshot import GIT_LIMIT, Snapshot, joined_names, split_names
from backend_stub.repository.git import Output, run_git

_NONE = "000000"
"""The mode of nothing."""


async def become(snapshot: Snapshot, now: str, target: str, room: Path, others: Collection[str] = ()) -> str:
    """Make the files, which are those of the tree `now` as taken last, those of `target`: the tree they have then.

    What the target's rules ignore stays if none of the trees `others` has it, and repositories inside do. Raises
    `GitError`, before anything is touched, where a file was changed meanwhile or a repository is in the way. Cut,
    it is begun again.
    """
    aim = await _aim(snapshot, now, target, room, others)
    # No tree has pipes and sockets, and git would not put a file in their place.
    standing = await in_the_way(snapshot, now, aim)
    listed = await snapshot.git("diff-tree", "-r", "-z", "--name-only", "--no-renames", now, aim)
    shut = await anyio.to_thread.run_sync(_shut, snapshot.worktree.folder, split_names(listed))
    if shut is not None:
        why = f"{printable(shut) or 'The sandbox'} cannot be written to, where files are to be changed back."
        raise GitError(f"{why} Allow it (chmod u+w), then undo again; nothing was changed.", retryable=False)
    await anyio.to_thread.run_sync(_clear, snapshot.worktree.folder, standing)
    done = await snapshot.git("read-tree", "-m", "-u", now, aim, accept=(0, 128))
    if done.exit_code != 0:
        why = done.stderr.strip().removeprefix("error: ")[-300:]
        raise GitError(f"The files could not be set back, and nothing was changed: {why} Undo again.", retryable=False)
    return aim


async def in_the_way(snapshot: Snapshot, now: str, target: str) -> Collection[str]:
    """Files that stand where the target has others, and that `now` has not since they are ignored.

    Raises `GitError` when that is a repository of its own.
    """
    listed = await snapshot.git(
        "diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=A", now, target
    )  # fmt: skip
    found, blocked = await anyio.to_thread.run_sync(_standing, snapshot.worktree.folder, split_names(listed))
    if blocked:
        raise _blocked(blocked)
    return found


async def _aim(snapshot: Snapshot, now: str, target: str, room: Path, others: Collection[str]) -> str:
    """The target with what is to stay as it is now."""
    differing = _raw(await snapshot.git("diff-tree", "-r", "-z", "--raw", "--no-renames", now, target))
    entries, folder = [], snapshot.worktree.folder
    for name, (old, new, sha, _) in differing.items():
        if old == GITLINK and await anyio.to_thread.run_sync(os.path.lexists, f"{folder}/{name}/.git"):
            inside = any(other.startswith(f"{name}/") and each[1] != _NONE for other, each in differing.items())
            if inside or new not in (_NONE, GITLINK):
                raise _blocked(name)
            entries.append((GITLINK, sha, name))
        elif new == GITLINK:
            entries.append(("0", "0" * len(sha), name))
    kept = [] if not any(name.rpartition("/")[2] == ".gitignore" for name in differing) else (
        await _ignored_there(snapshot, target, [name for name, each in differing.items() if each[1] == _NONE], room)
    )  # fmt: skip
    for other in others if kept else ():
        only_now = await snapshot.git(
            "diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=A", other, now
        )  # fmt: skip
        kept = sorted(frozenset(kept).intersection(split_names(only_now)))
    entries += [(differing[name][0], differing[name][2], name) for name in kept]
    if not entries:
        return target
    index = {"GIT_INDEX_FILE": str(room / "aim")}
    await snapshot.git("read-tree", target, variables=index)
    await snapshot.enter(entries, variables=index)
    return (await snapshot.git("write-tree", variables=index)).text.strip()


async def _ignored_there(snapshot: Snapshot, target: str, names: Sequence[str], room: Path) -> list[str]:
    """Which of these, that the target has not, are there all the same since its own rules ignore them."""
    if not names:
        return []
    index, rules = {"GIT_INDEX_FILE": str(room / "rules.index")}, room / "rules"
    await anyio.to_thread.run_sync(rules.mkdir)
    await snapshot.git("read-tree", target, variables=index)
    there = frozenset(split_names(await snapshot.git("ls-files", "-z", variables=index)))
    ignoring = [name for name in there if name.rpartition("/")[2] == ".gitignore"]
    await snapshot.git(
        "checkout-index", "-z", "--stdin", f"--prefix={rules}/", given=joined_names(ignoring), variables=index
    )  # fmt: skip
    found = await run_git(
        str(rules), *snapshot.rules.options, "check-ignore", "--no-index", "-z", "--stdin",
        timeout=GIT_LIMIT, accept=(0, 1), given=joined_names(names),
        environment={**snapshot.variables, **index, "GIT_WORK_TREE": str(rules)},
    )  # fmt: skip
    real = await run_git(
        snapshot.worktree.folder, "ls-files", "-z", timeout=GIT_LIMIT, environment=snapshot.worktree.real
    )
    known = frozenset(split_names(real))
    folders = frozenset(above for name in there for above in _above(name))
    stays = (name for name in split_names(found) if name not in known | folders)
    return [name for name in stays if not there.intersection(_above(name))]


async def changed(snapshot: Snapshot, old: str, new: str) -> frozenset[str]:
    """The files of the tree `new` that `old` has not, or has otherwise."""
    listed = await snapshot.git("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=d", old, new)
    return frozenset(split_names(listed))


async def left_alone(snapshot: Snapshot, target: str, now: str) -> Sequence[str]:
    """The repositories inside that the tree `target` has, and that are gone or on another commit in `now`."""
    listed = await snapshot.git("diff-tree", "-r", "-z", "--raw", "--no-renames", target, now)
    return [name for name, each in _raw(listed).items() if each[0] == GITLINK]


def _blocked(name: str) -> GitError:
    return GitError(
        f"{printable(name)} is a repository of its own by now, where the checkpoint has files. Move it away, then undo "
        "again; nothing was changed.",
        retryable=False,
    )


def _raw(done: Output) -> dict[str, tuple[str, str, str, str]]:
    """Both modes and both objects of each file, of `--raw -z`."""
    fields = iter(done.text.split("\0"))
    found = {}
    for line in fields:
        if line:
            old, new, one, other, _ = line.removeprefix(":").split(" ")
            found[next(fields)] = (old, new, one, other)
    return found


def _above(name: str) -> Iterable[str]:
    """The folders that a file is in, by their names, the outermost first."""
    at = name.find("/")
    while at >= 0:
        yield name[:at]
        at = name.find("/", at + 1)


def _clear(folder: str, names: Iterable[str]) -> None:
    """In a thread: make away with those that are pipes or sockets, which hold nothing."""
    for name in names:
        with suppress(OSError):
            mode = os.lstat(f"{folder}/{name}").st_mode
            if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
                os.unlink(f"{folder}/{name}")


def _shut(folder: str, names: Iterable[str]) -> str | None:
    """In a thread: a folder in which one of these files would be changed and none can be; git finds that half-way."""
    seen: set[str] = set()
    for name in names:
        above = os.path.dirname(name)
        while above and above not in seen and not os.path.isdir(f"{folder}/{above}"):
            above = os.path.dirname(above)
        if above not in seen and not os.access(f"{folder}/{above}", os.W_OK | os.X_OK):
            return above
        seen.add(above)
    return None


def _standing(folder: str, names: Iterable[str]) -> tuple[list[str], str | None]:
    """In a thread: the files where these are to be; and a repository that stands there, if one does."""
    found: dict[str, None] = {}
    for name in names:
        for part in (*_above(name), name):
            path = f"{folder}/{part}"
            try:
                mode = os.lstat(path).st_mode
            except OSError:
                break
            if not stat.S_ISDIR(mode):
                found[part] = None
                break
            if part == name:
                for top, inner, files in os.walk(path):
                    if ".git" in (*inner, *files):
                        return [], os.path.relpath(top, folder)
                    linked = (each for each in inner if os.path.islink(f"{top}/{each}"))
                    found.update((os.path.relpath(f"{top}/{each}", folder), None) for each in (*files, *linked))
            elif os.path.lexists(f"{path}/.git") and os.path.lexists(f"{folder}/{name}"):
                return [], part
    return list(found), None
