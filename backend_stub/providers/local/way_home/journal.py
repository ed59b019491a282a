"""Files of a checkout that are changed all or none, whatever ends this process: what they are and what they are to be
is on the disk, durably, before the first is touched, and each becomes the other in one move.

Whatever a person has changed since is in neither state, and is left as it is.
"""

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct

from backend_stub.domain.errors import GitError
from backend_stub.machine import privacy
from backend_stub.providers.local.comparison import printable
from backend_stub.repository.nofollow import UnusableError, folder_below
from foundry_tui.contract.codec import decode

BEFORE, AFTER = "before", "after"
"""Folders of the journal's place: the files as they are, and as they are to be, by their names."""
_JOURNAL, _MADE = "journal.json", "made"
_ATTRIBUTES = ".gitattributes"


class _Kind(StrEnum):
    NONE = "none"
    FILE = "file"
    LINK = "link"
    FOLDER = "folder"
    OTHER = "other"


class _Entry(Struct, frozen=True):
    """What is at a name; the digest is of a file's bytes or of where a link leads."""

    kind: _Kind = _Kind.NONE
    executable: bool = False
    digest: str = ""


class _Change(Struct, frozen=True):
    name: bytes
    before: _Entry
    after: _Entry


class _Written(Struct, frozen=True):
    """What the journal's file says. `folders` were there before; `about` is whatever its writer has to know."""

    checkout: bytes
    changes: tuple[_Change, ...]
    folders: tuple[bytes, ...]
    about: dict[str, str] = {}


def keep_before(place: Path, checkout: Path, names: Iterable[str], sides: Sequence[str] = (BEFORE,)) -> None:
    """Copy these files, as they are in the checkout, to `before`, or to `after` as well, there with the attributes that
    count for them. Raises `GitError` for what is no file, and `OSError`.
    """
    discard(place)
    for side in (BEFORE, AFTER):
        (place / side).mkdir(mode=0o700, parents=True)
    for name in names:
        entry = _entry(checkout, name)
        if entry.kind is _Kind.OTHER:
            raise GitError(f"{printable(name)} is no file that could be changed in {checkout}.", retryable=False)
        for side in sides:
            _copy(checkout, place / side, name, entry)
        for above in _above(name) if AFTER in sides else ():
            attributes = f"{above}/{_ATTRIBUTES}".removeprefix("/")
            found = _entry(checkout, attributes)
            if found.kind is _Kind.FILE:
                _copy(checkout, place / AFTER, attributes, found)


def discard(place: Path) -> None:
    """Remove a journal, its proof first: what it speaks of is whole, one way or the other."""
    for name in (_JOURNAL, _MADE):
        (place / name).unlink(missing_ok=True)
    for side in (BEFORE, AFTER):
        shutil.rmtree(place / side, ignore_errors=True)


