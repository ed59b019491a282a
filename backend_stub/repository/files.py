"""Reading git's own small files without git, such that no file there can hang or flood the reader."""

import errno
import os
import stat
from os import PathLike

_SMALL = 64 * 1024


def read_text(path: str | PathLike[str], limit: int = _SMALL) -> str | None:
    """The text of a regular file, at most `limit` bytes of it; None when there is none to be read.

    Undecodable bytes become lone surrogates. Touches the disk; safe to run in a thread.
    """
    # Without O_NONBLOCK a named pipe of that name would hold the reader for ever.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return os.read(descriptor, limit).decode("utf-8", "surrogateescape")
    except OSError:
        return None
    finally:
        os.close(descriptor)


def symbolic_ref(path: str) -> str | None:
    """The ref that a file such as HEAD points to (`refs/heads/main`), or None when it names a commit or nothing."""
    text = read_text(path)
    if text is None or not text.startswith("ref:"):
        return None
    target = text[4:].split("\n", 1)[0].strip()
    return target or None


def common_dir(git_dir: str) -> str | None:
    """Where refs and objects live: the folder itself, or for a linked worktree that of its main repository.

    None when git would not take the folder for the inside of a repository (`.git`, or a bare one). Raises
    `PermissionError` when it may not be looked at.
    """
    if mode_of(os.path.join(git_dir, "HEAD"), follow=False) is None:
        return None
    text = read_text(os.path.join(git_dir, "commondir"))
    target = text.strip("\n") if text else ""
    common = os.path.normpath(os.path.join(git_dir, target)) if target else git_dir
    has_inside = all(mode_of(os.path.join(common, name)) is not None for name in ("objects", "refs"))
    return common if has_inside and _has_head(git_dir) else None


def mode_of(path: str, *, follow: bool = True) -> int | None:
    """The type and permissions of what has this name, or None; raises `PermissionError` when that may not be known."""
    try:
        return os.stat(path, follow_symlinks=follow).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def _has_head(git_dir: str) -> bool:
    path = os.path.join(git_dir, "HEAD")
    text = read_text(path, 1_024)
    if text is None:
        if mode_of(path) is not None and not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, "permission denied", path)
        # Very old repositories have HEAD as a symbolic link to a branch that may not exist yet.
        return os.path.islink(path)
    head = text.strip()
    return head.startswith("ref:") or (len(head) in (40, 64) and all(char in "0123456789abcdef" for char in head))
