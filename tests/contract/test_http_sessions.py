"""Sessions, prompts, stopping and permission requests as the contract's table has them."""

import itertools
import json

import pytest

from foundry_tui.contract.ids import uuid7
from tests.backend.process import BackendProcess, json_of
from tests.contract.checks import (
    ASK,
    PERMISSION,
    PROMPT,
    SESSION,
    SESSION_STATE,
    TRANSCRIPT_ITEM,
    check_session,
    only,
    refused,
)
from tests.world import Json


def _wait_session(backend: BackendProcess, session_id: str, **wanted: object) -> Json:
    """The session once it has these values."""
    with backend.events(f"session:{session_id}") as events:
        for event in events:
            if event.event in ("snapshot", "session"):
                session = json.loads(event.data)
                if all(session.get(name) == value for name, value in wanted.items()):
                    return backend.get(f"/v1/sessions/{session_id}")
    raise AssertionError("the stream ended first")


def _idle(backend: BackendProcess, prompt: str = "add a page") -> tuple[str, str]:
    """Ids of a task that is idle and of its session."""
    task = backend.create(prompt)
    backend.wait_task(task["task_id"], "idle")
    return task["task_id"], task["sessions"][0]["session_id"]


def test_a_session_comes_with_transcript_and_prompts(shared: BackendProcess) -> None:
    task_id, session_id = _idle(shared)
    session = shared.get(f"/v1/sessions/{session_id}")
    check_session({name: value for name, value in session.items() if name in SESSION})
    only(session, SESSION_STATE | {"transcript", "seq"}, always="transcript prompts options commands accepts")
    for prompt in session["prompts"]:
        only(prompt, PROMPT, always="prompt_id session_id text state at")
    assert [item["index"] for item in session["transcript"]] == [0, 1]
    for item in session["transcript"]:
        only(item, TRANSCRIPT_ITEM, always="item_id session_id kind body at revision")
    assert [item["kind"] for item in session["transcript"]] == ["prompt", "message"]
    assert session["task_id"] == task_id
    refused(shared.http.get(f"/v1/sessions/{uuid7()}"), 404)


def test_a_prompt_is_queued_then_delivered_then_answered(shared: BackendProcess) -> None:
    task_id, session_id = _idle(shared)
    text = "and now \u2028 this: \0 \x1b 🚀 " + "x" * 1000
    before = shared.get(f"/v1/tasks/{task_id}")["revision"]
    answer = shared.http.post(f"/v1/sessions/{session_id}/prompts", json={"prompt_id": "p.1-~_", "text": text})
    assert answer.status_code == 202
    prompt = only(json_of(answer), PROMPT, always="prompt_id session_id text state at")
    assert (prompt["prompt_id"], prompt["state"], prompt["text"]) == ("p.1-~_", "queued", text)
    task = shared.wait_task(task_id, lambda each: each["status"] == "idle" and each["revision"] > before + 2)
    session = shared.get(f"/v1/sessions/{session_id}")
    assert [each["state"] for each in session["prompts"]] == ["answered", "answered"]
    assert session["transcript"][2]["body"] == text
    again = shared.post(f"/v1/sessions/{session_id}/prompts", {"prompt_id": "p.1-~_", "text": "other text"})
    assert (again["state"], again["text"]) == ("answered", text)
    assert shared.get(f"/v1/tasks/{task_id}")["revision"] == task["revision"], "the same prompt_id changes nothing"
    other_session = shared.create()["sessions"][0]["session_id"]
    refused(
        shared.http.post(f"/v1/sessions/{other_session}/prompts", json={"prompt_id": "p.1-~_", "text": "mine"}), 409
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "prompt_id"),
        ({"prompt_id": "p"}, "text"),
        ({"prompt_id": None, "text": "x"}, "prompt_id"),
        ({"prompt_id": "", "text": "x"}, "prompt_id"),
        ({"prompt_id": "a/b", "text": "x"}, "prompt_id"),
        ({"prompt_id": 1, "text": "x"}, "prompt_id"),
        ({"prompt_id": "p", "text": " "}, "text"),
        ({"prompt_id": "p", "text": "x", "now": True}, "now"),
    ],
)
def test_a_wrong_prompt_is_refused(shared: BackendProcess, body: Json, field: str) -> None:
    session_id = shared.create()["sessions"][0]["session_id"]
    refused(shared.http.post(f"/v1/sessions/{session_id}/prompts", json=body), 422, field)
    refused(shared.http.post(f"/v1/sessions/{uuid7()}/prompts", json={"prompt_id": "p", "text": "x"}), 404)


