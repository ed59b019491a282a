"""A task whose sandbox is on a machine that is away: it says so, keeps what is asked of it, and goes on there later."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.process import BackendProcess
from tests.local.world import LocalWorld
from tests.postgres import why_none

pytestmark = [
    pytest.mark.skipif(why_none() is not None, reason=str(why_none())),
    pytest.mark.skipif(sys.platform != "linux", reason="the server is for Linux"),
]


@pytest.fixture
def hosts(world: LocalWorld, tmp_path: Path, postgres_url: str) -> Iterator[tuple[BackendProcess, BackendProcess]]:
    """Two machines; only the first has the world's sandboxes."""
    shared = ("--database", postgres_url)
    other = tmp_path / "other"
    other.mkdir()
    with (
        BackendProcess(world.folder, world.environ, options=("--host", "here", *shared)) as here,
        BackendProcess(
            other, {**world.environ, "XDG_DATA_HOME": str(other)}, options=("--host", "there", *shared)
        ) as there,
    ):
        yield here.start(), there.start()
        world.tasks += [task["task_id"] for task in there.get("/v1/tasks")["tasks"]]


@pytest.mark.slow
def test_a_task_waits_for_its_host_with_all_that_is_asked_of_it(hosts: tuple[BackendProcess, BackendProcess]) -> None:
    here, there = hosts
    task = here.create("say one", host="here")
    task_id, session = task["task_id"], task["sessions"][0]["session_id"]
    there.wait_task(task_id, "idle")
    here.kill()
    away = there.wait_task(task_id, lambda now: "here is away" in (now.get("activity") or {}).get("text", ""))
    assert (away["status"], away["host"]) == ("idle", "here")
    there.post(f"/v1/sessions/{session}/prompts", {"prompt_id": "later", "text": "say two"})
    answer = there.http.get(f"/v1/tasks/{task_id}/diff")
    assert answer.status_code == 503 and "here" in answer.json()["detail"]
    answer = there.http.post(f"/v1/tasks/{task_id}/kill", json={})
    assert answer.status_code == 409 and "here" in answer.json()["would_lose"][0]
    body = {"repo": str(here.repository), "prompt": "x", "host": "here"}
    assert there.http.post("/v1/tasks", json=body).status_code == 503
    waiting = [
        there.popen(*words, task_id) for words in (("watch", "--for", "error"), ("push", "--wait"), ("logs", "-f"))
    ]
    for follower in waiting:
        with follower:
            assert follower.stderr is not None
            said = follower.stderr.readline()
            follower.kill()
        assert said == "foundry: its host here is away: it goes on when that is back\n", said
    (prompt,) = [each for each in there.get(f"/v1/sessions/{session}")["prompts"] if each["prompt_id"] == "later"]
    assert prompt["state"] == "queued"
    here.start()
    there.wait_task(task_id, lambda now: now["status"] == "idle" and there.kinds(task_id).count("prompt.answered") == 2)
    states = {each["prompt_id"]: each["state"] for each in there.get(f"/v1/sessions/{session}")["prompts"]}
    assert set(states.values()) == {"answered"}
    assert "away" not in str(there.get(f"/v1/tasks/{task_id}")["activity"])


@pytest.mark.slow
def test_a_task_can_be_killed_while_its_host_is_away(hosts: tuple[BackendProcess, BackendProcess]) -> None:
    here, there = hosts
    task_id = here.create("say one", host="here")["task_id"]
    sandbox = Path(there.wait_task(task_id, "idle")["sandbox"]["cwd"])
    here.kill()
    there.wait_task(task_id, lambda now: "away" in (now.get("activity") or {}).get("text", ""))
    killing = there.post(f"/v1/tasks/{task_id}/kill", {"force": True})
    assert killing["status"] == "kill_destroy_sandbox"
    assert sandbox.exists()
    here.start()
    there.wait_task(task_id, "killed")
    assert not sandbox.exists()


@pytest.mark.slow
def test_a_host_that_is_called_otherwise_has_its_tasks_still(hosts: tuple[BackendProcess, BackendProcess]) -> None:
    here, there = hosts
    task = here.create("say one", host="here")
    task_id, session = task["task_id"], task["sessions"][0]["session_id"]
    there.wait_task(task_id, "idle")
    here.stop()
    there.wait_task(task_id, lambda now: "here is away" in (now.get("activity") or {}).get("text", ""))
    here.options = ("--host", "renamed", *here.options[2:])
    here.start()
    renamed = there.wait_task(task_id, lambda now: now["host"] == "renamed")
    assert "away" not in str(renamed.get("activity"))
    there.post(f"/v1/sessions/{session}/prompts", {"prompt_id": "later", "text": "say two"})
    there.wait_task(task_id, lambda now: now["status"] == "idle" and there.kinds(task_id).count("prompt.answered") == 2)
    assert "away" not in str(there.get(f"/v1/tasks/{task_id}")["activity"])
