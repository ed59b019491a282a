"""An agent begun anew: at once, with its turn stopped, and what waits delivered after it."""

from tests.backend.process import BackendProcess, json_of
from tests.contract.checks import refused


def test_a_turn_is_stopped_and_what_waits_comes_after(backend: BackendProcess) -> None:
    backend.set_script({"default": {"turn": {"ms": 0, "hang": "after"}}})
    task = backend.create("work without end")
    session_id = task["sessions"][0]["session_id"]
    backend.wait_said(session_id)
    backend.post(f"/v1/sessions/{session_id}/prompts", {"prompt_id": "next", "text": "go on"})
    backend.set_script({})
    restarted = backend.http.post(f"/v1/tasks/{task['task_id']}/restart-agent")
    assert restarted.status_code == 202
    assert json_of(restarted)["task_id"] == task["task_id"]
    backend.wait_task(task["task_id"], lambda _: "prompt.answered" in backend.kinds(task["task_id"]))
    kinds = backend.kinds(task["task_id"])
    assert kinds.count("session.stopped") == 1
    assert kinds.count("agent.ready") == 2
    assert kinds.index("session.stopped") < len(kinds) - 1 - kinds[::-1].index("agent.ready")
    states = [prompt["state"] for prompt in backend.get(f"/v1/sessions/{session_id}")["prompts"]]
    assert states == ["failed", "answered"]


def test_only_an_agent_that_is_there_can_be_begun_anew(backend: BackendProcess) -> None:
    backend.set_script({"default": {"ensure_agent": {"hang": "before"}}})
    preparing = backend.create("too early")
    backend.wait_task(preparing["task_id"], lambda task: task["status"] == "init_ensure_agent")
    refused(backend.http.post(f"/v1/tasks/{preparing['task_id']}/restart-agent"), 409)
    backend.post(f"/v1/tasks/{preparing['task_id']}/kill", {"force": True})
    backend.wait_task(preparing["task_id"], "killed")
    refused(backend.http.post(f"/v1/tasks/{preparing['task_id']}/restart-agent"), 409)
    refused(backend.http.post("/v1/tasks/none/restart-agent"), 404)


def test_it_is_done_after_a_kill_too(backend: BackendProcess) -> None:
    task_id = backend.create("survive")["task_id"]
    backend.wait_task(task_id, "idle")
    backend.post(f"/v1/tasks/{task_id}/restart-agent")
    backend.kill()
    backend.start()
    with backend.events(f"task:{task_id}") as events:
        assert any(backend.kinds(task_id).count("agent.ready") == 2 for _ in events)
    assert backend.get(f"/v1/tasks/{task_id}")["status"] == "idle"
