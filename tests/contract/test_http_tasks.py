"""`/v1/tasks` as the contract's table has it: create, read, rename, retry, archive, kill, prune."""

import re
import time
from pathlib import Path

import pytest

from foundry_tui.contract.ids import uuid7
from tests.backend.process import BackendProcess, json_of
from tests.contract.checks import UUID7, check_detail, check_summary, creating, refused


def test_create_answers_with_the_whole_task_at_revision_1(shared: BackendProcess) -> None:
    prompt = "wörk on 今日 \u2028 it " * 50
    answer = shared.http.post("/v1/tasks", json=creating(shared, prompt=prompt))
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    task = json_of(answer)
    check_detail(task)
    assert re.fullmatch(UUID7, task["task_id"])
    assert (task["status"], task["revision"], task["stages_done"]) == ("init_enqueue_provision", 1, 0)
    assert task["prompt"] == prompt
    assert [session["status"] for session in task["sessions"]] == ["pending_provision"]
    assert [event["kind"] for event in task["history"]][:2] == ["task.created", "provision.queued"]
    assert [(stage["state"], stage["attempt"]) for stage in task["stages"]] == [("pending", 0)] * 4


def test_a_summary_carries_200_characters_of_the_prompt(shared: BackendProcess) -> None:
    task = shared.create("é" * 300)
    snapshot = shared.get("/v1/tasks")
    assert set(snapshot) == {"seq", "repos", "tasks", "older"}
    summary = next(each for each in snapshot["tasks"] if each["task_id"] == task["task_id"])
    check_summary(summary)
    assert summary["prompt"] == "é" * 200


def test_what_was_asked_for_is_kept(shared: BackendProcess) -> None:
    session_id = uuid7()
    task = shared.create(
        "x", title="Titel \u2028 🚀", branch="keep/$(id)", base_branch="main", agent="demo", session_id=session_id
    )
    done = shared.wait_task(task["task_id"], "idle")
    check_detail(done)
    assert (done["title"], done["branch"], done["base_branch"]) == ("Titel \u2028 🚀", "keep/$(id)", "main")
    assert (done["agent"], done["sessions"][0]["session_id"]) == ("demo", session_id)


@pytest.mark.parametrize("field", ["title", "branch", "base_branch", "agent", "provider", "session_id", "task_id"])
def test_null_is_as_good_as_absent(shared: BackendProcess, field: str) -> None:
    assert shared.http.post("/v1/tasks", json=creating(shared, **{field: None})).status_code == 201


def test_the_same_request_again_is_the_same_task(shared: BackendProcess) -> None:
    body = creating(shared, task_id=uuid7(), title="once")
    first = shared.http.post("/v1/tasks", json=body)
    same = [
        shared.http.post("/v1/tasks", json=dict(reversed(body.items()))),
        shared.http.post("/v1/tasks", json={**body, "agent": None}),
        shared.http.post("/v1/tasks", content=b"  " + first.request.content + b"\n"),
    ]
    assert first.status_code == 201
    assert [answer.status_code for answer in same] == [200, 200, 200]
    assert {json_of(answer)["task_id"] for answer in same} == {body["task_id"]}
    for other in ({"title": "twice"}, {"title": ...}, {"prompt": "another"}, {"branch": "new"}):
        changed = {name: value for name, value in {**body, **other}.items() if value is not ...}
        refused(shared.http.post("/v1/tasks", json=changed), 409)


def test_the_same_request_again_shows_the_task_as_it_is_now(shared: BackendProcess) -> None:
    body = creating(shared, task_id=uuid7())
    shared.http.post("/v1/tasks", json=body)
    done = shared.wait_task(body["task_id"], "idle")
    again = json_of(shared.http.post("/v1/tasks", json=body))
    assert (again["status"], again["revision"]) == ("idle", done["revision"])


