"""`from` of a new task: a branch, a pull request or an issue; what is wrong with it, and what the task says of it."""

import pytest

from foundry_tui.contract.ids import uuid7
from tests.backend.process import BackendProcess
from tests.contract.checks import PULL_REQUEST, only
from tests.contract.test_http_operations import ended
from tests.git import git
from tests.world import Json

WRONG: list[tuple[object, Json, str]] = [
    ({}, {}, "from"),
    ({"branch": None}, {}, "from"),
    ({"branch": "a", "issue": 1}, {}, "from"),
    ({"pull_request": 1, "issue": 1}, {}, "from"),
    ({"branch": "a", "pull_request": 1, "issue": 1}, {}, "from"),
    ("main", {}, "from"),
    ([], {}, "from"),
    ({"branch": ""}, {}, "from.branch"),
    ({"branch": "-x"}, {}, "from.branch"),
    ({"branch": "a b"}, {}, "from.branch"),
    ({"branch": "HEAD"}, {}, "from.branch"),
    ({"branch": 1}, {}, "from.branch"),
    ({"pull_request": 0}, {}, "from.pull_request"),
    ({"pull_request": -1}, {}, "from.pull_request"),
    ({"pull_request": "1"}, {}, "from.pull_request"),
    ({"pull_request": 1.5}, {}, "from.pull_request"),
    ({"issue": 2**31}, {}, "from.issue"),
    ({"issue": True}, {}, "from.issue"),
    ({"tag": "v1"}, {}, "from.tag"),
    ({"branch": "a"}, {"branch": "b"}, "branch"),
    ({"pull_request": 1}, {"branch": "b"}, "branch"),
    ({"pull_request": 1}, {"base_branch": "b"}, "base_branch"),
]


@pytest.mark.parametrize(("start", "more", "field"), WRONG)
def test_what_cannot_be_started_from_is_refused_by_its_field(
    shared: BackendProcess, start: object, more: Json, field: str
) -> None:
    task_id = uuid7()
    body = {"repo": str(shared.repository), "prompt": "x", "task_id": task_id, "from": start, **more}
    answer = shared.post("/v1/tasks", body, status=422)
    assert [error["field"] for error in answer["errors"]] == [field]
    assert all(error["message"] for error in answer["errors"])
    assert shared.http.get(f"/v1/tasks/{task_id}").status_code == 404


def test_a_branch_is_worked_on_itself(backend: BackendProcess) -> None:
    git(backend.repository, "branch", "spike/$(id)")
    task = backend.create("go on", **{"from": {"branch": "spike/$(id)"}})
    assert (task["status"], task["branch"]) == ("init_enqueue_provision", "spike/$(id)")
    assert task["started_from"] == {"branch": "spike/$(id)"}
    assert backend.wait_task(task["task_id"], "idle")["branch"] == "spike/$(id)"
    again = backend.create("no such", **{"from": {"branch": "gone"}})
    failed = backend.wait_task(again["task_id"], "error")
    assert (failed["error"]["stage"], failed["error"]["kind"]) == ("ensure_name", "git")
    assert "no branch gone" in failed["error"]["message"]
    taken = backend.create("taken", **{"from": {"branch": "main"}})
    failed = backend.wait_task(taken["task_id"], "error")
    assert f"the worktree {backend.repository} has it" in failed["error"]["message"]
    git(backend.repository, "switch", "--quiet", "--create", "away")
    backend.post(f"/v1/tasks/{taken['task_id']}/retry")
    assert backend.wait_task(taken["task_id"], "idle")["branch"] == "main"


