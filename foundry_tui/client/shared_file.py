"""A file that several processes write: one at a time, and each of them a whole file in the place of the one before."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from foundry_tui.client.private_files import open_file

if sys.platform != "win32":
    import fcntl


def lock_of(path: Path) -> Path:
    """The file beside it that is locked while one writes."""
    return path.with_name(f".{path.name}.lock")


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other apps from writing in between, where the platform has such locks."""
    with os.fdopen(open_file(lock_of(path), os.O_WRONLY | os.O_APPEND), "ab") as lock:
        if sys.platform != "win32":
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def put_aside(path: Path) -> Path:
    """Give a file that is none of ours another name, since somebody may want to look at it; that name.

    Raises `OSError`.
    """
    names = (f"{path.name}.damaged{number or ''}" for number in count())
    aside = next(place for place in map(path.with_name, names) if not os.path.lexists(place))
    return path.replace(aside)


def replace_file(path: Path, document: bytes) -> None:
    """Put a new file in the place of the old one; raises `OSError` and leaves the old one when it cannot."""
    # mkstemp makes the file readable by its owner alone: prompts are private.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError:
        with suppress(OSError):
            Path(name).unlink()
        raise