def test_prompts_of_a_session_that_is_not_ready_are_kept_in_order(backend: BackendProcess) -> None:
    backend.set_script({"default": {"create_sandbox": {"ms": 60_000}}})
    task = backend.create("first")
    session_id = task["sessions"][0]["session_id"]
    for number in range(3):
        backend.post(f"/v1/sessions/{session_id}/prompts", {"prompt_id": f"p{number}", "text": f"text {number}"})
    backend.kill()
    backend.set_script({})
    backend.start()
    _wait_session(backend, session_id, status="ready")
    backend.wait_task(task["task_id"], lambda each: each["status"] == "idle")
    session = _wait_session(backend, session_id, status="ready")
    while any(prompt["state"] != "answered" for prompt in session["prompts"]):
        session = _wait_session(backend, session_id, status="ready")
    assert [prompt["text"] for prompt in session["prompts"]] == ["first", "text 0", "text 1", "text 2"]
    delivered = [effect["prompt_id"] for effect in backend.effects(effect="deliver_prompt")]
    assert delivered[1:] == ["p0", "p1", "p2"]
    assert len(delivered) == 4


def test_too_many_waiting_prompts_are_refused_with_a_reason(backend: BackendProcess) -> None:
    backend.set_script({"default": {"ensure_name": {"hang": "before"}}})
    session_id = backend.create()["sessions"][0]["session_id"]
    for number in itertools.count():
        answer = backend.http.post(
            f"/v1/sessions/{session_id}/prompts", json={"prompt_id": f"p{number}", "text": "more"}
        )
        if answer.status_code != 202:
            break
        assert number < 1_000, "without a limit"
    assert "wait" in refused(answer, answer.status_code)["detail"]
    assert answer.status_code in (409, 429)


def test_waiting_prompts_that_are_too_long_together_are_refused(backend: BackendProcess) -> None:
    backend.set_script({"default": {"ensure_name": {"hang": "before"}}})
    session_id = backend.create()["sessions"][0]["session_id"]
    for number in range(10):
        body = {"prompt_id": f"p{number}", "text": "x" * 1_000_000}
        answer = backend.http.post(f"/v1/sessions/{session_id}/prompts", json=body)
        if answer.status_code != 202:
            break
    assert "too long" in refused(answer, 409)["detail"]
    assert number == 4


def test_a_session_asked_for_early_and_one_asked_for_late(backend: BackendProcess) -> None:
    backend.set_script({"default": {"create_sandbox": {"ms": 300}, "create_session": {"ms": 100}}})
    task = backend.create()
    early_id, late_id = uuid7(), uuid7()
    early = backend.post(f"/v1/tasks/{task['task_id']}/sessions", {"session_id": early_id, "name": "Zweite 👩‍💻"})
    check_session(early)
    assert (early["status"], early["name"], early["revision"]) == ("pending_provision", "Zweite 👩‍💻", 1)
    backend.wait_task(task["task_id"], "idle")
    late = backend.post(f"/v1/tasks/{task['task_id']}/sessions", {"session_id": late_id, "agent": None})
    assert late["status"] == "pending_session_create"
    same = backend.post(f"/v1/tasks/{task['task_id']}/sessions", {"session_id": late_id})
    assert same["session_id"] == late_id
    for session_id in (early_id, late_id):
        _wait_session(backend, session_id, status="ready")
    kinds = backend.kinds(task["task_id"])
    assert kinds.count("session.requested") == kinds.count("session.ready") == 3
    assert len(backend.effects(effect="create_session")) == 3
    other = backend.create()
    refused(backend.http.post(f"/v1/tasks/{other['task_id']}/sessions", json={"session_id": late_id}), 409)
    refused(backend.http.post(f"/v1/tasks/{uuid7()}/sessions", json={}), 404)


def test_a_session_may_be_asked_for_without_a_body(shared: BackendProcess) -> None:
    task_id = shared.create()["task_id"]
    answer = shared.http.post(f"/v1/tasks/{task_id}/sessions")
    assert answer.status_code == 202
    check_session(json_of(answer))
    for body, field in (({"name": ""}, "name"), ({"agent": "a\nb"}, "agent"), ({"session_id": "?"}, "session_id")):
        refused(shared.http.post(f"/v1/tasks/{task_id}/sessions", json=body), 422, field)


def test_a_closed_session_stays_closed(shared: BackendProcess) -> None:
    task_id, session_id = _idle(shared)
    answer = shared.http.delete(f"/v1/sessions/{session_id}")
    assert answer.status_code == 202
    check_session(json_of(answer))
    assert json_of(answer)["status"] == "closed"
    revision = json_of(answer)["revision"]
    assert json_of(shared.http.delete(f"/v1/sessions/{session_id}"))["revision"] == revision
    refused(shared.http.post(f"/v1/sessions/{session_id}/prompts", json={"prompt_id": uuid7(), "text": "x"}), 409)
    assert shared.kinds(task_id).count("session.closed") == 1
    refused(shared.http.delete(f"/v1/sessions/{uuid7()}"), 404)


