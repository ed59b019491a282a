"""Where a backend may listen, as far as whoever listens and whoever asks must agree on it."""

import os
import sys

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
"""What this machine calls itself: under these names a backend is asked from here alone."""

SOCKET_PATH_BYTES = 107 if sys.platform.startswith("linux") else 103
"""What fits into the kernel's address of a Unix socket, beside the byte that ends it."""


def socket_path_problem(path: str | os.PathLike[str]) -> str | None:
    """Why no socket can have this path, without what to do about it; None when one can."""
    size, text = len(os.fsencode(path)), os.fsdecode(path)
    shown = text.encode(errors="replace").decode()
    if size > SOCKET_PATH_BYTES:
        return f"the socket path {shown} has {size} bytes, and this system takes {SOCKET_PATH_BYTES} at most"
    # Where a backend listens is told, in JSON.
    return None if shown == text else f"the socket path {shown} is no UTF-8 text"
