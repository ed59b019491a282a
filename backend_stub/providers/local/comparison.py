"""A worktree compared with its base, as git itself compares: through indexes of our own, so that nothing of the
person's is touched, no object is written, and no configuration of theirs changes what comes out. What that names for
showing differences or for watching files (external diffs, `textconv`, `fsmonitor`, hooks) is not run. Its `clean`
filters are: what git has of a file is what they make of it, so without them each such file would count as changed.

What git knows is compared by a copy of the worktree's index. Files that it does not know yet are compared by an index
that has nothing else, in a git folder of ours where no attribute and no line-ending rule applies: byte for byte; only
those that git takes for known ones under other names stand among what it knows, so that one sees what was moved.
"""

import hashlib
import os
import shutil
import stat
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import anyio
import anyio.to_thread

from backend_stub.domain.errors import GitError
from backend_stub.providers.local.binary_sizes import with_sizes
from backend_stub.providers.local.files_on_disk import not_looked_at, stamps_of, unlike_files, within
from backend_stub.providers.local.kept_patch import write_kept
from backend_stub.providers.local.own_git_folder import make_git_folder, room_beside
from backend_stub.providers.local.sandbox_record import KNOWN_PATCH, Record
from backend_stub.providers.local.whole_patch import Compares, write_whole
from backend_stub.providers.local.worktree import git_dir_of
from backend_stub.repository.git import run_git
from foundry_tui.contract.records import FileDiff

GIT_LIMIT = 60.0
"""Seconds that one command of a comparison may take."""
PATCH_LIMIT = 200_000
"""Characters of one file's patch that are kept."""
PATCHES_LIMIT = 8_000_000
"""Characters of all patches of a task."""
UNTRACKED_LIMIT = 2_000
"""Files unknown to git that are read for counts and patches; further ones are listed only."""
UNTRACKED_BYTES = 64 * 1024 * 1024
"""Bytes of them that are read; what comes after them is listed only."""

