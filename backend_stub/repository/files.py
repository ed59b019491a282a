"""Reading git's own small files without git, such that no file there can hang or flood the reader."""

import errno
import os
import stat
from dataclasses import dataclass
from os import PathLike

_SMALL = 64 * 1024
TABLE_HEAD = "refs/heads/.invalid"
"""What HEAD points to where refs are kept in a table: a name that no branch can have."""
# Without O_NONBLOCK a named pipe of that name would hold the reader for ever.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)


_OF_THE_FILE = frozenset(
    (
        errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG,
        errno.ENXIO, errno.ENODEV, errno.EINVAL, errno.EBADF, errno.EROFS, errno.EILSEQ,
    )
)  # fmt: skip
"""Reasons that lie in a file or its name; any other (no descriptors, no memory, a broken disk) lies in the machine."""


class MachineFaultError(OSError):
    """This machine could not look, so nothing is known of what is there: trying again later may succeed."""

    def __init__(self, error: OSError, path: str | PathLike[str]) -> None:
        super().__init__(error.errno, error.strerror or "no reason given", os.fspath(path))

    @property
    def message(self) -> str:
        """A sentence for people."""
        reason = str(self.strerror).lower()
        return f"{self.filename} could not be looked at, for a reason of this machine: {reason}. Try again."


class ToldApart:
    """A `with` block: what the system refuses for a reason of the machine becomes `MachineFaultError`.

    The rest stays as it is. A class, since a create enters nine of them and a generator takes four times as long.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and not isinstance(error, MachineFaultError) and error.errno not in _OF_THE_FILE:
            raise MachineFaultError(error, self._path) from error


def read_text(path: str | PathLike[str], limit: int = _SMALL) -> str | None:
    """The text of a regular file, at most `limit` bytes of it; None when there is none to be read.

    Undecodable bytes become lone surrogates. Touches the disk; safe to run in a thread. Raises `MachineFaultError`.
    """
    try:
        with ToldApart(path):
            descriptor = os.open(path, _READ)
    except MachineFaultError:
        raise
    except (OSError, ValueError):
        return None
    try:
        with ToldApart(path):
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            return os.read(descriptor, limit).decode("utf-8", "surrogateescape")
    except MachineFaultError:
        raise
    except OSError:
        return None
    finally:
        os.close(descriptor)


def symbolic_ref(text: str | None) -> str | None:
    """The ref that the text of a file such as HEAD points to (`refs/heads/main`); None for a commit, or for nothing."""
    if text is None or not text.startswith("ref:"):
        return None
    target = text[4:].split("\n", 1)[0].strip()
    return target or None


@dataclass(frozen=True)
class Inside:
    """The inside of a repository: `common` is where refs and objects live, `head` the text of HEAD.

    `common` is the folder itself, or for a linked worktree that of its main repository; `head` is None where HEAD is
    a symbolic link to a branch that does not exist yet.
    """

    common: str
    head: str | None


def inside_of(git_dir: str) -> Inside | None:
    """What a folder says as the inside of a repository (`.git`, or a bare one); None when git takes it for none.

    Touches the disk; safe to run in a thread. Raises `PermissionError` when it may not be looked at.
    """
    path = f"{git_dir}/HEAD"
    head = read_text(path)
    if head is None and mode_of(path, follow=False) is None:
        return None
    text = read_text(f"{git_dir}/commondir")
    target = text.strip("\n") if text else ""
    common = os.path.normpath(os.path.join(git_dir, target)) if target else git_dir
    has_inside = mode_of(f"{common}/objects") is not None and mode_of(f"{common}/refs") is not None
    return Inside(common, head) if has_inside and _is_head(path, head) else None


def mode_of(path: str, *, follow: bool = True) -> int | None:
    """The type and permissions of what has this name, or None; raises `PermissionError` when that may not be known,
    and `MachineFaultError` when it cannot.
    """
    try:
        with ToldApart(path):
            return os.stat(path, follow_symlinks=follow).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is_head(path: str, text: str | None) -> bool:
    if text is None:
        if mode_of(path) is not None and not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, "permission denied", path)
        # Very old repositories have HEAD as a symbolic link to a branch that may not exist yet.
        return os.path.islink(path)
    head = text.strip()
    return head.startswith("ref:") or (len(head) in (40, 64) and all(char in "0123456789abcdef" for char in head))
