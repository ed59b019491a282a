"""Where the demo world keeps what happened: a file in the data folder, or what several hosts share."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol


class Appended(NamedTuple):
    """Whether the line was added, and the lines of its task that were not told before, it perhaps among them."""

    added: bool
    news: Sequence[bytes]


class Journal(Protocol):
    """Lines, each about a task, in the order in which they came; raises `OSError` and `StorageUnavailableError`."""

    def replay(self) -> Sequence[bytes]:
        """The lines that are there at the start, as far as they are this host's alone."""
        ...

    async def append(self, task_id: str, document: bytes, once: str = "") -> Appended:
        """Add a line, durably, unless one that had the same `once` was added before."""
        ...

    async def news(self, task_id: str) -> Sequence[bytes]:
        """The lines of the task that were not told before: other hosts added them."""
        ...


class FileJournal:
    """A file, which this process alone appends to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def replay(self) -> Sequence[bytes]:
        if not self._path.exists():
            return ()
        journal = self._path.read_bytes()
        whole = journal.rfind(b"\n") + 1
        if whole < len(journal):
            # A line cut short never took effect, and would spoil the one appended after it.
            os.truncate(self._path, whole)
        return journal[:whole].split(b"\n")[:-1]

    async def append(self, task_id: str, document: bytes, once: str = "") -> Appended:
        append_line(self._path, document)
        return Appended(True, ())

    async def news(self, task_id: str) -> Sequence[bytes]:
        return ()


def append_line(path: Path, document: bytes) -> None:
    """One write, so that a kill leaves a line whole or not at all; so does a full disk (`OSError`)."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        before = os.fstat(handle).st_size
        if os.write(handle, document + b"\n") <= len(document):
            os.ftruncate(handle, before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(handle)
