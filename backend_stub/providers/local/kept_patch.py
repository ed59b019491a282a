"""Patches that are kept in a file, each under a key that is another one once the patch may be."""

import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import BinaryIO

import anyio
import anyio.to_thread

Make = Callable[[BinaryIO], Awaitable[None]]
Key = Callable[[], Awaitable[str | None]]


async def write_kept(kept: Path, key_of: Key, make: Make, into: BinaryIO) -> None:
    """Write the patch that is kept under the key, else what `make` writes, which is kept from then on.

    `key_of` tells None where the patch may become another one unseen; `make` is given a file with a descriptor.
    """
    key = await key_of()
    if key is not None and await anyio.to_thread.run_sync(_copy, kept, key, into):
        return
    new, file = await anyio.to_thread.run_sync(_begin, kept, key)
    try:
        await make(file)
        await anyio.to_thread.run_sync(_copy, new, key, into)
        if key is not None and await key_of() == key:
            await anyio.to_thread.run_sync(_keep, new, file, kept)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_end, new, file)


def _begin(kept: Path, key: str | None) -> tuple[Path, BinaryIO]:
    """In a thread: a new file beside the kept one, with its first line."""
    descriptor, name = tempfile.mkstemp(dir=kept.parent, prefix=f"{kept.name}.")
    file = os.fdopen(descriptor, "w+b")
    file.write(f"{key}\n".encode())
    file.flush()
    return Path(name), file


def _keep(new: Path, file: BinaryIO, kept: Path) -> None:
    """In a thread: whole on the disk before it takes the other's place, so that a power cut leaves no half of it."""
    os.fsync(file.fileno())
    new.replace(kept)


def _end(new: Path, file: BinaryIO) -> None:
    """In a thread: leave nothing of a new file that is not the kept one."""
    file.close()
    new.unlink(missing_ok=True)


def _copy(kept: Path, key: str | None, into: BinaryIO) -> bool:
    """In a thread: write what is kept under this key, if it is."""
    try:
        with kept.open("rb") as file:
            if file.readline() != f"{key}\n".encode():
                return False
            shutil.copyfileobj(file, into)
            into.flush()
            return True
    except FileNotFoundError:
        return False
