"""The data folder and the one process that owns it."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from backend_stub.domain.errors import StartError
from foundry_tui.contract.codec import decode

LOCK_NAME = "lock"

RELEASE_TIME = 1.0
"""Seconds that the lock may outlive its holder: a child that a killed backend was starting has its open
files, the lock among them, until it has become the program it was to be."""


class Holder(Struct, frozen=True):
    """Who holds the folder: kept in the lock file for people and for tools that look for the backend.

    `variables` stand for the values that its FOUNDRY_* variables had when it was started.
    """

    pid: int
    listening: str = ""
    variables: dict[str, str] = {}


@contextmanager
def owned_folder(path: Path) -> Iterator["OwnedFolder"]:
    """The data folder, made if need be, locked against other backends until the process ends.

    Raises `StartError`.
    """
    shown = str(path).encode(errors="replace").decode()
    if shown != str(path):
        raise StartError(
            f"the path of the data folder {shown} is no UTF-8 text, and clients are told what lies in it: "
            "name another with --data-dir"
        )
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StartError(
            f"the data folder {path} cannot be used ({error.strerror}): check its owner and permissions, "
            "or name another with --data-dir"
        ) from error
    try:
        if not _locked(handle):
            raise StartError(
                f"the data folder {path} is in use by another backend{_who(path)}: stop it, "
                "or name another folder with --data-dir"
            )
        folder = OwnedFolder(path, handle)
        folder.tell(Holder(pid=os.getpid()))
        yield folder
    finally:
        os.close(handle)


class OwnedFolder:
    """A data folder that this process holds."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle = handle

    def tell(self, holder: Holder) -> None:
        """Write who holds the folder into the lock file; raises `StartError` when the disk refuses."""
        document = msgspec.json.encode(holder)
        try:
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, document, 0)
        except OSError as error:
            raise StartError(
                f"the data folder {self.path} cannot be written ({error.strerror}): free some disk space"
            ) from error


def _locked(handle: int) -> bool:
    """Whether the lock is ours now. A lock cannot be awaited for a limited time, so it is asked for again."""
    deadline = time.monotonic() + RELEASE_TIME
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def _who(path: Path) -> str:
    try:
        holder = decode((path / LOCK_NAME).read_bytes(), Holder)
    except (OSError, msgspec.DecodeError):
        return ""
    where = f", at {holder.listening}" if holder.listening else ""
    return f" (pid {holder.pid}{where})"
