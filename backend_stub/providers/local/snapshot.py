"""The files of a worktree as a tree of git's, exact to the byte.

They go through an index and a git folder of our own, in which no attribute, no line-ending rule and no filter applies:
what is kept is what is on the disk. Objects go into the repository, or into a folder that is thrown away. The index
stays from one time to the next, so that only what changed is read. Nothing of the person's is written, and nothing is
run that a configuration names: what git would start of itself, in submodules above all, is not asked for.

Kept is what git knows and what it does not ignore. Repositories inside are left alone; of those that git knows as
submodules the commit is kept.
"""

import os
import re
import shutil
import stat
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.to_thread

from backend_stub.domain.errors import GitError
from backend_stub.providers.local.comparison import GITLINK, OPTIONS, RAW, printable
from backend_stub.providers.local.own_git_folder import make_git_folder
from backend_stub.repository.git import Output, run_git

GIT_LIMIT = 300.0
"""Seconds that one command may take; who waits for it may have less patience."""
NAMED = 5
"""Files that could not be read of which the log has the names."""
AGAIN = 20
"""Files that may vanish or close while they are read, one after the other, until it is given up."""

_GIT = "git"
_CONFIG = """[core]
\tautocrlf = false
\tsafecrlf = false
\tfileMode = true
\tsymlinks = true
\ttrustctime = true
\tcheckStat = default
\tignoreStat = false
\tprotectNTFS = false
\tprotectHFS = false
\tsparseCheckout = false
\tuntrackedCache = false
\tattributesFile = /dev/null
\tfsyncMethod = batch
[index]
\tsparse = false
"""
_CHANGED = ("diff-files", "-z", "--name-only", "--ignore-submodules=dirty")
_NEW = ("ls-files", "-z", "-o", "--exclude-standard")
_SHA256 = re.compile(rb"^\s*objectformat\s*=\s*\"?sha256\b", re.IGNORECASE | re.MULTILINE)
_UNPROCESSED = "Unable to process path "


@dataclass(frozen=True)
class Worktree:
    """A worktree, what git keeps of it, and the git folder that its repository's worktrees share."""

    folder: str
    git_dir: str
    common: str

    @property
    def real(self) -> dict[str, str]:
        """The variables by which git is asked of it as it stands."""
        return {"GIT_DIR": self.git_dir, "GIT_WORK_TREE": self.folder}


@dataclass(frozen=True)
class _Rules:
    """What the repository itself says of its files: `signature` changes when that may have."""

    signature: object = None
    options: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()
    """Files that git knows though they are ignored."""
    submodules: frozenset[str] = frozenset()


