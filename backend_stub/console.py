"""What a process of the backend says to whoever started it."""

import sys

from foundry_tui.contract.control_characters import harmless


def say(line: str) -> None:
    """A line for programs, on standard output, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def complain(why: str) -> None:
    """Sentences for a person, on standard error; what others said is in them, without control characters."""
    sys.stderr.write(f"{harmless(why, lines=True)}\n")
