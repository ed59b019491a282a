"""Permissions of a task and rules of the config, as the contract has them, with the demo provider."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.process import BackendProcess
from tests.contract.checks import check_detail, creating, failed_start, refused
from tests.world import Json

RULES = [{"allow": "make *"}, {"deny": "git push*", "kind": "execute"}, {"allow": "rm *", "repository": "elsewhere"}]


@pytest.fixture
def ruled(tmp_path: Path) -> Iterator[BackendProcess]:
    """A backend that was told of rules."""
    with BackendProcess(tmp_path, {"FOUNDRY_RULES": json.dumps(RULES)}) as backend:
        yield backend.start()


def asking(*steps: Json) -> Json:
    turn = {"ms": 1, "steps": [{"permission": f"Question {number}", **step} for number, step in enumerate(steps)]}
    return {"default": {"turn": turn}}


def test_what_rules_decide_is_told_once_and_asks_nobody(ruled: BackendProcess) -> None:
    ruled.set_script(asking({"kind": "execute", "text": "make all"}, {"kind": "execute", "text": "x; git push"}))
    task_id = ruled.create()["task_id"]
    seen = []
    with ruled.events(f"task:{task_id}") as events:
        for event in events:
            if event.event in ("snapshot", "task"):
                seen.append(json.loads(event.data))
                if seen[-1]["status"] in ("idle", "error"):
                    break
    assert {task["needs_input"] for task in seen} == {0}
    assert not any(task["permissions"] and task["permissions"][-1]["state"] == "open" for task in seen)
    ruled.kill()
    ruled.start()
    task = ruled.get(f"/v1/tasks/{task_id}")
    check_detail(task)
    words = ["allowed by rule `make *`", "denied by rule `git push*`"]
    assert [(each["state"], each["answer"], each["answered_by"]) for each in task["permissions"]] == [
        ("answered", "allow", words[0]),
        ("answered", "deny", words[1]),
    ]
    session = ruled.get(f"/v1/sessions/{task['sessions'][0]['session_id']}")
    items = [item["body"] for item in session["transcript"] if item["kind"] == "permission"]
    assert [(item["text"], item["answered_by"]) for item in items] == [
        ("make all", words[0]),
        ("x; git push", words[1]),
    ]
    told = [event for event in task["history"] if event["kind"].startswith("permission.")]
    assert [event["kind"] for event in told] == ["permission.opened", "permission.answered"] * 2
    assert [event["payload"].get("answered_by") for event in told] == [None, words[0], None, words[1]]


@pytest.mark.parametrize(
    ("permissions", "asked"), [(None, [0, 1, 2]), ("ask", [0, 1, 2]), ("reads", [1, 2]), ("all", [])]
)
def test_permissions_of_a_task_also_after_a_restart(
    ruled: BackendProcess, permissions: str | None, asked: list[int]
) -> None:
    ruled.set_script(asking({"kind": "read", "paths": ["a"]}, {"kind": "fetch"}, {"kind": "execute", "text": "rm x"}))
    fields = {} if permissions is None else {"permissions": permissions}
    task = ruled.create(**fields)
    assert task["permission_policy"] == (permissions or "ask")
    ruled.kill()
    ruled.start()
    found = []
    while True:
        task = ruled.wait_task(task["task_id"], lambda task: bool(task["needs_input"]) or task["status"] == "idle")
        if task["status"] == "idle":
            break
        [question] = [each for each in task["permissions"] if each["state"] == "open"]
        found.append(int(question["title"].removeprefix("Question ")))
        ruled.post(f"/v1/permissions/{question['permission_id']}", {"option_id": "deny"}, status=200)
    assert found == asked


def test_permissions_that_there_are_none_of_are_refused(ruled: BackendProcess) -> None:
    refused(ruled.http.post("/v1/tasks", json=creating(ruled, permissions="yolo")), 422)


def test_rules_that_cannot_be_read_keep_the_backend_from_starting(tmp_path: Path) -> None:
    with BackendProcess(tmp_path, {"FOUNDRY_RULES": '[{"allow": "a; b"}]'}) as backend:
        code, errors = failed_start(backend)
        assert code == 2
        assert "FOUNDRY_RULES cannot be read" in errors
