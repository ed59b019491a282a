"""A backend that is killed with 1,000 tasks in flight and started again: until all go on, against one with none."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foundry_tui.contract.records import HistoryKind
from foundry_tui.contract.status import STAGES, StageName, TaskStatus
from tests.backend.process import BackendProcess
from tests.bench.figure import Figure, against_limit, fastest_half
from tests.world import Json

ROUNDS = 3
TASKS = 1_000
SCRIPT: Json = {
    "default": {stage: {"hang": "before"} if stage is StageName.CREATE_SANDBOX else {"ms": 0} for stage in STAGES}
}
"""Every task comes to stand in the same stage, and stays in it."""


@contextmanager
def _killed(tasks: int) -> Iterator[BackendProcess]:
    """A backend that was killed while so many tasks were in a stage."""
    with tempfile.TemporaryDirectory() as name:
        backend = BackendProcess(Path(name), options=("--max-provisioning", str(TASKS)))
        backend.set_script(SCRIPT)
        try:
            backend.start()
            task_ids = [backend.create(f"Fix page {number}")["task_id"] for number in range(tasks)]
            for task_id in task_ids:
                backend.wait_task(task_id, TaskStatus.CREATE_SANDBOX)
            backend.kill()
            yield backend
        finally:
            backend.close()


def _resumed(backend: BackendProcess, tasks: int, after: int) -> int:
    """Wait until so many tasks were resumed; the seq of the last."""
    while tasks:
        for event in backend.get("/v1/history", after=after)["events"]:
            after = event["seq"]
            tasks -= event["kind"] == HistoryKind.PROVISION_RESUMED
        time.sleep(0.02)
    return after


def _seconds(tasks: int) -> float:
    """From starting the process until it listens and every task goes on."""
    taken = []
    with _killed(tasks) as backend:
        after = 0
        for _ in range(ROUNDS):
            began = time.perf_counter()
            backend.start()
            after = _resumed(backend, tasks, after)
            taken.append(time.perf_counter() - began)
            backend.kill()
    return fastest_half(taken)


def run() -> list[Figure]:
    none = _seconds(0)
    more = _seconds(TASKS) - none
    note = f"restart with none: {none:.2f} s"
    return [against_limit(f"restart with {TASKS:,} tasks in flight, until all go on: more", more, "s", 2, note)]