@dataclass
class Snapshot:
    """An index of our own of one worktree. `place` is its folder; `objects` where new objects go, None for into the
    repository; `index` the file of the index, None for the one that stays.
    """

    worktree: Worktree
    place: Path
    log: Callable[[str], None]
    marks: dict[str, str] = field(default_factory=dict)
    """Variables by which the commands are known as ours."""
    objects: Path | None = None
    index: Path | None = None
    rules: _Rules = _Rules()

    @property
    def variables(self) -> dict[str, str]:
        """What has git read and write here and nowhere else."""
        stored = f"{self.worktree.common}/objects"
        variables = {
            **self.marks,
            "GIT_DIR": str(self.place / _GIT),
            "GIT_WORK_TREE": self.worktree.folder,
            "GIT_OBJECT_DIRECTORY": str(self.objects or stored),
            "GIT_INDEX_FILE": str(self._index),
        }
        if self.objects is not None:
            quoted = stored.replace("\\", "\\\\").replace('"', '\\"')
            variables["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = f'"{quoted}"'
        return variables

    @property
    def _index(self) -> Path:
        return self.index or self.place / _GIT / "index"

    async def apart(self, room: Path) -> "Snapshot":
        """The same worktree with an index and objects that are thrown away with the folder `room`."""

        def make() -> None:
            (room / "objects").mkdir()
            if self._index.exists():
                shutil.copy2(self._index, room / "index")

        await anyio.to_thread.run_sync(make)
        return Snapshot(
            self.worktree, self.place, self.log, objects=room / "objects", index=room / "index", rules=self.rules
        )

    async def take(self) -> str:
        """The tree of the worktree's files as they are now. Raises `GitError`."""
        await anyio.to_thread.run_sync(self._make_place)
        try:
            return await self._take()
        except GitError:
            # Objects that only this index knows may have been thrown away by somebody's `git gc`.
            await anyio.to_thread.run_sync(lambda: self._index.unlink(missing_ok=True))
            self.rules = _Rules()
            return await self._take()

    async def _take(self) -> str:
        new_rules = await self._read_rules()
        found: dict[str, list[str]] = {}

        async def find(kind: str, words: Sequence[str]) -> None:
            found[kind] = split_names(await self.git(*words))

        try:
            async with anyio.create_task_group() as group:
                group.start_soon(find, "changed", _CHANGED)
                group.start_soon(find, "new", (*self.rules.options, *_NEW))
        except* GitError as errors:
            raise errors.exceptions[0] from None
        names = [*found["changed"], *(name for name in found["new"] if not name.endswith("/")), *self.rules.known]
        await self._put(dict.fromkeys(names))
        if new_rules or any(name.rpartition("/")[2] == ".gitignore" for name in names):
            ignored = split_names(
                await self.git(*self.rules.options, "ls-files", "-z", "-c", "-i", "--exclude-standard")
            )
            await self._remove([name for name in ignored if name not in self.rules.known | self.rules.submodules])
        return (await self.git("write-tree")).text.strip()

    async def take_with(self, names: Collection[str]) -> str:
        """The tree of what was taken last and of these files too, whether they are ignored or not."""
        await self._put(names)
        return (await self.git("write-tree")).text.strip()

    async def git(
        self,
        *arguments: str,
        accept: Collection[int] = (0,),
        given: bytes = b"",
        into: int | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> Output:
        """Run git on this index; `variables` are further ones."""
        environment = {**self.variables, **(variables or {})}
        try:
            return await run_git(
                self.worktree.folder, *arguments,
                timeout=GIT_LIMIT, accept=accept, environment=environment, given=given, into=into,
            )  # fmt: skip
        except BaseException:
            # A git that was killed leaves its lock; nobody else works here.
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(lambda: Path(f"{self._index}.lock").unlink(missing_ok=True))
            raise

    def _make_place(self) -> None:
        """In a thread: the git folder, made whole or not at all, and no lock in it that a kill left."""
        git = self.place / _GIT
        Path(f"{self._index}.lock").unlink(missing_ok=True)
        if not git.exists():
            new = self.place / f"{_GIT}.new"
            shutil.rmtree(new, ignore_errors=True)
            self.place.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.mkdir()
            sha256 = _SHA256.search(_read(Path(self.worktree.common) / "config"))
            make_git_folder(new, 64 if sha256 else 40, attributes=RAW)
            with (new / "config").open("a") as config:
                config.write(_CONFIG)
            new.rename(git)

    async def _read_rules(self) -> bool:
        """Know what the repository says of its files; whether that is to be applied anew."""
        repository = await anyio.to_thread.run_sync(self._stamps)
        signature = (*repository, *await anyio.to_thread.run_sync(_excludes, self.rules.options))
        if signature == self.rules.signature:
            return False
        real, folder = self.worktree.real, self.worktree.folder

        async def ask(*words: str) -> list[str]:
            done = await run_git(folder, *words, timeout=GIT_LIMIT, accept=(0, 1), environment=real)
            return split_names(done)

        settings = await ask("config", "-z", "--type=path", "--get-regexp", "^core\\.(excludesfile|ignorecase)$")
        options = tuple(
            word for name, _, value in (each.partition("\n") for each in settings) for word in ("-c", f"{name}={value}")
        )
        known = frozenset(await ask("ls-files", "-z", "-c", "-i", "--exclude-standard"))
        links: dict[str, str] = {}
        if await anyio.to_thread.run_sync(os.path.lexists, f"{folder}/.gitmodules"):
            staged = (each.partition("\t") for each in await ask("ls-files", "-z", "--stage"))
            links = {name: entry.split(" ")[1] for entry, _, name in staged if entry.startswith(GITLINK)}
        exclude = Path("info") / "exclude"
        await anyio.to_thread.run_sync(_copy, Path(self.worktree.common) / exclude, self.place / _GIT / exclude)
        if links:
            await self.enter((GITLINK, sha, name) for name, sha in links.items())
        signature = (*repository, *await anyio.to_thread.run_sync(_excludes, options))
        self.rules = _Rules(signature, options, known - frozenset(links), frozenset(links))
        return True

    def _stamps(self) -> tuple[object, ...]:
        git_dir, common = self.worktree.git_dir, self.worktree.common
        places = (f"{git_dir}/index", f"{git_dir}/config.worktree", f"{common}/config", f"{common}/info/exclude")
        return tuple(map(_stamp, places))

    async def _put(self, names: Collection[str]) -> None:
        """Have the index hold these files as they are now, or no more where they are gone."""
        if not names:
            return
        there, gone, closed = await anyio.to_thread.run_sync(_sorted_out, self.worktree.folder, names)
        await self._remove(gone)
        for _ in range(AGAIN):
            if not there:
                break
            done = await self.git(
                "update-index", "--add", "--remove", "--replace", "-z", "--stdin",
                accept=(0, 128), given=joined_names(there),
            )  # fmt: skip
            if done.exit_code == 0:
                break
            name = done.stderr.rpartition(_UNPROCESSED)[2].removesuffix("\n")
            before = len(there)
            there = [each for each in there if printable(each) != name]
            if len(there) == before:
                raise GitError(f"The files could not be kept: {done.stderr.strip()[-300:]}")
            closed.append(name)
        if closed:
            shown = ", ".join(printable(name) for name in closed[:NAMED])
            more = f" and {len(closed) - NAMED} more" if len(closed) > NAMED else ""
            self.log(f"a checkpoint leaves out what cannot be read: {shown}{more}")

    async def _remove(self, names: Sequence[str]) -> None:
        if names:
            await self.git("update-index", "--force-remove", "-z", "--stdin", given=joined_names(names))

    async def enter(self, entries: Iterable[tuple[str, str, str]], variables: Mapping[str, str] | None = None) -> None:
        """Have the index hold mode, object and name as given; the mode 0 takes an entry out."""
        lines = "".join(f"{mode} {sha}\t{name}\0" for mode, sha, name in entries)
        await self.git(
            "update-index", "--add", "--replace", "-z", "--index-info",
            given=lines.encode("utf-8", "surrogateescape"), variables=variables,
        )  # fmt: skip


@dataclass(frozen=True)
class Between:
    """Two trees compared, as `backend_stub.providers.local.whole_patch.Compares` has it."""

    snapshot: Snapshot
    old: str
    new: str

    async def run(self, *options: str, into: int | None = None) -> bytes:
        config = ("-c", "core.quotePath=true", "-c", "diff.suppressBlankEmpty=false")
        done = await self.snapshot.git(*config, "diff-tree", "-r", *OPTIONS, *options, self.old, self.new, into=into)
        return done.stdout


def split_names(done: Output) -> list[str]:
    """The names that git printed with null characters behind them."""
    return [name for name in done.text.split("\0") if name]


def joined_names(names: Iterable[str]) -> bytes:
    """Names as git takes them on its standard input."""
    return "".join(f"{name}\0" for name in names).encode("utf-8", "surrogateescape")


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        held = Path(path).stat()
    except OSError:
        return None
    return held.st_mtime_ns, held.st_ino, held.st_size


def _excludes(options: Sequence[str]) -> tuple[object, ...]:
    return tuple(_stamp(word.partition("=")[2]) for word in options if word.startswith("core.excludesfile="))


def _copy(path: Path, to: Path) -> None:
    to.write_bytes(_read(path))


def _read(path: Path) -> bytes:
    """What the file holds; nothing where there is none."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _sorted_out(folder: str, names: Iterable[str]) -> tuple[list[str], list[str], list[str]]:
    """In a thread: the names that are files now, those that are none any more, and those that cannot be read."""
    there: list[str] = []
    gone: list[str] = []
    closed: list[str] = []
    real: dict[str, bool] = {}

    def in_folders(name: str) -> bool:
        """Whether all above it are folders, and none a link to one."""
        above = os.path.dirname(name)
        if not above:
            return True
        if above not in real:
            try:
                real[above] = in_folders(above) and stat.S_ISDIR(os.lstat(f"{folder}/{above}").st_mode)
            except OSError:
                real[above] = False
        return real[above]

    for name in names:
        path = f"{folder}/{name}"
        try:
            mode = os.lstat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            gone.append(name)
            continue
        except OSError:
            closed.append(name)
            continue
        if not in_folders(name) or not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
            gone.append(name)
        elif stat.S_ISDIR(mode):
            (there if os.path.lexists(f"{path}/.git") else gone).append(name)
        elif stat.S_ISREG(mode) and not os.access(path, os.R_OK):
            closed.append(name)
        else:
            there.append(name)
    return there, gone, closed