class Journal:
    """The changes of one operation in one checkout. All of it blocks, but for what is known already."""

    def __init__(self, place: Path, written: _Written) -> None:
        self._place = place
        self._written = written
        self.checkout = Path(os.fsdecode(written.checkout))
        self.about = written.about
        self.is_made = (place / _MADE).exists()
        """Whether all changes were made once: what the files are since then is the person's affair."""

    @classmethod
    def write(cls, place: Path, checkout: Path, names: Iterable[str], about: dict[str, str]) -> "Journal":
        """Make it durable, once the folder `after` has the files as they are to be. Raises `OSError`."""
        before, after = place / BEFORE, place / AFTER
        changes = tuple(
            _Change(name=os.fsencode(name), before=old, after=new)
            for name in sorted(set(names))
            if (old := _entry(before, name)) != (new := _entry(after, name))
        )
        above = {folder for change in changes for folder in _above(os.fsdecode(change.name))}
        there = (folder for folder in above if folder and _entry(checkout, folder).kind is _Kind.FOLDER)
        written = _Written(os.fsencode(checkout), changes, tuple(sorted(os.fsencode(each) for each in there)), about)
        for side in (before, after):
            for top, _, files in os.walk(side):
                for name in files:
                    if not Path(top, name).is_symlink():
                        _sync(Path(top, name))
                _sync(top)
        file = place / f"{_JOURNAL}.new"
        file.write_bytes(msgspec.json.encode(written))
        _sync(file)
        file.rename(place / _JOURNAL)
        _sync(place)
        _sync(place.parent)
        return cls(place, written)

    @classmethod
    def read(cls, place: Path) -> "Journal | None":
        """The one that was written, if one was. Raises `GitError` for one that says nothing that could be gone by."""
        try:
            written = decode((place / _JOURNAL).read_bytes(), _Written)
            for name in (*(change.name for change in written.changes), *written.folders):
                _parts(os.fsdecode(name))
            return cls(place, written)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, GitError) as error:
            raise GitError(
                f"{place / _JOURNAL}, which says what was being changed in a checkout of yours, cannot be gone by: "
                f"{str(error).rstrip('.')}. Look there with git status, remove the folder {place}, then do this again.",
                retryable=False,
            ) from error

    def make(self) -> Sequence[str]:
        """Have all files be as they are to be, or as they were; files that a person has changed meanwhile: then the
        others are as they were. Raises `GitError` where the disk refuses; then they are too, unless
        that was refused as well.
        """
        if self.is_made:
            return ()
        try:
            self._become(AFTER)
            (self._place / _MADE).touch()
            _sync(self._place)
        except _ChangedMeanwhileError as found:
            self.take_back()
            return found.names
        except (OSError, UnusableError) as error:
            self.take_back()
            raise GitError(
                f"The changes could not be made in {self.checkout}: {_why(error)}. Nothing was changed there.",
                retryable=False,
            ) from error
        self.is_made = True
        return ()

    def take_back(self) -> Sequence[str]:
        """Have the files be as they were, but for those that a person has changed meanwhile: these.

        Raises `GitError` where the disk refuses: what was there is kept until it is put back.
        """
        with self.taking_back():
            (self._place / _MADE).unlink(missing_ok=True)
            self.is_made = False
            return self._put_back()

    def _put_back(self) -> Sequence[str]:
        while True:
            left = [os.fsdecode(change.name) for change in self._written.changes if not self._is_ours(change)]
            with suppress(_ChangedMeanwhileError):
                self._become(BEFORE, but=left)
                return left

    @contextmanager
    def taking_back(self) -> Iterator[None]:
        """What the disk refuses while all is taken back, as a `GitError` that says where the files are kept."""
        try:
            yield
        except (OSError, UnusableError) as error:
            raise GitError(
                f"The changes are half made in {self.checkout} and could not be taken back: {_why(error)}. What was "
                f"there before is kept in {self._place / BEFORE}. See to that, then do this again, which puts it back "
                "first.",
                retryable=False,
            ) from error

    def _is_ours(self, change: _Change) -> bool:
        """Whether a file is as it was or as it is to be, or on the way between a folder and a file."""
        found = _entry(self.checkout, os.fsdecode(change.name))
        return found in (change.before, change.after) or (
            found.kind is _Kind.NONE and _Kind.FOLDER in (change.before.kind, change.after.kind)
        )

    def _become(self, side: str, but: Sequence[str] = ()) -> None:
        self._sweep()
        wanted = {name: each for each in self._written.changes if (name := os.fsdecode(each.name)) not in but}
        strange = [name for name, change in wanted.items() if not self._is_ours(change)]
        if strange:
            raise _ChangedMeanwhileError(strange)
        kept = frozenset(map(os.fsdecode, self._written.folders)) if side == BEFORE else frozenset()
        targets = {name: change.after if side == AFTER else change.before for name, change in wanted.items()}
        for name in sorted(targets, reverse=True):
            if targets[name].kind is _Kind.NONE:
                self._expect_ours(wanted[name])
                self._remove(name, kept)
        for name, entry in sorted(targets.items()):
            if entry.kind is not _Kind.NONE and _entry(self.checkout, name) != entry:
                self._expect_ours(wanted[name])
                self._put(name, entry, self._place / side)
        for folder in sorted({above for name in targets for above in _above(name)}):
            with suppress(FileNotFoundError, NotADirectoryError):
                _sync(self.checkout / folder)

    def _expect_ours(self, change: _Change) -> None:
        if not self._is_ours(change):
            raise _ChangedMeanwhileError([os.fsdecode(change.name)])

    def _remove(self, name: str, kept: frozenset[str]) -> None:
        """Remove a file, and the folders above that have nothing more but are not in `kept`."""
        found = _entry(self.checkout, name)
        if found.kind is _Kind.FOLDER:
            # Of a submodule that goes git leaves what is in it.
            with suppress(OSError):
                (self.checkout / name).rmdir()
        elif found.kind is not _Kind.NONE:
            with folder_below(self.checkout, _parts(name)[:-1]) as folder:
                os.unlink(_parts(name)[-1], dir_fd=folder)
        for above in _above(name):
            if not above or above in kept:
                return
            try:
                (self.checkout / above).rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                return

    def _put(self, name: str, entry: _Entry, side: Path) -> None:
        *above, last = _parts(name)
        mode = 0o777 & ~max(privacy.umask_of_children(), 0)
        with folder_below(self.checkout, above, mode=mode) as folder:
            if entry.kind is _Kind.FOLDER:
                if _kind_of(last, folder) is not _Kind.NONE:
                    os.unlink(last, dir_fd=folder)
                os.mkdir(last, mode, dir_fd=folder)
                return
            new, kept = self._temporary, side / name
            if entry.kind is _Kind.LINK:
                os.symlink(kept.readlink(), new, dir_fd=folder)
            else:
                held = kept.stat()
                descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
                with os.fdopen(descriptor, "wb") as into, kept.open("rb") as source:
                    shutil.copyfileobj(source, into)
                    os.fchmod(into.fileno(), stat.S_IMODE(held.st_mode))
                    into.flush()
                    if side.name == BEFORE:
                        os.utime(into.fileno(), ns=(held.st_atime_ns, held.st_mtime_ns))
                    os.fsync(into.fileno())
            if _kind_of(last, folder) is _Kind.FOLDER:
                os.rmdir(last, dir_fd=folder)
            os.rename(new, last, src_dir_fd=folder, dst_dir_fd=folder)

    @property
    def _temporary(self) -> str:
        """The name of a file in the making, of which there is one at most in a folder."""
        return f".foundry-{hashlib.sha256(os.fsencode(self._place)).hexdigest()[:16]}.new"

    def _sweep(self) -> None:
        """Remove what a kill left in the making."""
        folders = {tuple(_parts(os.fsdecode(change.name))[:-1]) for change in self._written.changes}
        for above in folders:
            with suppress(OSError, UnusableError), folder_below(self.checkout, above) as folder:
                os.unlink(self._temporary, dir_fd=folder)


