"""Folders and files of Foundry's own, which are their user's alone (0700 and 0600) whatever the umask is."""

import os
import stat
from pathlib import Path

APP = "foundry"
"""The name of Foundry's own folder below the platform's for data, state, config and sockets."""


def make_folder(folder: Path) -> None:
    """Make a folder with all that is missing above it. One of our own that was left open to others is closed.

    Raises `OSError`.
    """
    missing = []
    place = folder
    while not place.exists():
        missing.append(place)
        place = place.parent
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
    found = folder.stat()
    if folder.name == APP and found.st_uid == os.getuid() and found.st_mode & 0o077:
        folder.chmod(stat.S_IRWXU)


def open_file(path: Path, flags: int) -> int:
    """A descriptor of a file that is made if need be; one that was left open to others is closed. Raises `OSError`."""
    descriptor = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if os.fstat(descriptor).st_mode & 0o077 and os.fstat(descriptor).st_uid == os.getuid():
        os.fchmod(descriptor, 0o600)
    return descriptor
