"""What ails an open database: its files were taken away or changed, a row cannot be read, a commit was refused."""

import sqlite3
import threading
from contextlib import suppress
from pathlib import Path
from shutil import disk_usage

import msgspec

from backend_stub.domain.storage import Fault
from backend_stub.storage.sqlite.files import DatabaseFiles
from backend_stub.storage.sqlite.opening import is_damage, is_full, why_not

ROOM = 1_048_576
"""Bytes that have to be free beyond those at which a commit found no room, before it counts as made room for."""


class Condition:
    """What is known to be wrong with the database, shared by its writer and readers.

    Each fault is a sentence without its full stop, which also says what to do.

    `writing` is held by the thread that commits, and by one that looks at the files while nobody commits. `lost` says
    why commits may have gone nowhere, `refusal` why the last one could not be made; None: no such thing.
    """

    def __init__(self, path: Path, files: DatabaseFiles) -> None:
        self.files = files
        self.writing = threading.Lock()
        self.lost: str | None = None
        self.refusal: str | None = None
        self._path = path
        self._damage: str | None = None
        self._full: tuple[str, int] | None = None
        """Why a commit had no room on the disk, and the bytes that were free then."""

    def fault(self) -> Fault | None:
        """See `Storage.fault`; raises `OSError` when the files cannot be looked at."""
        gone = self.lost or self.files.moved() or self.why_reads_are_doubtful() or self.refusal
        if gone is not None:
            return Fault("unavailable", gone)
        if self._damage is not None:
            return Fault("damaged", self._damage)
        # A small change may find room where a large one did not: that it was kept does not tell that all is well.
        full = self._why_full()
        return None if full is None else Fault("degraded", full)

    def _why_full(self) -> str | None:
        if self._full is None:
            return None
        why, free = self._full
        if disk_usage(self._path.parent).free >= free + ROOM:
            self._full = None
            return None
        return why

    def why_reads_are_doubtful(self) -> str | None:
        """Why what is read may be wrong, None if nothing says so; for threads that do not commit."""
        if self.files.changed() is None:
            return None
        # It may be this process that moves the log into the database just now.
        with self.writing:
            return self.files.changed()

    def why_commits_are_lost(self) -> str | None:
        """Why what is committed now would be gone later, None if nothing says so; for the thread that commits."""
        return self.lost or self.files.moved() or self.files.changed()

    def why_not(self, error: sqlite3.Error | msgspec.DecodeError, doing: str) -> str:
        """What is wrong and what to do; damage is kept in mind, since only what meets it finds it."""
        if isinstance(error, msgspec.DecodeError):
            why = f"the database {self._path} is damaged, a row cannot be read ({error}): restore a copy"
        else:
            why = why_not(self._path, error, doing)
        if isinstance(error, msgspec.DecodeError) or is_damage(error):
            self._damage = why
        elif is_full(error):
            with suppress(OSError):
                self._full = (why, disk_usage(self._path.parent).free)
        return why