GITLINK = "160000"
"""The mode of a repository inside."""
_EMPTY_TREES = {
    40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    64: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
"""The tree without files, by the length of a repository's hashes; git knows it without having it."""
_EMPTY_FILES = {
    40: "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
    64: "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
}
RAW = "* !text !eol !ident !filter !working-tree-encoding !diff !crlf\n"
"""Attributes that outweigh those of the worktree: files are taken as they are."""
OPTIONS = (
    "--no-color", "--no-ext-diff", "--no-textconv", "--find-renames", "-l1000",
    "--submodule=short", "--ignore-submodules=dirty",
    "--src-prefix=a/", "--dst-prefix=b/", "--no-indent-heuristic",
    "--diff-algorithm=myers", "--no-relative",
)  # fmt: skip
CONFIG = ("-c", "diff.suppressBlankEmpty=false", "-c", "core.quotePath=true")


@dataclass(frozen=True)
class _Side:
    """One comparison with `tree`, in `folder`, with the variables that name its index and git folder."""

    folder: str
    tree: str
    variables: dict[str, str]
    autocrlf: str | None = None

    async def run(self, *options: str, into: int | None = None) -> bytes:
        config = CONFIG if self.autocrlf is None else (*CONFIG, "-c", f"core.autocrlf={self.autocrlf}")
        done = await run_git(
            self.folder, *config, "diff-index", *OPTIONS, *options, self.tree, "--",
            timeout=GIT_LIMIT, environment=self.variables, into=into,
        )  # fmt: skip
        return done.stdout


@dataclass(frozen=True)
class Compared:
    """The files that differ; they are the same for as long as git says `changed` again, None if it cannot say so."""

    files: tuple[FileDiff, ...]
    changed: str | None


async def diff_of(record: Record, held: Compared | None = None) -> Compared:
    """The worktree's files against where its branch left its base, untracked ones among them, by their paths; `held` is
    what was compared last. Raises `GitError`.
    """
    async with _sides(record, UNTRACKED_LIMIT, UNTRACKED_BYTES) as (known, new, unread):
        changed = await _changed(record, known, new, unread)
        if held is not None and held.changed is not None and held.changed == changed:
            return held
        files = within_limits([*await files_of_side(known), *await files_of_side(new, is_new=True)])
        files = [*await with_sizes(known.folder, known.tree, known.variables, files)]
        same = changed is not None and await _changed(record, known, new, unread) == changed
    told = {file.path for file in files}
    rest = [
        FileDiff(path=path, status=status, added=None, removed=None, patch="", cut=True)
        for path, status in ((printable(name), status) for name, status in unread.items())
        if path not in told
    ]
    return Compared(tuple(sorted((*files, *rest), key=lambda file: file.path)), changed if same else None)


async def write_patch(record: Record, into: BinaryIO) -> None:
    """Write git's own patch of all that `diff_of` tells, whole: `git apply` makes the worktree's files of the base's.

    It is kept beside the worktree until git says that something else has changed. Raises `GitError`.
    """
    async with _sides(record) as (known, new, _):

        async def make(file: BinaryIO) -> None:
            for side in (known, new):
                await write_whole(side, file)

        kept = Path(record.worktree).parents[1] / KNOWN_PATCH
        await write_kept(kept, partial(_changed, record, known, new, ()), make, into)


async def write_patch_of_names(record: Record, into: BinaryIO) -> tuple[frozenset[str], frozenset[str]]:
    """The same, and the names of all files that the patch makes, changes or takes away; and which are submodules."""
    names: set[str] = set()
    submodules: set[str] = set()
    async with _sides(record) as (known, new, _):
        for side in (known, new):
            fields = iter(
                (await side.run("--raw", "-z", "--no-renames")).decode("utf-8", "surrogateescape").split("\0")
            )
            for modes, name in zip(fields, fields, strict=False):
                names.add(name)
                if GITLINK in modes.removeprefix(":").split(" ")[:2]:
                    submodules.add(name)
            await write_whole(side, into)
    return frozenset(names), frozenset(submodules)


async def _changed(record: Record, known: _Side, new: _Side, unread: Iterable[str]) -> str | None:
    """What git says has changed, and the files as they are on the disk; None for what may become another unseen."""
    listed = [await side.run("--raw", "-z", "--no-renames") for side in (known, new)]
    fields = b"".join(listed).decode("utf-8", "surrogateescape").split("\0")
    if any(GITLINK in modes for modes in fields[:-1:2]):
        # What a repository inside is on is not to be seen in its folder.
        return None
    places = [Path(record.worktree) / name for name in (*fields[1::2], *unread)]
    common = Path(record.common or record.repository)
    rules = (common / "config", common / "info" / "attributes", Path(record.git_dir) / "config.worktree")
    stamps = await anyio.to_thread.run_sync(stamps_of, (*places, *rules))
    if stamps is None:
        return None
    said = repr((known.tree, known.autocrlf, listed, stamps))
    return hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()


@asynccontextmanager
async def _sides(
    record: Record, most_files: int | None = None, most_bytes: int | None = None
) -> AsyncIterator[tuple[_Side, _Side, Mapping[str, str]]]:
    """What git knows, and what it does not, each to be compared; and the files that are too many to be read, or cannot
    be, each with the letter of its status.
    """
    folder = record.worktree
    git_dir = await anyio.to_thread.run_sync(git_dir_of, record)
    if git_dir is None:
        raise GitError(f"git knows nothing of the worktree {folder} any more", retryable=False)
    real = {"GIT_DIR": git_dir, "GIT_WORK_TREE": folder}
    base = await _fork_point(record, real)
    async with room_beside(record) as room:
        variables = {**real, "GIT_INDEX_FILE": f"{room}/index"}
        await anyio.to_thread.run_sync(_copy_index, git_dir, room)
        listed = await _names(folder, real, "ls-files", "--others", "--exclude-standard", "-z")
        # Git calls a repository inside by its folder: its files are its own.
        untracked = [name for name in listed if not name.endswith("/")]
        # What the index gave up but the disk still has is a change of a known file; so is one with conflicts.
        dropped = set(await _names(folder, real, *_names_of("--cached", "--diff-filter=D"), base, "--"))
        unmerged = set(await _names(folder, real, *_names_of("--cached", "--diff-filter=U"), base, "--"))
        again = [*(name for name in untracked if name in dropped), *unmerged]
        await _put(folder, variables, again, len(base), await _entries_of(folder, real, base) if again else {})
        closed = await _look_at_all(folder, variables)
        new = [name for name in untracked if name not in dropped]
        read, unread = await anyio.to_thread.run_sync(within, Path(folder), new, most_files, most_bytes)
        if most_files is not None:
            moved = await _moved(folder, variables, base, read)
            await _put(folder, variables, moved, len(base), {})
            read = [name for name in read if name not in moved]
        make_raw = partial(make_git_folder, Path(room) / "git", len(base), attributes=RAW)
        await anyio.to_thread.run_sync(make_raw)
        raw = {"GIT_DIR": f"{room}/git", "GIT_WORK_TREE": folder}
        await _put(folder, raw, read, len(base), {})
        configured = await run_git(
            folder, "config", "--default", "", "--get", "core.autocrlf", timeout=GIT_LIMIT, environment=real
        )
        # With `input` files are on the disk as they are in git; that they would be changed on their way back is no
        # change that was made.
        autocrlf = "false" if configured.text.strip().lower() == "input" else None
        yield (
            _Side(folder, base, variables, autocrlf),
            _Side(folder, _EMPTY_TREES[len(base)], raw, "false"),
            {**dict.fromkeys(closed, "M"), **dict.fromkeys(unread, "?")},
        )


async def _moved(folder: str, variables: dict[str, str], base: str, names: Sequence[str]) -> Sequence[str]:
    """Those of these unknown files that git takes for files of the base that are gone, as they would be once added."""
    if not names or not await _names(folder, variables, *_names_of("--diff-filter=D"), base, "--"):
        return ()
    index = variables["GIT_INDEX_FILE"]
    tried = {**variables, "GIT_INDEX_FILE": f"{index}-with-unknown"}
    await anyio.to_thread.run_sync(shutil.copy2, index, tried["GIT_INDEX_FILE"])
    await _put(folder, tried, names, len(base), {})
    paired = await _Side(folder, base, tried).run("--raw", "-z", "--diff-filter=R")
    unknown = frozenset(names)
    return tuple(path for _, path in _statuses(paired) if path in unknown)


async def _fork_point(record: Record, variables: dict[str, str]) -> str:
    """Where the branch left its base, here or at the remote: other people's work that was brought in is no change of
    the task's.
    """
    bases = (record.base, f"refs/remotes/origin/{record.base_name}")
    for known in (bases, bases[:1]):
        # Of several, git tells where the branch left all of them taken together.
        done = await run_git(
            record.worktree, "merge-base", "--", "HEAD", *known,
            timeout=GIT_LIMIT, accept=(0, 1, 128), environment=variables,
        )  # fmt: skip
        if done.exit_code == 0 and (found := done.text.strip()):
            return found
    return record.base_commit


async def _names(folder: str, variables: dict[str, str], *arguments: str) -> list[str]:
    listed = await run_git(folder, *arguments, timeout=GIT_LIMIT, environment=variables)
    return [name for name in listed.text.split("\0") if name]


def _names_of(*options: str) -> tuple[str, ...]:
    return ("diff-index", "--name-only", "-z", "--no-renames", "--ignore-submodules=dirty", *options)


def _copy_index(git_dir: str, room: str) -> None:
    index = Path(git_dir) / "index"
    if index.exists():
        shutil.copy2(index, f"{room}/index")


async def _look_at_all(folder: str, variables: dict[str, str]) -> Sequence[str]:
    """Have the index say of each file whether it is as on the disk, also of those that git was told not to look at; a
    pipe or a socket in the place of a file is no file, and git would fail to read it. Those that cannot be read, at
    which git would fail too, are taken to be unchanged: their names.
    """
    marked = await run_git(folder, "ls-files", "-v", "-z", timeout=GIT_LIMIT, environment=variables)
    assumed, skipped, shut = await anyio.to_thread.run_sync(not_looked_at, Path(folder), marked.stdout)
    if assumed:
        await _on_index(folder, variables, assumed, "--no-assume-unchanged")
    if skipped:
        await _on_index(folder, variables, skipped, "--no-skip-worktree")
    await run_git(
        folder, "update-index", "-q", "--really-refresh",
        timeout=GIT_LIMIT, environment=variables, accept=(0, 1),
    )  # fmt: skip
    differing = await _names(folder, variables, "diff-files", "--name-only", "-z", "--ignore-submodules=dirty")
    no_files, unread = await anyio.to_thread.run_sync(unlike_files, Path(folder), differing)
    closed = [*dict.fromkeys((*unread, *shut))]
    if no_files:
        await _on_index(folder, variables, no_files, "--force-remove")
    if closed:
        await _on_index(folder, variables, closed, "--assume-unchanged")
    return closed


async def _on_index(folder: str, variables: dict[str, str], names: Sequence[str], what: str) -> None:
    given = "".join(f"{name}\0" for name in names).encode("utf-8", "surrogateescape")
    words = ("update-index", what, "-z", "--stdin")
    await run_git(folder, *words, timeout=GIT_LIMIT, environment=variables, given=given)


async def _entries_of(folder: str, variables: dict[str, str], tree: str) -> dict[str, str]:
    """Mode and object of each file of a tree."""
    listed = await _names(folder, variables, "ls-tree", "-r", "-z", "--full-tree", tree)
    entries = (line.partition("\t") for line in listed)
    return {name: f"{entry.split(' ')[0]} {entry.split(' ')[2]}" for entry, _, name in entries}


async def _put(
    folder: str, variables: dict[str, str], names: Sequence[str], hash_length: int, known: Mapping[str, str]
) -> None:
    """Have the index hold these files of the worktree, as something to be compared with what is on the disk: as they
    are `known`, so that git finds those that are the same, or else without content.
    """
    if not names:
        return
    given = await anyio.to_thread.run_sync(_entries, Path(folder), names, _EMPTY_FILES[hash_length], known)
    await run_git(
        folder, "update-index", "-z", "--index-info", timeout=GIT_LIMIT, environment=variables, given=given
    )  # fmt: skip


def _entries(folder: Path, names: Sequence[str], content: str, known: Mapping[str, str]) -> bytes:
    lines = []
    for name in names:
        entry = known.get(name)
        if entry is None:
            try:
                mode = os.lstat(folder / name).st_mode
            except OSError:
                mode = stat.S_IFREG
            kind = "120000" if stat.S_ISLNK(mode) else "100755" if mode & stat.S_IXUSR else "100644"
            entry = f"{kind} {content}"
        # Without its other sides, should it have conflicts.
        lines.append(f"0 {'0' * len(content)}\t{name}\0{entry} 0\t{name}\0")
    return "".join(lines).encode("utf-8", "surrogateescape")


async def files_of_side(side: Compares, *, is_new: bool = False) -> list[FileDiff]:
    """The files of one side in git's order."""
    names = _statuses(await side.run("--raw", "-z"))
    if not names:
        return []
    numbers = line_counts(await side.run("--numstat", "-z"))
    sections = _sections(await side.run("--patch"))
    # A file that became a link is taken away in one section and made in the next.
    whole = sum(2 if status == "T" else 1 for status, _ in names) == len(sections)
    files = []
    for status, path in names:
        patch = sections.pop(0) if whole else ""
        if whole and status == "T":
            patch += sections.pop(0)
        added, removed = numbers.get(path, (None, None))
        files.append(
            FileDiff(
                path=printable(path),
                status="?" if is_new else status,
                added=added,
                removed=removed,
                patch=patch,
                cut=not whole,
            )
        )
    return files


def _statuses(raw: bytes) -> list[tuple[str, str]]:
    """Status letter and (new) path of each file, of `--raw -z`."""
    fields = iter(raw.decode("utf-8", "surrogateescape").split("\0"))
    found = []
    for field in fields:
        if not field:
            continue
        status = field.rpartition(" ")[2]
        path = next(fields, "")
        if status[0] in "RC":
            path = next(fields, path)
        found.append((status[0], path))
    return found


def line_counts(numstat: bytes) -> dict[str, tuple[int | None, int | None]]:
    """Lines added and removed by path, of `--numstat -z`; None for what has no lines."""
    fields = iter(numstat.decode("utf-8", "surrogateescape").split("\0"))
    found: dict[str, tuple[int | None, int | None]] = {}
    for field in fields:
        if not field:
            continue
        added, removed, path = field.split("\t", 2)
        if not path:
            next(fields, "")
            path = next(fields, "")
        before = found.get(path, (0, 0))
        counts = tuple(int(count) if count.isdigit() else None for count in (added, removed))
        found[path] = (_sum(before[0], counts[0]), _sum(before[1], counts[1]))
    return found


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _sections(patch: bytes) -> list[str]:
    """The patch of each file as text; lines of other encodings than UTF-8 are taken for Latin-1."""
    found: list[list[str]] = []
    for line in patch.split(b"\n"):
        if line.startswith(b"diff --git "):
            found.append([])
        try:
            text = line.decode()
        except UnicodeDecodeError:
            text = line.decode("latin-1")
        if found:
            found[-1].append(text)
    if found and not found[-1][-1]:
        found[-1].pop()
    return ["".join(f"{line}\n" for line in lines) for lines in found]


def within_limits(files: Iterable[FileDiff]) -> list[FileDiff]:
    """The same with patches that are cut where they are too much for an answer."""
    room = PATCHES_LIMIT
    kept: list[FileDiff] = []
    for file in files:
        kept.append(_cut(file, room))
        room -= len(kept[-1].patch)
    return kept


def _cut(file: FileDiff, room: int) -> FileDiff:
    limit = max(0, min(PATCH_LIMIT, room))
    if len(file.patch) <= limit:
        return file
    # Whole lines only: half of one would be another line.
    kept = file.patch[: file.patch.rfind("\n", 0, limit) + 1]
    return FileDiff(
        path=file.path, status=file.status, added=file.added, removed=file.removed, patch=kept, cut=True
    )  # fmt: skip


def printable(path: str) -> str:
    """A path as text: bytes that are no UTF-8 are shown as replacement characters."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
