"""What a record holds of very many, and what is answered again once a task has ended."""

from foundry_tui.contract.ids import uuid7
from tests.backend.process import BackendProcess, json_of
from tests.contract.checks import check_detail, refused


def test_a_task_tells_its_last_200_events_and_its_history_all(shared: BackendProcess) -> None:
    task_id = shared.create()["task_id"]
    shared.wait_task(task_id, "idle")
    for number in range(200):
        assert shared.http.patch(f"/v1/tasks/{task_id}", json={"title": f"title {number}"}).status_code == 200
    events = shared.get(f"/v1/tasks/{task_id}/history")["events"]
    assert len(events) > 200
    assert shared.get(f"/v1/tasks/{task_id}")["history"] == events[-200:]


def test_a_task_tells_its_last_20_operations_and_the_others_are_known_by_their_ids(shared: BackendProcess) -> None:
    task_id = shared.create()["task_id"]
    shared.wait_task(task_id, "idle")
    asked = [uuid7() for _ in range(21)]
    with shared.events(f"task:{task_id}") as events:
        for operation_id in asked:
            body = {"kind": "commit", "operation_id": operation_id}
            shared.post(f"/v1/tasks/{task_id}/operations", body)
            while (event := next(events)).event != "operation" or event.json()["state"] != "done":
                pass
    told = [operation["operation_id"] for operation in shared.get(f"/v1/tasks/{task_id}")["operations"]]
    assert told == asked[1:]
    first = shared.post(f"/v1/tasks/{task_id}/operations", {"kind": "push", "operation_id": asked[0]})
    assert (first["kind"], first["state"]) == ("commit", "done"), "the same operation_id again changes nothing"


def test_a_summary_asks_the_oldest_five_questions_and_counts_all(backend: BackendProcess) -> None:
    backend.set_script({"default": {"turn": {"permission": "Run make?"}}})
    task = backend.create()
    task_id = task["task_id"]
    backend.wait_task(task_id, lambda task: task["needs_input"] == 1)
    for number in range(6):
        session_id = f"more-{number}"
        backend.post(f"/v1/tasks/{task_id}/sessions", {"session_id": session_id})
        backend.post(f"/v1/sessions/{session_id}/prompts", {"prompt_id": f"p{number}", "text": "go on"})
    asking = backend.wait_task(task_id, lambda task: task["needs_input"] == 7)
    check_detail(asking)
    assert asking["asks"][0]["session_id"] == task["sessions"][0]["session_id"]
    assert [ask["permission_id"] for ask in asking["asks"]] == [
        question["permission_id"] for question in asking["permissions"][:5]
    ]
    assert [question["state"] for question in asking["permissions"]] == ["open"] * 7


def test_what_was_asked_for_before_the_end_is_answered_again_after_it(shared: BackendProcess) -> None:
    task_id = uuid7()
    creation = {"repo": str(shared.repository), "prompt": "add a page", "task_id": task_id}
    shared.http.post("/v1/tasks", json=creation)
    session_id = shared.wait_task(task_id, "idle")["sessions"][0]["session_id"]
    prompt = {"prompt_id": uuid7(), "text": "go on"}
    session, operation = {"session_id": uuid7()}, {"kind": "commit", "operation_id": uuid7(), "wait": True}
    again = (
        (f"/v1/sessions/{session_id}/prompts", prompt),
        (f"/v1/tasks/{task_id}/sessions", session),
        (f"/v1/tasks/{task_id}/operations", operation),
    )
    for path, body in again:
        shared.post(path, body)
    shared.post(f"/v1/tasks/{task_id}/kill")
    ended = shared.wait_task(task_id, "killed")
    for path, body in again:
        shared.post(path, body)
    answer = shared.http.post("/v1/tasks", json=creation)
    assert (answer.status_code, json_of(answer)["revision"]) == (200, ended["revision"])
    for path, body in again:
        refused(
            shared.http.post(path, json={**body, next(name for name in body if name.endswith("_id")): uuid7()}), 409
        )


def test_a_first_session_that_is_closed_before_it_was_opened_leaves_a_task_that_comes_to_rest(
    backend: BackendProcess,
) -> None:
    backend.set_script({"default": {"create_sandbox": {"fail": "no room", "retryable": False, "times": 1}}})
    task = backend.create()
    task_id, first = task["task_id"], task["sessions"][0]["session_id"]
    backend.wait_task(task_id, "error")
    assert json_of(backend.http.delete(f"/v1/sessions/{first}"))["status"] == "closed"
    backend.post(f"/v1/tasks/{task_id}/retry")
    idle = backend.wait_task(task_id, "idle")
    assert ([session["status"] for session in idle["sessions"]], idle["stages_done"]) == (["closed"], 4)
    assert backend.effects(effect="deliver_prompt") == []
    other = backend.post(f"/v1/tasks/{task_id}/sessions")["session_id"]
    backend.wait_session(other, lambda session: session["status"] == "ready")
