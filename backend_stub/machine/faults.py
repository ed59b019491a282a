"""Faults of this machine: what has run out of something says nothing about the agent or the repository it was after."""

import errno
from collections.abc import Iterator

_RUN_OUT = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOSPC, errno.EDQUOT, errno.ENOBUFS}
)


def is_machine_fault(error: BaseException) -> bool:
    """Whether this came of too many open files, too little memory, no more threads or a full disk.

    Such a fault passes, so that what failed of it is tried again.
    """
    return any(
        isinstance(each, MemoryError)
        or (isinstance(each, OSError) and each.errno in _RUN_OUT)
        or (isinstance(each, RuntimeError) and "can't start new thread" in str(each))
        for each in _causes(error, set())
    )


def _causes(error: BaseException | None, seen: set[int]) -> Iterator[BaseException]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    yield from _causes(error.__cause__, seen)
    yield from _causes(error.__context__, seen)
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _causes(each, seen)
