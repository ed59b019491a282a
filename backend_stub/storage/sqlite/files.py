"""Whether the files that an open database stands in are still the ones that were opened, and whole.

SQLite goes on writing into a file that was removed or renamed, and beside what somebody else has put into it: both
would lose what was acknowledged. What must hold is read from the index of the write-ahead log, whose form is
described at https://sqlite.org/walformat.html.
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path

LOG_SUFFIX, INDEX_SUFFIX = "-wal", "-shm"
PUT_BACK = "put that very file back, or restart the backend to go on with what is there"
RESTART = "stop the backend, restore a copy if there is one, and start it again"

_INDEX = struct.Struct("=14xHI12x8s56xI")
"""Of the index: the size of a page (1: 65,536), the last frame, the log's salt, the frames moved into the database."""
_SALT = slice(16, 24)
"""Where the log itself has its salt."""
_LOG_HEAD, _FRAME_HEAD, _DATABASE_HEAD = 32, 24, 100
"""Bytes of each."""


@dataclass(frozen=True)
class _Mark:
    """The database's own file as it stood: when it was written, its size and head, and what had been moved into it."""

    written: int
    size: int
    head: bytes
    moved: tuple[bytes, int]


class DatabaseFiles:
    """The database, its log and its index, of a connection that has read or written. Raises `OSError`.

    Close it after every connection: a process that closes any handle of these files loses SQLite's locks on them.
    """

    def __init__(self, path: Path) -> None:
        self._names = [path, *(path.with_name(path.name + suffix) for suffix in (LOG_SUFFIX, INDEX_SUFFIX))]
        self._handles = [os.open(name, os.O_RDONLY | os.O_CLOEXEC) for name in self._names]
        self._known = [_identity(os.fstat(handle)) for handle in self._handles]
        self._mark = self._mark_now()

    def moved(self) -> str | None:
        """Which file is no longer in its place, and what to do. What is open has all that was committed."""
        for name, known in zip(self._names, self._known, strict=True):
            try:
                found = _identity(name.stat())
            except OSError as error:
                return f"{name} cannot be found any more ({error.strerror}): {PUT_BACK}"
            if found != known:
                return f"{name} was replaced by another file: {PUT_BACK}"
        return None

    def changed(self) -> str | None:
        """Which file somebody else has cut or overwritten, and what to do. What is read from it may be wrong."""
        return self.log_changed() or self._database_changed()

    def log_changed(self) -> str | None:
        """The same of the log alone: right after a commit the database may have been written by that."""
        log = self._handles[1]
        page, last, salt, _ = self._read_index()
        if last:
            least = _LOG_HEAD + last * (_FRAME_HEAD + (65_536 if page == 1 else page))
            if os.fstat(log).st_size < least or os.pread(log, _LOG_HEAD, 0)[_SALT] != salt:
                return f"{self._names[1]} was cut or overwritten, what was done last may be lost: {RESTART}"
        return None

    def _database_changed(self) -> str | None:
        database, mark = self._handles[0], self._mark
        found = os.fstat(database)
        _, _, salt, moved = self._read_index()
        # SQLite writes the database only when it moves the log into it, of which the index tells.
        written = (found.st_mtime_ns, found.st_size) != (mark.written, mark.size) and (salt, moved) == mark.moved
        if written and (found.st_size < mark.size or os.pread(database, _DATABASE_HEAD, 0) != mark.head):
            return f"{self._names[0]} was cut or overwritten: {RESTART}"
        return None

    def note(self) -> None:
        """This process has committed: what it has written is no other's doing."""
        _, _, salt, moved = self._read_index()
        if (salt, moved) != self._mark.moved or os.fstat(self._handles[0]).st_mtime_ns != self._mark.written:
            self._mark = self._mark_now()

    def close(self) -> None:
        for handle in self._handles:
            os.close(handle)

    def _read_index(self) -> tuple[int, int, bytes, int]:
        page, last, salt, moved = _INDEX.unpack(os.pread(self._handles[2], _INDEX.size, 0).ljust(_INDEX.size, b"\0"))
        return page, last, salt, moved

    def _mark_now(self) -> _Mark:
        database = self._handles[0]
        found = os.fstat(database)
        _, _, salt, moved = self._read_index()
        return _Mark(found.st_mtime_ns, found.st_size, os.pread(database, _DATABASE_HEAD, 0), (salt, moved))


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