def test_a_pruned_id_is_never_used_again(shared: BackendProcess) -> None:
    body = creating(shared, task_id=uuid7())
    shared.http.post("/v1/tasks", json=body)
    task_id = body["task_id"]
    refused(shared.http.delete(f"/v1/tasks/{task_id}"), 409)
    shared.post(f"/v1/tasks/{task_id}/kill")
    shared.wait_task(task_id, "killed")
    answer = shared.http.delete(f"/v1/tasks/{task_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    refused(shared.http.get(f"/v1/tasks/{task_id}"), 404)
    refused(shared.http.delete(f"/v1/tasks/{task_id}"), 404)
    refused(shared.http.post("/v1/tasks", json=body), 409)
    refused(shared.http.post("/v1/tasks", json={**body, "prompt": "another"}), 409)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("task_id", value) for value in ("", "x", "01A207BE-1275-7D67-B73F-21347B2F0DED", "0" * 36)],
        *[("session_id", value) for value in ("", "a/b", "a b", "?", "x" * 129, "é")],
        *[("title", value) for value in ("", "  ", "\0", "x" * 201)],
        *[
            ("branch", value)
            for value in ("", "-x", "a..b", "a b", "HEAD", "a.lock", "a\0b", "@{-1}", "main", "main/x")
        ],
        *[("base_branch", value) for value in ("", "-x", "a..b")],
        *[("agent", value) for value in ("", " ", "a\nb", "x" * 65)],
        *[("provider", value) for value in ("", "nobody")],
        *[("prompt", value) for value in ("", " \n\t ")],
        *[
            ("repo", value)
            for value in ("", " ", "~", "~/x", ".", "../x", "x/y", "/no/such/folder", "repo-000000000000")
        ],
        *[("repo", value) for value in ("a\0b", "/a\0b", "/" + "x" * 300, "https://user:word@host/x", "ext::sh -c id")],
        *[(field, 7) for field in ("repo", "prompt", "title", "branch", "agent", "provider", "task_id", "session_id")],
        *[(field, ...) for field in ("repo", "prompt")],
        *[(field, None) for field in ("repo", "prompt")],
        *[("force", True), ("status", "idle"), ("ünknown", None), ("", 1)],
    ],
)
def test_a_wrong_value_is_named_by_its_field(shared: BackendProcess, field: str, value: object) -> None:
    before = len(shared.get("/v1/tasks")["tasks"])
    refused(shared.http.post("/v1/tasks", json=creating(shared, **{field: value})), 422, field)
    assert len(shared.get("/v1/tasks")["tasks"]) == before


def test_all_wrong_values_are_named_at_once(shared: BackendProcess) -> None:
    body = creating(shared, title="", branch="-x", agent="", prompt=" ")
    problem = refused(shared.http.post("/v1/tasks", json=body), 422)
    assert {error["field"] for error in problem["errors"]} == {"title", "branch", "agent", "prompt"}


def test_a_session_of_another_task_is_a_conflict(shared: BackendProcess) -> None:
    session_id = shared.create()["sessions"][0]["session_id"]
    refused(shared.http.post("/v1/tasks", json=creating(shared, session_id=session_id)), 409)


def test_a_branch_that_a_task_holds_is_refused(shared: BackendProcess) -> None:
    task = shared.create(branch="held")
    refused(shared.http.post("/v1/tasks", json=creating(shared, branch="held")), 422, "branch")
    shared.post(f"/v1/tasks/{task['task_id']}/kill")
    shared.wait_task(task["task_id"], "killed")
    assert shared.http.post("/v1/tasks", json=creating(shared, branch="held")).status_code == 201


