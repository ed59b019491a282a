"""How far a database had come and when somebody was last at work on it: kept beside it, so that both outlive a kill.

A database that has come less far than its pulse says was replaced by an older copy; and a pulse that somebody else has
written, as whoever restores the whole folder does, says nothing. The time between the last beat and a start is time in
which nobody worked, which must not count against the stages that were cut.
"""

import os
import time
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from foundry_tui.contract.codec import decode

FILE_NAME = "pulse"
ROOM = 160
"""Bytes of the file: each beat overwrites all of it at once, so that no half of one is left."""


TOUCHED = 500
"""Milliseconds after a beat in which the system may note that the file was changed by it."""


class Beat(Struct, frozen=True):
    """The database's name, the seq of its last commit, and the time in milliseconds since the epoch.

    `written` is the system's own time of that moment, whatever time the backend goes by; `inode` names the file.
    """

    database: str
    seq: int
    at: int
    written: int = 0
    inode: int = 0


class Pulse:
    """The file of the last beat, in the data folder. Raises `OSError` when it cannot be opened."""

    def __init__(self, folder: Path) -> None:
        self._handle = os.open(folder / FILE_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        self._inode = os.fstat(self._handle).st_ino

    def last(self) -> Beat | None:
        """The last beat; None when there was none, or when it cannot be read."""
        try:
            return decode(os.pread(self._handle, ROOM, 0), Beat)
        except (OSError, msgspec.DecodeError):
            return None

    def is_untouched(self, last: Beat) -> bool:
        """Whether this is the file that a backend wrote, and nobody else since.

        A copy is another file; one that was copied into this file can have its every time but that of its change.
        """
        found = os.fstat(self._handle)
        return found.st_ino == last.inode and abs(found.st_ctime_ns // 1_000_000 - last.written) <= TOUCHED

    def beat(self, database: str, seq: int, at: int) -> None:
        """Note it, from any thread. It is not forced to the disk, and a disk that refuses it costs no commit."""
        beat = Beat(database, seq, at, time.time_ns() // 1_000_000, self._inode)
        with suppress(OSError):
            os.pwrite(self._handle, msgspec.json.encode(beat).ljust(ROOM), 0)

    def close(self) -> None:
        os.close(self._handle)
