"""A backend that holds many tasks which have ended, all of one wish and one repository, for benchmarks."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backend_stub.storage.sqlite import FILE_NAME
from tests.backend.process import BackendProcess
from tests.bench.create import FAST
from tests.many_tasks import multiply

WISH = "Fix the login page"


@contextmanager
def holding(tasks: int) -> Iterator[BackendProcess]:
    """A backend whose database has so many archived tasks, each with a branch of its own."""
    with held(tasks) as backend:
        yield backend.start()


@contextmanager
def held(tasks: int) -> Iterator[BackendProcess]:
    """The same, which is not started."""
    with tempfile.TemporaryDirectory(prefix="foundry-bench-") as name:
        backend = BackendProcess(Path(name))
        backend.set_script(FAST)
        try:
            task_id = backend.start().create(WISH)["task_id"]
            backend.wait_task(task_id, "idle")
            backend.post(f"/v1/tasks/{task_id}/archive")
            backend.wait_task(task_id, "archived")
            backend.stop()
            multiply(backend.data / FILE_NAME, task_id, tasks)
            yield backend
        finally:
            backend.close()