def test_patch_renames_and_marks(shared: BackendProcess) -> None:
    task_id = shared.create()["task_id"]
    before = shared.wait_task(task_id, "idle")
    assert before["unread"] is True
    answer = shared.http.patch(f"/v1/tasks/{task_id}", json={"title": "neu\u2028"})
    assert answer.status_code == 200
    task = json_of(answer)
    check_detail(task)
    assert (task["title"], task["revision"]) == ("neu\u2028", before["revision"] + 1)
    assert shared.kinds(task_id)[-1] == "task.renamed"
    kinds = shared.kinds(task_id)
    read = json_of(shared.http.patch(f"/v1/tasks/{task_id}", json={"unread": False}))
    assert (read["unread"], read["title"], read["revision"]) == (False, "neu\u2028", before["revision"] + 2)
    assert shared.kinds(task_id) == kinds, "unread marks leave no history"
    for nothing in ({}, {"title": None, "unread": None}, {"title": "neu\u2028"}, {"unread": False}):
        same = json_of(shared.http.patch(f"/v1/tasks/{task_id}", json=nothing))
        assert same["revision"] == read["revision"]
    refused(shared.http.patch(f"/v1/tasks/{task_id}", json={"title": ""}), 422, "title")
    refused(shared.http.patch(f"/v1/tasks/{task_id}", json={"unread": 1}), 422, "unread")
    refused(shared.http.patch(f"/v1/tasks/{task_id}", json={"branch": "x"}), 422, "branch")
    refused(shared.http.patch(f"/v1/tasks/{uuid7()}", json={"title": "x"}), 404)


def test_retry_is_for_failed_tasks_and_goes_on_from_the_stage_that_failed(backend: BackendProcess) -> None:
    backend.set_script({"default": {"ensure_agent": {"fail": "no agent", "times": 1, "retryable": False}}})
    task_id = backend.create()["task_id"]
    failed = backend.wait_task(task_id, "error")
    check_detail(failed)
    assert failed["error"]["stage"] == "ensure_agent"
    assert failed["error"]["kind"] in ("agent", "provider")
    assert failed["error"]["message"] == "no agent"
    assert failed["error"]["retryable"] is False
    assert [stage["state"] for stage in failed["stages"]] == ["done", "done", "failed", "pending"]
    queued = backend.post(f"/v1/tasks/{task_id}/retry")
    check_detail(queued)
    done = backend.wait_task(task_id, "idle")
    assert done.get("error") is None
    assert [stage["attempt"] for stage in done["stages"]] == [1, 1, 1, 1]
    started = [event["payload"]["stage"] for event in done["history"] if event["kind"] == "stage.started"]
    assert started == ["ensure_name", "create_sandbox", "ensure_agent", "ensure_agent", "create_session"]
    assert "provision.retry_requested" in backend.kinds(task_id)
    refused(backend.http.post(f"/v1/tasks/{task_id}/retry"), 409)
    refused(backend.http.post(f"/v1/tasks/{uuid7()}/retry"), 404)


def test_history_tells_each_thing_of_a_retry_once_and_misses_no_change_of_status(backend: BackendProcess) -> None:
    backend.set_script({"default": {"turn": {"fail": "out of tokens", "times": 2}}})
    task = backend.create()
    task_id = task["task_id"]
    backend.wait_task(task_id, "error")
    backend.post(f"/v1/tasks/{task_id}/retry")
    backend.wait_task(task_id, "idle")
    asked = "provision.retry_requested"
    kinds = backend.kinds(task_id)
    passed = ["provision.resumed"] * 4
    assert kinds[kinds.index(asked) :] == [asked, "provision.queued", *passed, "task.idle"]

    backend.post(f"/v1/sessions/{task['sessions'][0]['session_id']}/prompts", {"prompt_id": "p2", "text": "go on"})
    backend.wait_task(task_id, "error")
    backend.kill()
    backend.start()
    backend.post(f"/v1/tasks/{task_id}/retry", {"resend": True})
    backend.wait_task(task_id, lambda _: backend.kinds(task_id)[-2:] == ["prompt.answered", "task.idle"])
    kinds = backend.kinds(task_id)
    again = kinds[len(kinds) - kinds[::-1].index(asked) :]
    turn = ["prompt.delivered", "task.running", "prompt.answered", "task.idle"]
    assert [each for each in again if each != "prompt.queued"] == ["provision.queued", *passed, *turn]
    events = backend.get(f"/v1/tasks/{task_id}/history")["events"]
    stages = [each["payload"]["stage"] for each in events if each["kind"] == "provision.resumed"]
    assert stages == ["ensure_name", "create_sandbox", "ensure_agent", "create_session"] * 2


