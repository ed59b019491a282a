"""What the backend writes is its user's alone, whatever umask it was started under; what it starts keeps that umask.

Worktrees are the exception: in them git and agents work as the user would, below a folder that nobody else enters.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_MASK = 0o077
_umask = -1
_SANDBOXES = "sandboxes"
_WORKED_IN = ("work", "removed")
"""The parts of a sandbox that others work in: what is in their one folder is left as it is."""
_KNOWN = (
    "lock", "start.lock", "pulse", "bin", "demo", "trust", "repositories", "offered.json", "host.json", "checkpoints",
    _SANDBOXES,
)  # fmt: skip
_PREFIXES = ("foundry.db", "backend.log")


def begin() -> None:
    """From now on this process makes files 0600 and folders 0700."""
    global _umask
    before = os.umask(_MASK)
    if _umask < 0:
        _umask = before


def umask_of_children() -> int:
    """The umask that git, set-up scripts and agents are started with; -1 (as it is) where `begin` was not called."""
    return _umask


def tighten(data_dir: Path) -> None:
    """Take from others what an earlier backend left open to them in its data folder; other things there are left.

    What cannot be changed is left too: it is somebody else's.
    """
    data_dir = data_dir.resolve()
    # A folder that many may write to, as /tmp, is no place that we could close.
    if not data_dir.stat().st_mode & stat.S_ISVTX:
        _close(data_dir)
    for entry in os.scandir(data_dir):
        if entry.name in _KNOWN or entry.name.startswith(_PREFIXES):
            for path in _ours(Path(entry.path), entry.name):
                _close(path)


def close_tree(top: Path) -> None:
    """Take from others what is in this folder, and the folder itself."""
    _close(top)
    for folder, folders, files in os.walk(top):
        for name in (*folders, *files):
            _close(Path(folder, name))


def _ours(top: Path, name: str) -> Iterator[Path]:
    """A file or folder of ours with what we wrote in it."""
    yield top
    if top.is_symlink() or not top.is_dir():
        return
    for folder, folders, files in os.walk(top):
        here = Path(folder)
        yield from (here / each for each in (*folders, *files))
        if name == _SANDBOXES and here != top:
            # The worktree's own folder is ours, what is in it is not.
            yield from (path for each in _WORKED_IN if each in folders for path in (here / each).glob("*"))
            folders[:] = [each for each in folders if each not in _WORKED_IN]
        if name == "demo" and here != top:
            # Sandboxes that are nothing but a folder, of which there may be very many.
            folders.clear()


def _close(path: Path) -> None:
    with suppress(OSError):
        found = path.lstat()
        ours = stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)
        if ours and found.st_uid == os.geteuid() and found.st_mode & _MASK:
            path.chmod(stat.S_IMODE(found.st_mode) & ~_MASK)