def test_a_pull_request_is_shown_at_once_and_an_issue_goes_before_the_prompt(backend: BackendProcess) -> None:
    said = {"title": "Mend the sums", "branch": "sums", "base": "main", "checks": "failing"}
    issue = {"title": "Sums are wrong", "text": "One and one\nis three."}
    backend.set_script(
        {"tasks": [{"match": "go on", "pull_request": said}, {"match": "mend", "issue": issue}], "default": {}}
    )
    task_id = backend.create("go on", **{"from": {"pull_request": 12}})["task_id"]
    task = backend.wait_task(task_id, "idle")
    only(task["pull_request"], PULL_REQUEST, always="number url title state checks review mergeable comments at")
    assert (task["pull_request"]["number"], task["branch"], task["base_branch"]) == (12, "sums", "main")
    assert (task["title"], task["started_from"]["title"]) == ("Mend the sums", "Mend the sums")

    body: Json = {"repo": str(backend.repository), "prompt": "mend it", "task_id": uuid7(), "from": {"issue": 7}}
    assert backend.post("/v1/tasks", body, status=201)["prompt"] == "mend it"
    task = backend.wait_task(body["task_id"], "idle")
    whole = "Issue #7: Sums are wrong\n\nOne and one\nis three.\n\nmend it"
    (session,) = task["sessions"]
    (prompt,) = backend.get(f"/v1/sessions/{session['session_id']}")["prompts"]
    assert (prompt["text"], task["prompt"], task["title"]) == (whole, whole, "Sums are wrong")
    assert task["branch"] == "fix/sums-are-wrong"
    assert task["started_from"] == {
        "issue": 7,
        "title": "Sums are wrong",
        "url": "https://forge.invalid/demo/issues/7",
    }
    assert backend.post("/v1/tasks", body, status=200)["task_id"] == body["task_id"], "the same again"
    backend.post("/v1/tasks", {**body, "from": {"issue": 8}}, status=409)


def test_an_issue_goes_before_the_prompt_once_over_kills(backend: BackendProcess) -> None:
    issue = {"title": "Sums are wrong"}
    backend.set_script({"default": {"issue": issue, "ensure_name": {"hang": "after"}}})
    task_id = backend.create("mend it", **{"from": {"issue": 7}})["task_id"]
    backend.wait_task(task_id, "init_ensure_name")
    backend.kill()
    backend.set_script({"default": {"issue": issue}})
    backend.start()
    assert backend.wait_task(task_id, "idle")["prompt"] == "Issue #7: Sums are wrong\n\nmend it"


def test_failed_checks_and_comments_are_handed_to_the_agent_once(backend: BackendProcess) -> None:
    comments = [
        {"comment_id": "1", "author": "ada", "body": "why?\nreally", "at": 1, "path": "a.py", "line": 3},
        {"comment_id": "2", "author": "bo", "body": "done", "at": 2, "path": "a.py", "line": 4, "resolved": True},
    ]
    pull = {"checks": "failing", "logs": {"tests": "boom ``` \x1b[31mred"}, "comments": comments}
    backend.set_script({"default": {"turn": {"ms": 0}, "pull_request": pull}})
    task_id = backend.create()["task_id"]
    backend.wait_task(task_id, "idle")
    give = {"kind": "hand_over", "what": "checks"}
    refused = backend.post(f"/v1/tasks/{task_id}/operations", give, status=409)
    assert "no pull request yet" in refused["detail"]
    opened = backend.post(f"/v1/tasks/{task_id}/operations", {"kind": "pull_request"})
    ended(backend, task_id, opened["operation_id"])
    given = ended(backend, task_id, backend.post(f"/v1/tasks/{task_id}/operations", give)["operation_id"])
    assert given["result"] == {"checks": ["tests"], "handed_over": True}
    backend.wait_task(task_id, "idle")
    waiting = {**give, "wait": True}
    again = ended(backend, task_id, backend.post(f"/v1/tasks/{task_id}/operations", waiting)["operation_id"])
    assert again["result"]["handed_over"] is False
    said = {"kind": "hand_over", "what": "comments", "wait": True}
    ended(backend, task_id, backend.post(f"/v1/tasks/{task_id}/operations", said)["operation_id"])
    session_id = backend.wait_task(task_id, "idle")["sessions"][0]["session_id"]
    _, log, remarks = [each["text"] for each in backend.get(f"/v1/sessions/{session_id}")["prompts"]]
    assert "**tests**" in log
    assert log.endswith("its log:\n````\nboom ``` ␛[31mred\n````")
    assert remarks.endswith("**a.py:3**, ada:\n> why?\n> really")
    unknown = {**give, "checks": ["lint"], "wait": True}
    failed = ended(backend, task_id, backend.post(f"/v1/tasks/{task_id}/operations", unknown)["operation_id"])
    assert (failed["state"], failed["error"]["kind"]) == ("failed", "git")
    assert "called lint" in failed["error"]["message"]
    unknown = {**give, "checks": [f"lint{number}" for number in range(100)], "wait": True}
    failed = ended(backend, task_id, backend.post(f"/v1/tasks/{task_id}/operations", unknown)["operation_id"])
    assert "lint4 or 95 others" in failed["error"]["message"]
    more = backend.post(f"/v1/tasks/{task_id}/operations", {**unknown, "checks": ["x"] * 101}, status=422)
    assert more["errors"][0]["field"] == "checks"