@pytest.mark.parametrize(("command", "end"), [("archive", "archived"), ("kill", "killed")])
def test_the_end_of_a_task(shared: BackendProcess, command: str, end: str) -> None:
    task_id = shared.create()["task_id"]
    task = shared.wait_task(task_id, "idle")
    session_id = task["sessions"][0]["session_id"]
    answer = shared.post(f"/v1/tasks/{task_id}/{command}", {"force": None, "delete_branch": None})
    check_detail(answer)
    assert answer["status"] in (end, "archive_release_sandbox", "kill_destroy_sandbox")
    assert [session["status"] for session in answer["sessions"]] == ["closed"]
    ended = shared.wait_task(task_id, end)
    assert ended["leftovers"] == []
    asked = "task.archive_requested" if command == "archive" else "task.kill_requested"
    gone = "sandbox.released" if command == "archive" else "sandbox.destroyed"
    assert shared.kinds(task_id)[-4:] == [asked, "session.closed", gone, f"task.{end}"]
    for again in ("archive", "kill"):
        shared.post(f"/v1/tasks/{task_id}/{again}")
    assert shared.get(f"/v1/tasks/{task_id}")["revision"] == ended["revision"]
    refused(shared.http.post(f"/v1/tasks/{task_id}/sessions", json={}), 409)
    prompt = {"prompt_id": uuid7(), "text": "more"}
    refused(shared.http.post(f"/v1/sessions/{session_id}/prompts", json=prompt), 409)
    refused(shared.http.post(f"/v1/tasks/{task_id}/retry"), 409)
    assert shared.get(f"/v1/sessions/{session_id}")["transcript"], "kept for reading"


def test_a_kill_while_a_stage_runs_cancels_it_and_releases_what_was_made(backend: BackendProcess) -> None:
    backend.set_script({"default": {"ensure_agent": {"hang": "before"}}})
    task_id = backend.create()["task_id"]
    backend.wait_task(task_id, lambda task: task["status"] == "init_ensure_agent")
    answer = backend.post(f"/v1/tasks/{task_id}/kill")
    assert [stage["state"] for stage in answer["stages"]] == ["done", "done", "cancelled", "pending"]
    backend.wait_task(task_id, "killed")
    assert [effect["task_id"] for effect in backend.effects(effect="destroy_sandbox")] == [task_id]


def test_what_would_be_lost_needs_force(backend: BackendProcess) -> None:
    backend.set_script({"tasks": [{"match": "dirty", "would_lose": ["a.py is not committed", "1 commit"]}]})
    task_id = backend.create("dirty work")["task_id"]
    before = backend.wait_task(task_id, "idle")
    for command in ("archive", "kill"):
        for body in ({}, {"force": False}, {"force": None}):
            problem = refused(backend.http.post(f"/v1/tasks/{task_id}/{command}", json=body), 409)
            assert problem["would_lose"] == ["a.py is not committed", "1 commit"]
    assert backend.get(f"/v1/tasks/{task_id}")["revision"] == before["revision"]
    backend.post(f"/v1/tasks/{task_id}/kill", {"force": True, "delete_branch": True})
    backend.wait_task(task_id, "killed")
    refused(backend.http.post(f"/v1/tasks/{task_id}/kill", json={"force": "yes"}), 422, "force")
    refused(backend.http.post(f"/v1/tasks/{task_id}/kill", json={"why": "x"}), 422, "why")


def test_creating_never_waits_for_a_provider(backend: BackendProcess, tmp_path: Path) -> None:
    backend.set_script({"default": {"ensure_name": {"hang": "before"}, "create_sandbox": {"hang": "before"}}})
    began = time.monotonic()
    for _ in range(100):
        backend.create()
    assert time.monotonic() - began < 10, "100 creates while everything hangs"
