"""How long to wait before trying again: the same for all that goes to the backend.

The backend's own waits, before it asks a provider or an agent again, are in `backend_stub/domain/settings.py`.
"""

import random

FIRST_WAIT = 0.25
"""Seconds that the first wait may last."""
LONGEST_WAIT = 15.0
"""Seconds that no wait exceeds."""
PROVEN_AFTER = 5.0
"""Seconds that a stream has to be live before its end counts as the first failure and not as one more."""


def wait_after(failures: int, rng: random.Random) -> float:
    """Seconds to wait after so many failures in a row (from 1): anything up to a limit that doubles.

    Full jitter, so that clients which lost the same backend do not come back together.
    """
    limit = LONGEST_WAIT if failures > 8 else min(LONGEST_WAIT, FIRST_WAIT * 2 ** max(0, failures - 1))
    return rng.uniform(0, limit)


def failures_after(failures: int, live: float) -> int:
    """How many failures in a row there were, now that a stream was lost which was live for so many seconds.

    One that dies at once has proved nothing, so that the waits go on growing.
    """
    return 1 if live >= PROVEN_AFTER else failures + 1
