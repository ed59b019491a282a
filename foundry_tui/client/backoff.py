"""How long to wait before trying again."""

import random

FIRST_WAIT = 0.25
"""Seconds that the first wait may last."""
LONGEST_WAIT = 15.0
"""Seconds that no wait exceeds."""


def wait_after(failures: int, rng: random.Random) -> float:
    """Seconds to wait after so many failures in a row (from 1): anything up to a limit that doubles.

    Full jitter, so that clients which lost the same backend do not come back together.
    """
    limit = LONGEST_WAIT if failures > 8 else min(LONGEST_WAIT, FIRST_WAIT * 2 ** max(0, failures - 1))
    return rng.uniform(0, limit)