class _ChangedMeanwhileError(Exception):
    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        self.names = names


def _entry(top: Path, name: str) -> _Entry:
    """What is at a name below a folder; nothing is where a link is on the way."""
    *above, last = _parts(name)
    try:
        with folder_below(top, above) as folder:
            kind = _kind_of(last, folder)
            if kind is _Kind.LINK:
                target = os.fsencode(os.readlink(last, dir_fd=folder))
                return _Entry(kind, digest=hashlib.sha256(target).hexdigest())
            if kind is not _Kind.FILE:
                return _Entry(kind)
            descriptor = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            with os.fdopen(descriptor, "rb") as file:
                executable = bool(os.fstat(file.fileno()).st_mode & stat.S_IXUSR)
                return _Entry(kind, executable, hashlib.file_digest(file, "sha256").hexdigest())
    except (FileNotFoundError, NotADirectoryError, UnusableError):
        return _Entry()


def _kind_of(name: str, folder: int) -> _Kind:
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return _Kind.NONE
    kinds = {stat.S_IFREG: _Kind.FILE, stat.S_IFLNK: _Kind.LINK, stat.S_IFDIR: _Kind.FOLDER}
    return kinds.get(stat.S_IFMT(mode), _Kind.OTHER)


def _copy(top: Path, into: Path, name: str, entry: _Entry) -> None:
    target = into / name
    if entry.kind is _Kind.NONE or os.path.lexists(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if entry.kind is _Kind.FOLDER:
        target.mkdir()
    else:
        shutil.copy2(top / name, target, follow_symlinks=False)


def _why(error: OSError | UnusableError) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _parts(name: str) -> list[str]:
    """Raises `GitError` for a name that leads elsewhere."""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise GitError(f"{printable(name)} is no name of a file in a repository.", retryable=False)
    return parts


def _above(name: str) -> Iterable[str]:
    """The folders that a file is in, the innermost first; the last is "", the checkout itself."""
    while name:
        name = name.rpartition("/")[0]
        yield name


def _sync(path: str | Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
