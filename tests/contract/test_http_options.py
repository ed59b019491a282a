"""What an agent offers in a session, as the contract has it: told, kept, set before the first prompt and later."""

import json
from typing import Any

import pytest

from tests.backend.process import BackendProcess, json_of
from tests.contract.checks import OPTION, only, refused
from tests.world import Json

CHOICES = [{"value": "ask", "name": "Ask"}, {"value": "all", "name": "Allow all", "description": "Asks nothing"}]
MODE = {"option_id": "m", "name": "Mode", "category": "mode", "type": "select", "value": "ask", "choices": CHOICES}
FAST = {"option_id": "fast", "name": "Fast", "type": "boolean", "value": False}
COMMANDS = [{"name": "review", "description": "Reviews", "hint": "what"}, {"name": "init", "description": ""}]
AGENT = {"options": [MODE, FAST], "commands": COMMANDS, "accepts": {"image": True}}


def _begin(backend: BackendProcess, turn: Json | None = None, agent: Json = AGENT, **fields: Any) -> tuple[str, str]:
    """Ids of a new task and its session."""
    backend.set_script({"agent": agent, "default": {"turn": turn or {"ms": 1}}})
    task = backend.create(**fields)
    return task["task_id"], task["sessions"][0]["session_id"]


def _session(backend: BackendProcess, session_id: str, **values: object) -> Json:
    """The session once its options have these values; told by events."""
    with backend.events(f"session:{session_id}") as events:
        for event in events:
            if event.event in ("snapshot", "session"):
                session: Json = json.loads(event.data)
                if values.items() <= {each["option_id"]: each["value"] for each in session["options"]}.items():
                    return session
    raise AssertionError("the stream ended first")


def test_what_is_offered_is_told_and_kept_over_restarts(backend: BackendProcess) -> None:
    usage = {"used": 41_000, "size": 100_000, "cost": {"amount": 0.12, "currency": "USD"}}
    task_id, session_id = _begin(backend, {"ms": 1, "steps": [{"usage": usage}]})
    task = backend.wait_task(task_id, "idle")
    before = backend.get(f"/v1/sessions/{session_id}")
    for option in before["options"]:
        only(option, OPTION, always="option_id name type value choices")
    assert [option["option_id"] for option in before["options"]] == ["m", "fast"]
    assert [(each["name"], each["description"], each.get("hint")) for each in before["commands"]] == [
        ("review", "Reviews", "what"),
        ("init", "", None),
    ]
    assert before["accepts"] == {"image": True, "audio": False, "embedded": False, "steering": False}
    assert (before["mode"], before["model"], before["usage"]) == ("Ask", None, usage)
    assert task["sessions"][0]["mode"] == "Ask"
    assert "options" not in task["sessions"][0], "lists of sessions go without what is long"
    backend.kill()
    backend.start()
    assert backend.get(f"/v1/sessions/{session_id}") == before


def test_an_option_is_set_while_the_agent_thinks(backend: BackendProcess) -> None:
    task_id, session_id = _begin(backend, {"hang": "before"})
    backend.wait_task(task_id, "running")
    told = backend.post(f"/v1/sessions/{session_id}/options/m", {"value": "all"})
    assert (told["session_id"], told["mode"], told["status"]) == (session_id, "Allow all", "running")
    assert backend.post(f"/v1/sessions/{session_id}/options/fast", {"value": True})["mode"] == "Allow all"
    assert _session(backend, session_id, m="all", fast=True)["mode"] == "Allow all"
    backend.kill()
    backend.start()
    assert _session(backend, session_id, m="all", fast=True)["mode"] == "Allow all"
    kinds = backend.kinds(task_id)
    backend.post(f"/v1/sessions/{session_id}/options/m", {"value": "all"})
    assert backend.kinds(task_id).count("session.option_set") == kinds.count("session.option_set") == 2


