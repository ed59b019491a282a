"""Opening what lies below a folder so that no symbolic link on the way is followed and nothing that is opened hangs."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike

from backend_stub.domain.errors import BackendError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Without O_NONBLOCK a named pipe of that name would hold the reader for ever.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class UnusableError(BackendError):
    """What has this name is no plain file or folder, or is too large; the message says so as `is a symbolic link`."""


@contextmanager
def folder_below(top: str | PathLike[str], parts: Sequence[str], *, mode: int | None = None) -> Iterator[int]:
    """A descriptor of the folder `parts` below `top`, for a `with` block; `top` itself may be reached by links.

    With a `mode` folders that are missing are made, with exactly these permissions. Raises `FileNotFoundError`,
    `UnusableError` for a link or a file in the way, and `OSError`.
    """
    folder = os.open(top, _FOLDER)
    try:
        for part in parts:
            made = mode is not None and _make(part, folder)
            inner = _open(part, _FOLDER | os.O_NOFOLLOW, folder)
            os.close(folder)
            folder = inner
            if made and mode is not None:
                os.fchmod(folder, mode)
        yield folder
    finally:
        os.close(folder)


@contextmanager
def file_in(folder: int, name: str) -> Iterator[int]:
    """A descriptor of the regular file of this name in an open folder, for a `with` block.

    Raises `FileNotFoundError`, `UnusableError` for what is no regular file, and `OSError`.
    """
    descriptor = _open(name, _FILE, folder)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnusableError(_kind(os.fstat(descriptor).st_mode))
        yield descriptor
    finally:
        os.close(descriptor)


def read_file(folder: int, name: str, limit: int) -> bytes:
    """All of a regular file in an open folder; raises as `file_in` does, and `UnusableError` when it is over `limit`
    bytes."""
    with file_in(folder, name) as descriptor, os.fdopen(os.dup(descriptor), "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise UnusableError(f"is larger than {limit // 1024} KiB")
    return content


def _make(name: str, folder: int) -> bool:
    try:
        os.mkdir(name, 0o700, dir_fd=folder)
    except FileExistsError:
        return False
    return True


def _open(name: str, flags: int, folder: int) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        # The system's own words for a link depend on the system, and for a socket say nothing.
        found = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if flags & os.O_DIRECTORY and not stat.S_ISDIR(found):
            raise UnusableError(_kind(found)) from error
        if not stat.S_ISREG(found) and not stat.S_ISDIR(found):
            raise UnusableError(_kind(found)) from error
        raise


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "is a symbolic link, which is not followed"
    if stat.S_ISDIR(mode):
        return "is a folder"
    return "is a file" if stat.S_ISREG(mode) else "is no regular file"
