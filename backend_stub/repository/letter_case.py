"""Whether names that differ in the case of letters are different files in a folder.

Git takes that from its configuration, which may have been made on another machine, and overlooks files where it is
wrong: one that was given the same name in other letters would be in no comparison and in no commit.
"""

import os

import anyio.to_thread

_known: dict[str, bool] = {}
"""What was found out: of a folder that is the same for good."""


async def tells_case_apart(folder: str) -> bool:
    """Whether it does so of this work tree; False also where that cannot be told."""
    known = _known.get(folder)
    if known is None:
        known = await anyio.to_thread.run_sync(_look, folder)
        if known is None:
            return False
        _known[folder] = known
    return known


def _look(folder: str) -> bool | None:
    """In a thread: whether `.git` is not found by another spelling; None where there is none."""
    try:
        there = os.lstat(f"{folder}/.git")
    except (OSError, ValueError):
        return None
    try:
        other = os.lstat(f"{folder}/.GIT")
    except OSError:
        return True
    return not os.path.samestat(there, other)
