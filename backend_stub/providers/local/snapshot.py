"""The files of a worktree as a tree of git's, exact to the byte, and files made those of such a tree again.

Both go through an index and a git folder of our own, in which no attribute, no line-ending rule and no filter applies:
what is kept is what is on the disk. Objects go into the repository, or into a folder that is thrown away. The index
stays from one time to the next, so that only what changed is read. Nothing of the person's is written, and nothing is
run that a configuration names: what git would start of itself, in submodules above all, is not asked for.

Kept is what git knows and what it does not ignore. Repositories inside are left alone; of those that git knows as
submodules the commit is kept.
"""

import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.to_thread

from backend_stub.domain.errors import GitError
from backend_stub.providers.local.comparison import OPTIONS, RAW, printable
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
_UNPROCESSED = "Unable to process path "
_GITLINK, _NONE = "160000", "000000"
"""Modes of a repository inside, and of nothing."""


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
            found[kind] = _split(await self.git(*words))

        try:
            async with anyio.create_task_group() as group:
                group.start_soon(find, "changed", _CHANGED)
                group.start_soon(find, "new", (*self.rules.options, *_NEW))
        except* GitError as errors:
            raise errors.exceptions[0] from None
        names = [*found["changed"], *(name for name in found["new"] if not name.endswith("/")), *self.rules.known]
        await self._put(dict.fromkeys(names))
        if new_rules or any(name.rpartition("/")[2] == ".gitignore" for name in names):
            ignored = _split(await self.git(*self.rules.options, "ls-files", "-z", "-c", "-i", "--exclude-standard"))
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
        """In a thread: the git folder, made whole or not at all."""
        git = self.place / _GIT
        if not git.exists():
            new = self.place / f"{_GIT}.new"
            shutil.rmtree(new, ignore_errors=True)
            self.place.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.mkdir()
            sha256 = b"sha256" in _read(Path(self.worktree.common) / "config")
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
            return _split(done)

        settings = await ask("config", "-z", "--type=path", "--get-regexp", "^core\\.(excludesfile|ignorecase)$")
        options = tuple(
            word for name, _, value in (each.partition("\n") for each in settings) for word in ("-c", f"{name}={value}")
        )
        known = frozenset(await ask("ls-files", "-z", "-c", "-i", "--exclude-standard"))
        links: dict[str, str] = {}
        if await anyio.to_thread.run_sync(os.path.lexists, f"{folder}/.gitmodules"):
            staged = (each.partition("\t") for each in await ask("ls-files", "-z", "--stage"))
            links = {name: entry.split(" ")[1] for entry, _, name in staged if entry.startswith(_GITLINK)}
        exclude = Path("info") / "exclude"
        await anyio.to_thread.run_sync(_copy, Path(self.worktree.common) / exclude, self.place / _GIT / exclude)
        if links:
            await self._enter((_GITLINK, sha, name) for name, sha in links.items())
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
                accept=(0, 128), given=_joined(there),
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
            await self.git("update-index", "--force-remove", "-z", "--stdin", given=_joined(names))

    async def _enter(self, entries: Iterable[tuple[str, str, str]], variables: Mapping[str, str] | None = None) -> None:
        """Have the index hold mode, object and name as given; the mode 0 takes an entry out."""
        lines = "".join(f"{mode} {sha}\t{name}\0" for mode, sha, name in entries)
        await self.git(
            "update-index", "--add", "--replace", "-z", "--index-info",
            given=lines.encode("utf-8", "surrogateescape"), variables=variables,
        )  # fmt: skip

    # Making files those of a tree

    async def become(self, now: str, target: str, room: Path, others: Collection[str] = ()) -> str:
        """Make the files, which are those of the tree `now` as taken last, those of `target`: the tree they have then.

        What the target's rules ignore stays if none of the trees `others` has it, and repositories inside do. Raises
        `GitError`, before anything is touched, where a file was changed meanwhile or a repository is in the way. Cut,
        it is begun again.
        """
        aim = await self._aim(now, target, room, others)
        await self.git("read-tree", "-m", "-u", now, aim)
        return aim

    async def in_the_way(self, now: str, target: str) -> Collection[str]:
        """Files that stand where the target has others, and that `now` has not since they are ignored.

        Raises `GitError` when that is a repository of its own.
        """
        listed = await self.git(
            "diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=A", now, target
        )  # fmt: skip
        found, blocked = await anyio.to_thread.run_sync(_standing, self.worktree.folder, _split(listed))
        if blocked:
            raise _blocked(blocked)
        return found

    async def _aim(self, now: str, target: str, room: Path, others: Collection[str]) -> str:
        """The target with what is to stay as it is now."""
        differing = _raw(await self.git("diff-tree", "-r", "-z", "--raw", "--no-renames", now, target))
        entries, folder = [], self.worktree.folder
        for name, (old, new, sha, _) in differing.items():
            if old == _GITLINK and await anyio.to_thread.run_sync(os.path.lexists, f"{folder}/{name}/.git"):
                inside = any(other.startswith(f"{name}/") and each[1] != _NONE for other, each in differing.items())
                if inside or new not in (_NONE, _GITLINK):
                    raise _blocked(name)
                entries.append((_GITLINK, sha, name))
            elif new == _GITLINK:
                entries.append(("0", "0" * len(sha), name))
        kept = [] if not any(name.rpartition("/")[2] == ".gitignore" for name in differing) else (
            await self._ignored_there(target, [name for name, each in differing.items() if each[1] == _NONE], room)
        )  # fmt: skip
        for other in others if kept else ():
            only_now = await self.git(
                "diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=A", other, now
            )  # fmt: skip
            kept = sorted(frozenset(kept).intersection(_split(only_now)))
        entries += [(differing[name][0], differing[name][2], name) for name in kept]
        if not entries:
            return target
        index = {"GIT_INDEX_FILE": str(room / "aim")}
        await self.git("read-tree", target, variables=index)
        await self._enter(entries, variables=index)
        return (await self.git("write-tree", variables=index)).text.strip()

    async def _ignored_there(self, target: str, names: Sequence[str], room: Path) -> list[str]:
        """Which of these, that the target has not, are there all the same since its own rules ignore them."""
        if not names:
            return []
        index, rules = {"GIT_INDEX_FILE": str(room / "rules.index")}, room / "rules"
        await anyio.to_thread.run_sync(rules.mkdir)
        await self.git("read-tree", target, variables=index)
        there = frozenset(_split(await self.git("ls-files", "-z", variables=index)))
        ignoring = [name for name in there if name.rpartition("/")[2] == ".gitignore"]
        await self.git(
            "checkout-index", "-z", "--stdin", f"--prefix={rules}/", given=_joined(ignoring), variables=index
        )  # fmt: skip
        found = await run_git(
            str(rules), *self.rules.options, "check-ignore", "--no-index", "-z", "--stdin",
            timeout=GIT_LIMIT, accept=(0, 1), given=_joined(names),
            environment={**self.variables, **index, "GIT_WORK_TREE": str(rules)},
        )  # fmt: skip
        real = await run_git(self.worktree.folder, "ls-files", "-z", timeout=GIT_LIMIT, environment=self.worktree.real)
        known = frozenset(_split(real))
        folders = frozenset(above for name in there for above in _above(name))
        stays = (name for name in _split(found) if name not in known | folders)
        return [name for name in stays if not there.intersection(_above(name))]

    async def changed(self, old: str, new: str) -> frozenset[str]:
        """The files of the tree `new` that `old` has not, or has otherwise."""
        listed = await self.git("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=d", old, new)
        return frozenset(_split(listed))


