"""Twenty tasks provisioned with 100,000 in the database, all of one wish and one repository, against 100; and how long
other requests wait meanwhile.
"""

import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx

from backend_stub.storage.sqlite import FILE_NAME
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.status import STAGES
from tests.backend.process import BackendProcess
from tests.bench.figure import Figure, against_floor, against_limit, fastest_half
from tests.world import Json

FEW, MANY = 100, 100_000
TASKS = 20
ROUNDS = 3
WISH = "Fix the login page"
SCRIPT: Json = {"default": {**{stage: {"ms": 0} for stage in STAGES}, "turn": {"ms": 0}}}


@contextmanager
def _holding(tasks: int) -> Iterator[BackendProcess]:
    """A backend whose database has so many archived tasks, each with a branch of its own."""
    with tempfile.TemporaryDirectory() as name:
        backend = BackendProcess(Path(name))
        backend.set_script(SCRIPT)
        try:
            backend.start()
            task_id = backend.create(WISH)["task_id"]
            backend.wait_task(task_id, "idle")
            backend.post(f"/v1/tasks/{task_id}/archive")
            backend.wait_task(task_id, "archived")
            backend.kill()
            _multiply(backend.data / FILE_NAME, task_id, tasks)
            backend.start()
            yield backend
        finally:
            backend.close()


def _multiply(database: Path, task_id: str, tasks: int) -> None:
    """Write the task's row so many times, with the branches that so many tasks of one wish get."""
    with closing(sqlite3.connect(database)) as connection, connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(tasks)")]
        row = connection.execute("SELECT * FROM tasks WHERE task_id = ?", (task_id,)).fetchone()
        repo_id, branch = connection.execute("SELECT repo_id, branch FROM branches").fetchone()
        marks = ", ".join("?" for _ in columns)
        old = task_id.encode()
        for number in range(2, tasks + 1):
            new = uuid7()
            values = [
                new if value == task_id else value.replace(old, new.encode()) if isinstance(value, bytes) else value
                for value in row
            ]
            connection.execute(f"INSERT INTO tasks VALUES ({marks})", values)
            connection.execute("INSERT INTO branches VALUES (?, ?, ?)", (repo_id, f"{branch}-{number}", new))


def _seconds(backend: BackendProcess) -> tuple[float, float]:
    """Until all are ready, and the longest that another request waited meanwhile."""
    longest = 0.0
    # A connection of its own: that of the backend's process waits for events.
    http = httpx.Client(transport=httpx.HTTPTransport(uds=str(backend.socket)), base_url="http://foundry")
    done = threading.Event()

    def ask() -> None:
        nonlocal longest
        while not done.is_set():
            began = time.perf_counter()
            http.get("/v1/repos")
            longest = max(longest, time.perf_counter() - began)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        began = time.perf_counter()
        for task_id in [backend.create(WISH)["task_id"] for _ in range(TASKS)]:
            backend.wait_task(task_id, "idle")
        return time.perf_counter() - began, longest
    finally:
        done.set()
        asking.join()
        http.close()


def run() -> list[Figure]:
    taken: dict[int, list[float]] = {}
    waited: dict[int, float] = {}
    for tasks in (FEW, MANY):
        with _holding(tasks) as backend:
            rounds = [_seconds(backend) for _ in range(ROUNDS)]
            taken[tasks] = [seconds for seconds, _ in rounds]
            waited[tasks] = max(longest for _, longest in rounds)
    many, few = fastest_half(taken[MANY]), fastest_half(taken[FEW])
    return [
        against_floor(f"{TASKS} tasks provisioned with {MANY:,} held, against {FEW}", many, few, "s", 1.5),
        against_limit(
            "the longest that another request waited meanwhile",
            waited[MANY] * 1000,
            "ms",
            100.0,
            f"with {FEW} held {waited[FEW] * 1000:,.0f} ms",
        ),
    ]
