"""The patch of one comparison, whole, as git makes it and so that `git apply` reads it.

Of a file without changed lines (an empty one, another mode) git knows the name by the head of its section alone,
`diff --git a/NAME b/NAME`, and does not find it there where a folder in it ends with a space. In quotation marks, as
git itself writes other names, it does.
"""

import mmap
import os
import re
import shutil
import tempfile
from typing import BinaryIO, Protocol

import anyio.to_thread

_HEAD = re.compile(rb"diff --git a/(.* /.*) b/\1\n")
_START = b"diff --git a/"


class Compares(Protocol):
    """One comparison, which git makes."""

    async def run(self, *options: str, into: int | None = None) -> bytes:
        """What git prints of it with these options."""
        ...


async def write_whole(side: Compares, into: BinaryIO) -> None:
    """Write the patch behind what the file has, which can be read too. Raises `GitError`."""
    descriptor = into.fileno()
    start = os.lseek(descriptor, 0, os.SEEK_CUR)
    await side.run("--patch", "--binary", "--full-index", into=descriptor)
    await anyio.to_thread.run_sync(_quote_names, descriptor, start)


def _quote_names(descriptor: int, start: int) -> None:
    """In a thread: write the heads anew in which git would not find the name, if there are any."""
    end = os.lseek(descriptor, 0, os.SEEK_CUR)
    if end == start:
        return
    with mmap.mmap(descriptor, end, access=mmap.ACCESS_READ) as text, tempfile.TemporaryFile() as new:
        written = at = start
        # No line of a file begins so in a patch.
        while at >= 0:
            found = _HEAD.match(text, at)
            if found is not None:
                new.write(text[written:at])
                new.write(b'diff --git "a/%b" "b/%b"\n' % (found[1], found[1]))
                written = found.end()
            at = text.find(b"\n" + _START, at) + 1 or -1
        if written == start:
            return
        new.write(text[written:end])
        new.seek(0)
        os.lseek(descriptor, start, os.SEEK_SET)
        with os.fdopen(os.dup(descriptor), "wb") as again:
            shutil.copyfileobj(new, again)