@dataclass(frozen=True)
class Between:
    """Two trees compared, as `backend_stub.providers.local.comparison.Side` has it."""

    snapshot: Snapshot
    old: str
    new: str

    async def run(self, *options: str, into: int | None = None) -> bytes:
        config = ("-c", "core.quotePath=true", "-c", "diff.suppressBlankEmpty=false")
        done = await self.snapshot.git(*config, "diff-tree", "-r", *OPTIONS, *options, self.old, self.new, into=into)
        return done.stdout


def _blocked(name: str) -> GitError:
    return GitError(
        f"{printable(name)} is a repository of its own by now, where the checkpoint has files. Move it away, then undo "
        "again; nothing was changed.",
        retryable=False,
    )


def _split(done: Output) -> list[str]:
    return [name for name in done.text.split("\0") if name]


def _joined(names: Iterable[str]) -> bytes:
    return "".join(f"{name}\0" for name in names).encode("utf-8", "surrogateescape")


def _raw(done: Output) -> dict[str, tuple[str, str, str, str]]:
    """Both modes and both objects of each file, of `--raw -z`."""
    fields = iter(done.text.split("\0"))
    found = {}
    for line in fields:
        if line:
            old, new, one, other, _ = line.removeprefix(":").split(" ")
            found[next(fields)] = (old, new, one, other)
    return found


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


def _above(name: str) -> Iterable[str]:
    """The folders that a file is in, by their names, the outermost first."""
    at = name.find("/")
    while at >= 0:
        yield name[:at]
        at = name.find("/", at + 1)


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
