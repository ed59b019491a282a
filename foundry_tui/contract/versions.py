"""Which version we are, and how another compares."""

VERSION = "0.1.0"
"""Ours, and the distribution's: its metadata are made from this, since reading those takes 30 ms at each start."""


def is_older(other: str, than: str = VERSION) -> bool:
    """Whether `other` is the earlier version. One that cannot be read is not."""
    theirs, ours = _numbers(other), _numbers(than)
    return theirs is not None and ours is not None and theirs < ours


def _numbers(text: str) -> tuple[int, ...] | None:
    parts = text.split("+")[0].split(".")
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        return None
    numbers = [int(part) for part in parts]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
