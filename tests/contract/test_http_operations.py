"""Operations: kept at once, done behind in steps, one at a time, cancelled, and over kills never twice."""

import pytest

from foundry_tui.contract.ids import uuid7
from tests.backend.process import BackendProcess
from tests.contract.checks import OPERATION, PULL_REQUEST, only
from tests.world import Json

ENDED = ("done", "failed", "cancelled")


def ready(backend: BackendProcess, **turn: object) -> str:
    backend.set_script({"default": {"turn": {"ms": 0, **turn}}})
    task_id: str = backend.create()["task_id"]
    backend.wait_task(task_id, "idle")
    return task_id


def ended(backend: BackendProcess, task_id: str, operation_id: str) -> Json:
    """The operation once it has ended."""

    def has_ended(task: Json) -> bool:
        return any(each["operation_id"] == operation_id and each["state"] in ENDED for each in task["operations"])

    task = backend.wait_task(task_id, has_ended)
    found: Json = next(each for each in task["operations"] if each["operation_id"] == operation_id)
    only(found, OPERATION, always="operation_id task_id kind request state steps at revision")
    return found


def test_an_operation_is_kept_at_once_and_told_until_it_is_done(backend: BackendProcess) -> None:
    task_id = ready(backend)
    operation_id = uuid7()
    body = {"kind": "commit", "message": "Fix it", "operation_id": operation_id}
    with backend.events(f"task:{task_id}") as events:
        asked = backend.post(f"/v1/tasks/{task_id}/operations", body)
        assert (asked["state"], asked["request"], asked["revision"]) == ("queued", {"message": "Fix it"}, 1)
        told = []
        for event in events:
            if event.event == "operation":
                told.append(event.json())
                if told[-1]["state"] == "done":
                    break
    assert [each["revision"] for each in told] == list(range(1, len(told) + 1))
    assert [step["name"] for step in told[-1]["steps"]] == ["commit"]
    assert told[-1]["result"]["sha"]
    assert backend.post(f"/v1/tasks/{task_id}/operations", body)["state"] == "done"
    assert len(backend.effects(effect="commit")) == 1
    assert backend.kinds(task_id)[-2:] == ["operation.requested", "operation.completed"]
    assert backend.get(f"/v1/tasks/{task_id}").get("operation") is None


def test_one_at_a_time_and_a_cancelled_one_has_no_result(backend: BackendProcess) -> None:
    task_id = ready(backend)
    backend.set_script({"default": {"push": {"hang": "before"}}})
    push = backend.post(f"/v1/tasks/{task_id}/operations", {"kind": "push"})
    running = backend.wait_task(task_id, lambda task: bool(task["operation"] and task["operation"]["steps"]))
    assert running["operation"]["state"] == "running"
    refused = backend.post(f"/v1/tasks/{task_id}/operations", {"kind": "commit"}, status=409)
    assert "push is under way" in refused["detail"]
    backend.post(f"/v1/operations/{push['operation_id']}/cancel")
    assert ended(backend, task_id, push["operation_id"])["state"] == "cancelled"
    backend.post(f"/v1/operations/{push['operation_id']}/cancel")
    backend.post("/v1/operations/nothing/cancel", status=404)
    commit = backend.post(f"/v1/tasks/{task_id}/operations", {"kind": "commit"})
    assert ended(backend, task_id, commit["operation_id"])["state"] == "done"


def test_one_that_waits_goes_after_the_turn_and_before_the_next_prompt(backend: BackendProcess) -> None:
    task_id = ready(backend)
    backend.set_script({"default": {"turn": {"permission": "Go on?"}, "commit": {"ms": 0}}})
    session_id = backend.get(f"/v1/tasks/{task_id}")["sessions"][0]["session_id"]
    for number in range(2):
        backend.post(f"/v1/sessions/{session_id}/prompts", {"prompt_id": f"p{number}", "text": "more"})
    asking = backend.wait_task(task_id, lambda task: task["needs_input"] == 1)
    assert "turn runs" in backend.post(f"/v1/tasks/{task_id}/operations", {"kind": "commit"}, status=409)["detail"]
    waiting = backend.post(f"/v1/tasks/{task_id}/operations", {"kind": "commit", "wait": True})
    (question,) = [each for each in asking["permissions"] if each["state"] == "open"]
    backend.post(f"/v1/permissions/{question['permission_id']}", {"option_id": "allow"}, status=200)
    assert ended(backend, task_id, waiting["operation_id"])["state"] == "done"
    backend.wait_task(task_id, lambda task: task["needs_input"] == 1)
    kinds = backend.kinds(task_id)
    assert kinds.index("prompt.answered", kinds.index("operation.requested")) < kinds.index("operation.completed")
    assert kinds.count("prompt.delivered") == 3
    assert kinds.index("operation.completed") < len(kinds) - 1 - kinds[::-1].index("prompt.delivered")


