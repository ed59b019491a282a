"""The 1,000th session and the 1,000th prompt of one task, against the 10th: from the request to its answer."""

import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from foundry_tui.contract.ids import uuid7
from tests.backend.process import BackendProcess
from tests.bench.create import FAST
from tests.bench.figure import Figure, against_floor

LAST = 1_000
AROUND = 20
"""Samples at each end."""


def run() -> list[Figure]:
    return grown()


def grown(*options: str, where: str = "") -> list[Figure]:
    """Of a backend with these options, and where it keeps its tasks."""
    figures = []
    for name, ask in (("session", _sessions), ("prompt", _prompts)):
        with tempfile.TemporaryDirectory(prefix="foundry-bench-") as folder:
            # On a database in common each is a host of its own, as the one before may count as up for a while.
            backend = BackendProcess(Path(folder), options=(*options, "--host", name))
            backend.set_script(FAST)
            try:
                task_id = backend.start().create()["task_id"]
                backend.wait_task(task_id, "idle")
                taken = list(ask(backend, task_id))
            finally:
                backend.close()
        first, last = (statistics.median(part) * 1000 for part in (taken[:AROUND], taken[-AROUND:]))
        figures.append(
            against_floor(f"the {LAST:,}th {name} of a task{where}, against the 10th", last, first, "ms", 1.5)
        )
    return figures


def _timed(backend: BackendProcess, path: str, body: dict[str, str]) -> float:
    began = time.perf_counter()
    backend.post(path, body)
    return time.perf_counter() - began


def _sessions(backend: BackendProcess, task_id: str) -> Iterator[float]:
    """Each is asked for once the one before is ready, so that nothing else is measured."""
    for _ in range(LAST):
        session_id = uuid7()
        yield _timed(backend, f"/v1/tasks/{task_id}/sessions", {"session_id": session_id})
        with backend.events(f"session:{session_id}") as events:
            while json.loads(next(events).data).get("status") != "ready":
                pass


def _prompts(backend: BackendProcess, task_id: str) -> Iterator[float]:
    session_id = backend.get(f"/v1/tasks/{task_id}")["sessions"][0]["session_id"]
    with backend.events(f"task:{task_id}") as events:
        for _ in range(LAST):
            prompt_id = uuid7()
            yield _timed(backend, f"/v1/sessions/{session_id}/prompts", {"prompt_id": prompt_id, "text": "go on"})
            while "prompt.answered" not in (told := next(events).data) or prompt_id not in told:
                pass
