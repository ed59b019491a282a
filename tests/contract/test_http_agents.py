"""The agents that there are, what is to be done about each, and that a task never begins with one that is not there."""

import pytest

from foundry_tui.contract.ids import uuid7
from tests.backend.process import BackendProcess, json_of
from tests.contract.checks import creating, only, refused
from tests.world import Json

AGENT = frozenset({"name", "provider", "state", "how", "options"})


@pytest.fixture(scope="module")
def agents(shared: BackendProcess) -> list[Json]:
    found: list[Json] = shared.get("/v1/agents")["agents"]
    return found


def test_each_agent_of_each_provider_says_what_is_to_be_done(agents: list[Json]) -> None:
    for agent in agents:
        only(agent, AGENT, always="name provider state")
        assert agent["state"] in ("ready", "missing", "needs_login")
        assert bool(agent["how"]) is (agent["state"] != "ready")
        offered = {option["option_id"] for option in agent.get("options", ())}
        assert offered == ({"model", "mode"} if agent["provider"] == "demo" else set()), "others offered nothing yet"
    assert {agent["provider"] for agent in agents} == {"demo", "local"}
    local = {agent["name"]: agent for agent in agents if agent["provider"] == "local"}
    assert list(local)[:4] == ["claude", "codex", "opencode", "gemini"]


def test_the_agent_of_a_task_that_names_none_is_told(shared: BackendProcess) -> None:
    assert shared.get("/v1/agents")["defaults"]["demo"] == shared.create(provider="demo")["agent"]


def test_the_demo_has_models_and_modes_to_choose_from_without_a_script(shared: BackendProcess) -> None:
    task = shared.create(provider="demo", options={"model": "small", "mode": "Plan"})
    session = shared.wait_task(task["task_id"], "idle")["sessions"][0]
    assert (session["model"], session["mode"]) == ("Small", "Plan")


def test_an_agent_that_nobody_knows_is_refused_with_those_that_are(shared: BackendProcess) -> None:
    before = len(shared.get("/v1/tasks")["tasks"])
    for provider in ("demo", "local"):
        answer = shared.http.post("/v1/tasks", json=creating(shared, agent="nonsense", provider=provider))
        problem = refused(answer, 422, "agent")
        assert "'nonsense'" in problem["detail"]
        assert "claude, codex, opencode, gemini" in problem["detail"]
    assert len(shared.get("/v1/tasks")["tasks"]) == before


def test_one_that_is_missing_is_refused_where_it_would_run_with_what_installs_it(
    shared: BackendProcess, agents: list[Json]
) -> None:
    missing = next(agent for agent in agents if agent["provider"] == "local" and agent["state"] == "missing")
    answer = shared.http.post("/v1/tasks", json=creating(shared, agent=missing["name"], provider="local"))
    assert missing["how"] in refused(answer, 422, "agent")["detail"]
    assert (
        shared.http.post("/v1/tasks", json=creating(shared, agent=missing["name"], provider="demo")).status_code == 201
    )


def test_a_further_session_is_refused_for_the_same_reasons(shared: BackendProcess) -> None:
    task = shared.create("first")
    path = f"/v1/tasks/{task['task_id']}/sessions"
    refused(shared.http.post(path, json={"agent": "nonsense"}), 422, "agent")
    added = shared.http.post(path, json={"agent": "codex"})
    assert (added.status_code, json_of(added)["agent"]) == (202, "codex")


def test_an_agent_that_is_wrong_now_does_not_undo_what_was_created(shared: BackendProcess) -> None:
    """The id decides first: an unlike request under it is told so, whatever else is wrong with it."""
    body = creating(shared, task_id=uuid7(), agent="codex")
    assert shared.http.post("/v1/tasks", json=body).status_code == 201
    refused(shared.http.post("/v1/tasks", json={**body, "agent": "nonsense"}), 409)
    assert shared.http.post("/v1/tasks", json=body).status_code == 200
