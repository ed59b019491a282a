"""Waiting for what nothing tells of: what is true of another process, of PostgreSQL or of a file that others write.

Such a thing can only be looked at again and again. Whatever tells of itself is awaited by that: a task by the events of
its stream, a line by reading it, a process by its end, a turn by what it says, an agent at its gate by opening that.
"""

import time
from collections.abc import Callable
from typing import TypeVar

import anyio

T = TypeVar("T")

LIMIT = 40.0
"""Seconds after which it counts as never coming."""
PACE = 0.01
"""Seconds between two looks."""


def until_seen(look: Callable[[], T | None], limit: float = LIMIT) -> T:
    """Look, at once and then at a pace, until there is something; what there is."""
    until = time.monotonic() + limit
    while not (seen := look()):
        assert time.monotonic() < until, "it did not come"
        time.sleep(PACE)
    return seen


async def seen_at_last(look: Callable[[], T | None], limit: float = LIMIT) -> T:
    """The same where the event loop has to go on meanwhile, since part of what is waited for is done in it."""
    with anyio.fail_after(limit):
        while not (seen := look()):
            await anyio.sleep(PACE)
    return seen