def test_a_value_that_is_no_choice_is_refused_and_names_the_choices(backend: BackendProcess) -> None:
    task_id, session_id = _begin(backend)
    backend.wait_task(task_id, "idle")
    path = f"/v1/sessions/{session_id}/options"
    problem = refused(backend.http.post(f"{path}/m", json={"value": "yolo"}), 422, "value")
    assert "ask, all" in problem["detail"]
    refused(backend.http.post(f"{path}/m", json={"value": True}), 422, "value")
    refused(backend.http.post(f"{path}/fast", json={"value": "yes"}), 422, "value")
    refused(backend.http.post(f"{path}/m", json={"value": 5}), 422)
    refused(backend.http.post(f"{path}/m", json={}), 422)
    refused(backend.http.post(f"{path}/model", json={"value": "x"}), 404)
    refused(backend.http.post("/v1/sessions/none/options/m", json={"value": "ask"}), 404)
    backend.post(f"/v1/tasks/{task_id}/kill", {"force": True})
    refused(backend.http.post(f"{path}/m", json={"value": "all"}), 409)


def test_what_the_agent_refuses_keeps_its_value_and_says_why(backend: BackendProcess) -> None:
    task_id, session_id = _begin(backend, agent={**AGENT, "refuses": {"m": "not on this account"}})
    backend.wait_task(task_id, "idle")
    backend.post(f"/v1/sessions/{session_id}/options/m", {"value": "all"})
    with backend.events(f"session:{session_id}") as events:
        for event in events:
            session = json.loads(event.data) if event.event in ("snapshot", "session") else {}
            if session and session["options"][0].get("error"):
                break
    session = backend.get(f"/v1/sessions/{session_id}")
    assert (session["options"][0]["value"], session["options"][0]["error"]) == ("ask", "not on this account")
    assert session["mode"] == "Ask"
    assert session["transcript"][-1]["kind"] == "notice"
    assert "not on this account" in session["transcript"][-1]["body"]


@pytest.mark.parametrize("options", [{"m": "all", "fast": True}, {"mode": "all"}], ids=["by id", "by category"])
def test_options_are_set_before_the_first_prompt(backend: BackendProcess, options: Json) -> None:
    task_id, session_id = _begin(backend, options=options)
    task = backend.wait_task(task_id, "idle")
    assert (task["sessions"][0]["mode"], task["asked_options"]) == ("Allow all", options)
    values = {option["option_id"]: option["value"] for option in backend.get(f"/v1/sessions/{session_id}")["options"]}
    assert values == {"m": "all", "fast": "fast" in options}


@pytest.mark.parametrize("options", [{"effort": "high"}, {"mode": "yolo"}], ids=["no such option", "no such value"])
def test_nothing_runs_in_a_mode_that_was_not_asked_for(backend: BackendProcess, options: Json) -> None:
    task_id, session_id = _begin(backend, options=options)
    task = backend.wait_task(task_id, "error")
    error = task["error"]
    assert (error["kind"], error["stage"], error["retryable"]) == ("agent", "create_session", False)
    assert "m: ask, all; fast: true, false" in error["message"]
    assert backend.kinds(task_id).count("stage.retrying") == 0
    assert [prompt["state"] for prompt in backend.get(f"/v1/sessions/{session_id}")["prompts"]] == ["queued"]
    assert backend.effects(effect="deliver_prompt") == []


def test_a_further_session_has_its_own_options(backend: BackendProcess) -> None:
    task_id, first = _begin(backend)
    backend.wait_task(task_id, "idle")
    answer = backend.http.post(f"/v1/tasks/{task_id}/sessions", json={"options": {"mode": "all"}})
    assert answer.status_code == 202
    second = json_of(answer)["session_id"]
    assert _session(backend, second, m="all")["mode"] == "Allow all"
    assert _session(backend, first, m="ask")["mode"] == "Ask"


def test_what_an_agent_offered_last_is_told_to_those_who_choose(backend: BackendProcess) -> None:
    task_id, session_id = _begin(backend, agent=AGENT)
    backend.wait_task(task_id, "idle")
    backend.post(f"/v1/sessions/{session_id}/options/m", {"value": "all"})
    _session(backend, session_id, m="all")
    agent = backend.get(f"/v1/tasks/{task_id}")["agent"]
    for _ in range(2):
        agents = {(each["provider"], each["name"]): each for each in backend.get("/v1/agents")["agents"]}
        offered = agents["demo", agent]["options"]
        assert [(each["option_id"], [choice["value"] for choice in each["choices"]]) for each in offered] == [
            ("m", ["ask", "all"]),
            ("fast", []),
        ]
        assert "options" not in agents["local", "codex"]
        backend.kill()
        backend.start()