@pytest.mark.parametrize("when", ["before", "after"])
def test_stop_never_waits_behind_the_turn(backend: BackendProcess, when: str) -> None:
    backend.set_script({"default": {"turn": {"hang": when}}})
    task = backend.create()
    session_id = task["sessions"][0]["session_id"]
    backend.wait_task(task["task_id"], "running")
    stopped = backend.post(f"/v1/sessions/{session_id}/stop")
    check_session(stopped)
    assert stopped["status"] == "ready"
    assert backend.get(f"/v1/tasks/{task['task_id']}")["status"] == "idle"
    session = backend.get(f"/v1/sessions/{session_id}")
    assert session["prompts"][0]["state"] == "failed"
    assert session["prompts"][0]["error"]["kind"] == "cancelled"
    kinds = backend.kinds(task["task_id"])
    assert "session.stopped" in kinds
    assert backend.post(f"/v1/sessions/{session_id}/stop") == stopped
    assert backend.kinds(task["task_id"]) == kinds, "it is stopped already"
    refused(backend.http.post(f"/v1/sessions/{session_id}/stop", json={"now": True}), 422, "now")
    refused(backend.http.post(f"/v1/sessions/{uuid7()}/stop"), 404)


@pytest.mark.parametrize("option", ["allow", "deny"])
def test_a_permission_request_is_answered_once(backend: BackendProcess, option: str) -> None:
    backend.set_script({"default": {"turn": {"permission": "Run make?"}}})
    task_id = backend.create()["task_id"]
    asking = backend.wait_task(task_id, lambda task: bool(task["needs_input"]))
    (permission,) = asking["permissions"]
    only(permission, PERMISSION, always="permission_id task_id session_id title options state at")
    assert (permission["title"], permission["state"]) == ("Run make?", "open")
    assert [each["option_id"] for each in permission["options"]] == ["allow", "deny"]
    (ask,) = asking["asks"]
    assert ask == {name: permission.get(name) for name in ASK - {"whole"}} | {"whole": True}
    assert (asking["activity"]["kind"], asking["activity"]["text"]) == ("question", "Run make?")
    path = f"/v1/permissions/{permission['permission_id']}"
    refused(backend.http.post(path, json={"option_id": "maybe"}), 422, "option_id")
    refused(backend.http.post(path, json={}), 422, "option_id")
    answer = backend.http.post(path, json={"option_id": option})
    assert answer.status_code == 200
    assert (json_of(answer)["state"], json_of(answer)["answer"]) == ("answered", option)
    refused(backend.http.post(path, json={"option_id": option}), 409)
    done = backend.wait_task(task_id, "idle")
    assert (done["needs_input"], done["asks"], done["activity"]["kind"]) == (0, [], "message")
    kinds = backend.kinds(task_id)
    assert kinds.index("permission.opened") < kinds.index("permission.answered") < kinds.index("task.idle")
    refused(backend.http.post("/v1/permissions/none", json={"option_id": "allow"}), 404)


def test_an_open_permission_survives_a_restart_and_is_cancelled_by_a_stop(backend: BackendProcess) -> None:
    backend.set_script({"default": {"turn": {"permission": "Run make?"}}})
    task = backend.create()
    asking = backend.wait_task(task["task_id"], lambda each: bool(each["needs_input"]))
    backend.kill()
    backend.start()
    again = backend.wait_task(task["task_id"], lambda each: bool(each["needs_input"]))
    assert (again["permissions"], again["asks"], again["activity"]) == (
        asking["permissions"],
        asking["asks"],
        asking["activity"],
    )
    backend.post(f"/v1/sessions/{task['sessions'][0]['session_id']}/stop")
    done = backend.wait_task(task["task_id"], "idle")
    assert [each["state"] for each in done["permissions"]] == ["cancelled"]
    assert "permission.cancelled" in backend.kinds(task["task_id"])
    path = f"/v1/permissions/{asking['permissions'][0]['permission_id']}"
    refused(backend.http.post(path, json={"option_id": "allow"}), 409)


def test_a_failed_turn_is_an_error_of_the_agent_outside_any_stage(backend: BackendProcess) -> None:
    backend.set_script({"default": {"turn": {"fail": "model away", "times": 1}}})
    task = backend.create()
    failed = backend.wait_task(task["task_id"], "error")
    assert (failed["error"]["kind"], failed["error"].get("stage")) == ("agent", None)
    assert failed["error"]["message"] == "model away"
    assert failed["stages_done"] == 4
    assert "prompt.failed" in backend.kinds(task["task_id"])
    backend.post(f"/v1/tasks/{task['task_id']}/retry")
    backend.wait_task(task["task_id"], "idle")
    session_id = task["sessions"][0]["session_id"]
    backend.post(f"/v1/sessions/{session_id}/prompts", {"prompt_id": "next", "text": "again"})
    session = _wait_session(backend, session_id, status="ready")
    while session["prompts"][-1]["state"] != "answered":
        session = _wait_session(backend, session_id, status="ready")
