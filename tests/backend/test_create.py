"""Create returns at once; provisioning goes on by itself, from event to event, to a task that is ready."""

import itertools
import json
import subprocess

import pytest

from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.moves import TASK_MOVES
from foundry_tui.contract.status import TaskStatus
from tests.backend.process import BackendProcess, json_of

LIFE = [
    "task.created",
    "provision.queued",
    "session.requested",
    "prompt.queued",
    "stage.started",
    "task.named",
    "stage.completed",
    "stage.started",
    "sandbox.created",
    "stage.completed",
    "stage.started",
    "agent.ready",
    "stage.completed",
    "stage.started",
    "session.ready",
    "prompt.delivered",
    "task.running",
    "stage.completed",
    "prompt.answered",
    "task.idle",
]


def test_a_created_task_has_its_first_rows_at_once(backend: BackendProcess) -> None:
    backend.set_script({"default": {"ensure_name": {"ms": 60_000}}})
    task = backend.create("fix the login redirect")
    assert task["status"] == "init_enqueue_provision"
    assert task["revision"] == 1
    assert [session["status"] for session in task["sessions"]] == ["pending_provision"]
    session = backend.get(f"/v1/sessions/{task['sessions'][0]['session_id']}")
    assert [(prompt["state"], prompt["text"]) for prompt in session["prompts"]] == [
        ("queued", "fix the login redirect")
    ]


def test_a_task_comes_to_life_by_itself(backend: BackendProcess) -> None:
    task = backend.create()
    done = backend.wait_task(task["task_id"], "idle")
    assert backend.kinds(task["task_id"]) == LIFE
    assert done["title"] == "fix the login redirect"
    assert done["branch"] == "fix/fix-the-login-redirect"
    assert [(stage["state"], stage["attempt"]) for stage in done["stages"]] == [("done", 1)] * 4
    session = backend.get(f"/v1/sessions/{task['sessions'][0]['session_id']}")
    assert [item["kind"] for item in session["transcript"]] == ["prompt", "message"]
    assert session["transcript"][1]["body"] == "Done."
    assert [prompt["state"] for prompt in session["prompts"]] == ["answered"]


def test_every_move_is_legal_and_no_revision_is_skipped(backend: BackendProcess) -> None:
    backend.set_script({"tasks": [{"match": "fail", "create_sandbox": {"fail": "no room", "times": 3}}]})
    with backend.events("tasks") as events:
        next(events)
        task_id = backend.create("fail at first")["task_id"]
        seen: list[tuple[int, str]] = []
        retried = False
        for event in events:
            if event.event != "task":
                continue
            task = json.loads(event.data)
            seen.append((task["revision"], task["status"]))
            if task["status"] == "error" and not retried:
                retried = True
                backend.post(f"/v1/tasks/{task_id}/retry")
            if task["status"] == "idle":
                break
    assert [revision for revision, _ in seen] == list(range(1, len(seen) + 1))
    for (_, before), (_, after) in itertools.pairwise(seen):
        assert after == before or TaskStatus(after) in TASK_MOVES[TaskStatus(before)]


def test_creating_again_with_the_same_request_gives_the_same_task(backend: BackendProcess) -> None:
    body = {"repo": str(backend.repository), "prompt": "add a page", "task_id": uuid7()}
    first = backend.http.post("/v1/tasks", json=body)
    again = backend.http.post("/v1/tasks", json=dict(reversed(body.items())))
    other = backend.http.post("/v1/tasks", json={**body, "prompt": "add two pages"})
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert json_of(first)["task_id"] == json_of(again)["task_id"] == body["task_id"]
    assert len(backend.get("/v1/tasks")["tasks"]) == 1


def test_two_tasks_of_one_prompt_get_two_branches(backend: BackendProcess) -> None:
    subprocess.run(["git", "branch", "fix/fix-the-login-redirect-2"], cwd=backend.repository, check=True)
    tasks = [backend.wait_task(backend.create()["task_id"], "idle") for _ in range(2)]
    assert [task["branch"] for task in tasks] == ["fix/fix-the-login-redirect", "fix/fix-the-login-redirect-3"]


@pytest.mark.parametrize("branch", ["-x", "bad..name", "a b"])
def test_a_branch_that_git_refuses_is_refused(backend: BackendProcess, branch: str) -> None:
    body = {"repo": str(backend.repository), "prompt": "x", "branch": branch}
    answer = backend.http.post("/v1/tasks", json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in json_of(answer)["errors"]] == ["branch"]


def test_a_legal_branch_is_kept_to_the_letter(backend: BackendProcess) -> None:
    task = backend.create(branch="$(id)", title="今日の作業 \u2028 🚀")
    done = backend.wait_task(task["task_id"], "idle")
    assert (done["branch"], done["title"]) == ("$(id)", "今日の作業 \u2028 🚀")
