"""Who changes checkouts of a repository does so alone, in this process and on this machine: what one is making there
looks to another like a person's uncommitted changes.
"""

import errno
import fcntl
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

AGAIN_SECONDS = 0.05
"""How long until a lock that another process holds is asked for again: the system tells nobody that it is free."""


class Alone:
    """Locks by git's folder of a repository, which all its checkouts share.

    Other backends, with data folders of their own or as other hosts of one database, are kept out by the system's lock
    of that folder: nothing is written for it, and whoever dies has let it go. On a file system that has no such lock
    (NFS locks no folders) only this process is kept in order.
    """

    def __init__(self) -> None:
        self._here: defaultdict[Path, anyio.Lock] = defaultdict(anyio.Lock)

    @asynccontextmanager
    async def of(self, folder: Path, waits: Callable[[], Awaitable[None]] | None = None) -> AsyncIterator[None]:
        """Hold it within the block; `waits` is called before somebody else is waited for. Raises `OSError`."""
        here = self._here[folder]
        told = here.locked()
        if told and waits is not None:
            await waits()
        async with here:
            handle = await anyio.to_thread.run_sync(os.open, folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                while not await anyio.to_thread.run_sync(_is_locked, handle):
                    if not told and waits is not None:
                        await waits()
                    told = True
                    await anyio.sleep(AGAIN_SECONDS)
                yield
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(partial(os.close, handle))


def _is_locked(handle: int) -> bool:
    """In a thread: whether the lock is ours now, or cannot be had of anybody."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EINTR)
    return True
