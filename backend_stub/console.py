"""What a process of the backend says to whoever started it."""

import os
import sys
from contextlib import suppress

from foundry_tui.contract.control_characters import harmless


def say(line: str) -> None:
    """A line for programs, on standard output, at once. Who went away misses it; raises `OSError` if it takes none."""
    with suppress(BrokenPipeError):
        # past the stream, which would try again what failed as it is closed
        os.write(sys.stdout.fileno(), f"{line}\n".encode())


def complain(why: str) -> None:
    """Sentences for a person, on standard error; what others said is in them, without control characters."""
    sys.stderr.write(f"{harmless(why, lines=True)}\n")
