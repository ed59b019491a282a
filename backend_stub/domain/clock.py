"""Time, identities and randomness, passed in so that tests decide them."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from foundry_tui.contract.ids import uuid7


def wall_clock() -> int:
    """Milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Runtime:
    """Where the time of day, new ids and jitter come from."""

    now: Callable[[], int] = wall_clock
    new_id: Callable[[], str] = uuid7
    jitter: Callable[[], float] = field(default_factory=lambda: random.Random().random)
