"""Which version we are, and how another compares."""

VERSION = "0.1.0"
"""Ours. Said here as well as in the distribution's metadata, because reading those takes 30 ms at each start."""


def is_older(other: str, than: str = VERSION) -> bool:
    """Whether `other` is the earlier version. One that cannot be read is not."""
    theirs, ours = _numbers(other), _numbers(than)
    return theirs is not None and ours is not None and theirs < ours


def _numbers(text: str) -> tuple[int, ...] | None:
    parts = text.split("+")[0].split(".")
    if not all(part.isascii() and part.isdigit() for part in parts):
        return None
    return tuple(int(part) for part in parts)