def test_what_fails_says_why_and_the_task_goes_on(backend: BackendProcess) -> None:
    task_id = ready(backend)
    backend.set_script({"default": {"push": {"fail": "the remote refused it", "ms": 0}}})
    push = backend.post(f"/v1/tasks/{task_id}/operations", {"kind": "push", "force_with_lease": True})
    failed = ended(backend, task_id, push["operation_id"])
    assert (failed["state"], failed["error"]["message"]) == ("failed", "the remote refused it")
    assert backend.get(f"/v1/tasks/{task_id}")["status"] == "idle"
    assert backend.kinds(task_id)[-1] == "operation.failed"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "kind"),
        ({"kind": "merge"}, "kind"),
        ({"kind": "update", "how": "squash"}, "how"),
        ({"kind": "commit", "draft": True}, "draft"),
        ({"kind": "land", "into": 1}, "into"),
        ({"kind": "commit", "operation_id": "a b"}, "operation_id"),
        ({"kind": "commit", "message": "m" * 65_537}, "message"),
    ],
)
def test_a_wrong_value_is_named(shared: BackendProcess, body: Json, field: str) -> None:
    task_id = shared.create()["task_id"]
    refused = shared.post(f"/v1/tasks/{task_id}/operations", body, status=422)
    assert [error["field"] for error in refused["errors"]] == [field]
    shared.post("/v1/tasks/01a2080f-3533-711a-990c-c7ddecc9953e/operations", {"kind": "commit"}, status=404)


def test_killed_in_the_middle_it_goes_on_and_is_done_once(backend: BackendProcess) -> None:
    task_id = ready(backend)
    backend.set_script({"default": {"land": {"hang": "after", "ms": 0, "log": ["landing"]}}})
    land = backend.post(f"/v1/tasks/{task_id}/operations", {"kind": "land", "archive": True})
    backend.wait_line(task_id, "landing")
    backend.kill()
    backend.set_script({})
    backend.start()
    assert ended(backend, task_id, land["operation_id"])["state"] == "done"
    backend.wait_task(task_id, "archived")
    assert len(backend.effects(effect="land")) == 1


def test_ending_the_task_ends_what_is_under_way(backend: BackendProcess) -> None:
    task_id = ready(backend)
    backend.set_script({"default": {"update": {"hang": "before"}}})
    update = backend.post(f"/v1/tasks/{task_id}/operations", {"kind": "update", "how": "rebase"})
    assert update["request"] == {"how": "rebase"}, "as it was asked for"
    backend.wait_task(task_id, lambda task: bool(task["operation"] and task["operation"]["steps"]))
    backend.post(f"/v1/tasks/{task_id}/kill")
    assert ended(backend, task_id, update["operation_id"])["state"] == "cancelled"
    backend.wait_task(task_id, "killed")
    assert "ended" in backend.post(f"/v1/tasks/{task_id}/operations", {"kind": "commit"}, status=409)["detail"]


def test_a_pull_request_is_told_with_its_checks_and_comments(backend: BackendProcess) -> None:
    task_id = ready(backend)
    assert backend.get(f"/v1/tasks/{task_id}/comments") == {"comments": []}
    said = {"comment_id": "1", "author": "mona", "body": "why?", "at": 1, "path": "a.py", "line": 3}
    pull = {"ms": 0, "checks": "pending", "comments": [said]}
    backend.set_script({"default": {"pull_request": pull}})
    asked = backend.post(f"/v1/tasks/{task_id}/operations", {"kind": "pull_request", "draft": True})
    done = ended(backend, task_id, asked["operation_id"])
    assert [step["name"] for step in done["steps"]] == ["commit", "push", "pull_request"]
    task = backend.get(f"/v1/tasks/{task_id}")
    only(task["pull_request"], PULL_REQUEST, always="number url title state checks at")
    assert {name: task["pull_request"][name] for name in done["result"]} == done["result"]
    assert (task["pull_request"]["state"], task["pull_request"]["checks"]["state"]) == ("draft", "pending")
    assert task["pull_request"]["comments"] == 1
    (comment,) = backend.get(f"/v1/tasks/{task_id}/comments")["comments"]
    assert {name: comment[name] for name in said} == said
    (listed,) = [each for each in backend.get("/v1/tasks")["tasks"] if each["task_id"] == task_id]
    assert listed["pull_request"]["number"] == done["result"]["number"]
    unknown = "/v1/tasks/01a2080f-3533-711a-990c-c7ddecc9953e/comments"
    assert backend.http.get(unknown).status_code == 404


def test_a_script_s_checks_run_for_a_while_and_come_to_what_it_says(backend: BackendProcess) -> None:
    task_id = ready(backend)
    checks = {"state": "passing", "passed": 5}
    told = []
    for lasts in (86_400_000, 1):
        backend.set_script({"default": {"pull_request": {"ms": 0, "checks": checks, "checks_ms": lasts}}})
        asked = backend.post(f"/v1/tasks/{task_id}/operations", {"kind": "pull_request"})
        ended(backend, task_id, asked["operation_id"])
        told.append(backend.get(f"/v1/tasks/{task_id}")["pull_request"]["checks"])
    assert [(each["state"], each["passed"]) for each in told] == [("pending", 0), ("passing", 5)]
    assert told[0]["pending"] == 5


def test_a_script_s_pull_request_says_only_what_can_be(backend: BackendProcess) -> None:
    task_id = ready(backend)
    checks = {"state": "failing", "passed": 1, "failed": 1, "names": ["lint"]}
    backend.set_script({"default": {"pull_request": {"ms": 0, "checks": checks, "review": "approved"}}})
    asked = backend.post(f"/v1/tasks/{task_id}/operations", {"kind": "pull_request"})
    ended(backend, task_id, asked["operation_id"])
    told = backend.get(f"/v1/tasks/{task_id}")["pull_request"]
    assert (told["checks"]["names"], told["review"], told["state"]) == (["lint"], "approved", "open")
