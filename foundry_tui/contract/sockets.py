"""How long the path of a Unix socket may be: the same for whoever listens there and whoever asks there."""

import os
import sys

SOCKET_PATH_BYTES = 107 if sys.platform.startswith("linux") else 103
"""What fits into the kernel's address of a Unix socket, beside the byte that ends it."""


def socket_path_problem(path: str | os.PathLike[str]) -> str | None:
    """Why no socket can have this path, without what to do about it; None when one can."""
    size = len(os.fsencode(path))
    if size <= SOCKET_PATH_BYTES:
        return None
    return f"the socket path {os.fsdecode(path)} has {size} bytes, and this system takes {SOCKET_PATH_BYTES} at most"
