"""Twenty tasks provisioned with 100,000 in the database, all of one wish and one repository, against 100; and how long
other requests wait meanwhile.
"""

import time

from tests.backend.process import BackendProcess
from tests.bench.figure import Figure, against_floor, against_limit, fastest_half
from tests.bench.holding import WISH, holding
from tests.bench.waited import longest_wait

FEW, MANY = 100, 100_000
TASKS = 20
ROUNDS = 3


def _seconds(backend: BackendProcess) -> tuple[float, float]:
    """Until all are ready, and the longest that another request waited meanwhile, in milliseconds."""
    seconds = 0.0

    def provision() -> None:
        nonlocal seconds
        began = time.perf_counter()
        for task_id in [backend.create(WISH)["task_id"] for _ in range(TASKS)]:
            backend.wait_task(task_id, "idle")
        seconds = time.perf_counter() - began

    longest = longest_wait(backend, "/v1/repos", provision)
    return seconds, longest


def run() -> list[Figure]:
    taken: dict[int, list[float]] = {}
    waited: dict[int, float] = {}
    for tasks in (FEW, MANY):
        with holding(tasks) as backend:
            rounds = [_seconds(backend) for _ in range(ROUNDS)]
            taken[tasks] = [seconds for seconds, _ in rounds]
            waited[tasks] = max(longest for _, longest in rounds)
    many, few = fastest_half(taken[MANY]), fastest_half(taken[FEW])
    return [
        against_floor(f"{TASKS} tasks provisioned with {MANY:,} held, against {FEW}", many, few, "s", 1.5),
        against_limit(
            "the longest that another request waited meanwhile",
            waited[MANY],
            "ms",
            100.0,
            f"with {FEW} held {waited[FEW]:,.0f} ms",
        ),
    ]
