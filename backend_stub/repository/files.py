"""Reading git's own small files without git, such that no file there can hang or flood the reader."""

import errno
import os
import stat
from pathlib import Path

_SMALL = 64 * 1024


def read_text(path: Path, limit: int = _SMALL) -> str | None:
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
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(limit).decode("utf-8", "surrogateescape")
    except OSError:
        return None
    finally:
        os.close(descriptor)


def symbolic_ref(path: Path) -> str | None:
    """The ref that a file such as HEAD points to (`refs/heads/main`), or None when it names a commit or nothing."""
    text = read_text(path)
    if text is None or not text.startswith("ref:"):
        return None
    target = text[4:].split("\n", 1)[0].strip()
    return target or None


def is_git_dir(path: Path) -> bool:
    """Whether git would take this folder for the inside of a repository (`.git`, or a bare one).

    Raises `PermissionError` when it may not be looked at.
    """
    if not _exists(path / "HEAD", follow=False):
        return False
    common = common_dir(path)
    return _exists(common / "objects") and _exists(common / "refs") and _has_head(path)


def common_dir(git_dir: Path) -> Path:
    """Where refs and objects live: the folder itself, or for a linked worktree that of its main repository."""
    text = read_text(git_dir / "commondir")
    target = text.strip("\n") if text else ""
    return Path(os.path.normpath(git_dir / target)) if target else git_dir


def _has_head(git_dir: Path) -> bool:
    text = read_text(git_dir / "HEAD", 1_024)
    if text is None:
        if _exists(git_dir / "HEAD") and not os.access(git_dir / "HEAD", os.R_OK):
            raise PermissionError(errno.EACCES, "permission denied", str(git_dir / "HEAD"))
        # Very old repositories have HEAD as a symbolic link to a branch that may not exist yet.
        return (git_dir / "HEAD").is_symlink()
    head = text.strip()
    return head.startswith("ref:") or (len(head) in (40, 64) and all(char in "0123456789abcdef" for char in head))


def _exists(path: Path, *, follow: bool = True) -> bool:
    try:
        path.stat(follow_symlinks=follow)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
