"""What ails an open database: its files were taken away or changed, a row cannot be read, a commit was refused."""

import sqlite3
import threading
from pathlib import Path

import msgspec

from backend_stub.domain.storage import Fault
from backend_stub.storage.sqlite.files import DatabaseFiles
from backend_stub.storage.sqlite.opening import is_damage, why_not


class Condition:
    """What is known of it, shared by whoever reads and writes; sentences say what to do, without their end.

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

    def fault(self) -> Fault | None:
        """See `Storage.fault`; raises `OSError` when the files cannot be looked at."""
        gone = self.lost or self.files.moved() or self.why_reads_are_doubtful() or self.refusal
        if gone is not None:
            return Fault("unavailable", gone)
        return None if self._damage is None else Fault("damaged", self._damage)

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
        return why
