"""Stage logs that grow without end: bounded for a task, and whoever reads or follows them sees no gap."""

import json

import pytest

from backend_stub.task.rows import MAX_LINE, MAX_LINES
from tests.backend.process import BackendProcess
from tests.world import Json

BURST = MAX_LINES // 2 + 500


@pytest.fixture
def chatty(backend: BackendProcess) -> tuple[BackendProcess, str]:
    """A task whose sandbox and agent print more than is kept, the last line a very long one."""
    calls: dict[str, Json] = {
        "create_sandbox": {"ms": 300, "log": [f"sandbox {number}" for number in range(BURST)]},
        "ensure_agent": {"ms": 300, "log": [f"agent {number}" for number in range(BURST)]},
        "create_session": {"log": ["x" * (3 * MAX_LINE)]},
    }
    backend.set_script({"default": calls})
    return backend, backend.create()["task_id"]


def test_the_oldest_lines_go_and_the_rest_is_paged_without_gaps(chatty: tuple[BackendProcess, str]) -> None:
    backend, task_id = chatty
    backend.wait_task(task_id, "idle")
    lines = backend.get(f"/v1/tasks/{task_id}/log")["lines"]
    assert len(lines) == MAX_LINES
    first = lines[0]["index"]
    assert first > 0
    assert [line["index"] for line in lines] == list(range(first, first + MAX_LINES))
    assert lines[-1]["text"] == "x" * MAX_LINE
    assert [line["text"] for line in lines if line["stage"] == "ensure_agent"] == [f"agent {n}" for n in range(BURST)]
    paged: list[Json] = []
    after = -1
    while page := backend.get(f"/v1/tasks/{task_id}/log", after=after, limit=777)["lines"]:
        paged += page
        after = page[-1]["index"]
    assert paged == lines
    # Once they were kept they stay so over a restart, and what comes next follows on.
    backend.kill()
    backend.start()
    assert backend.get(f"/v1/tasks/{task_id}/log")["lines"] == lines
    with backend.events(f"log:{task_id}") as events:
        snapshot = json.loads(next(events).data)["lines"]
    assert snapshot == lines


def test_who_follows_sees_every_line_once_also_those_that_went(chatty: tuple[BackendProcess, str]) -> None:
    backend, task_id = chatty
    seen: list[Json] = []
    last = None
    with backend.events(f"log:{task_id}") as events:
        for event in events:
            data = json.loads(event.data)
            seen += data["lines"] if event.event == "snapshot" else [data] if event.event == "log" else []
            if last is None and event.event == "log":
                last = event.id
            if seen and len(seen[-1]["text"]) == MAX_LINE:
                break
    assert [line["index"] for line in seen] == list(range(len(seen)))
    kept = backend.get(f"/v1/tasks/{task_id}/log")["lines"]
    assert len(seen) > len(kept) == MAX_LINES
    assert seen[-MAX_LINES:] == kept
    # Who comes back after lines went that they had not seen gets all that are left, in order.
    resumed: list[Json] = []
    with backend.events(f"log:{task_id}", last) as events:
        assert next(events).event == "resumed"
        while len(resumed) < MAX_LINES:
            resumed.append(json.loads(next(events).data))
    assert resumed == kept
