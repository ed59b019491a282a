"""Prompts that wait: edited and withdrawn as the contract's table has it, also over kills; and one that steers."""

from collections.abc import Callable

import pytest

from foundry_tui.contract.ids import uuid7
from tests.backend.invariants import Effects
from tests.backend.process import BackendProcess, json_of
from tests.contract.checks import PROMPT, only, refused
from tests.world import Json

HELD_UP = {"default": {"create_sandbox": {"hang": "before"}}}
HANGING = {"tasks": [{"match": "hang", "turn": {"ms": 0, "reply": "I am on it.", "hang": "after"}}]}


def path(session_id: str, prompt_id: str = "p") -> str:
    return f"/v1/sessions/{session_id}/prompts/{prompt_id}"


def say(backend: BackendProcess, session_id: str, prompt_id: str = "p", **body: object) -> Json:
    body = {"prompt_id": prompt_id, "text": f"the text of {prompt_id}", **body}
    return backend.post(f"/v1/sessions/{session_id}/prompts", body)


def edit(backend: BackendProcess, session_id: str, prompt_id: str, text: str) -> Json:
    answer = backend.http.patch(path(session_id, prompt_id), json={"text": text})
    assert answer.status_code == 200, answer.text
    return only(json_of(answer), PROMPT, always="prompt_id session_id text state at")


def withdraw(backend: BackendProcess, session_id: str, prompt_id: str) -> Json:
    answer = backend.http.delete(path(session_id, prompt_id))
    assert answer.status_code == 200, answer.text
    return only(json_of(answer), PROMPT, always="prompt_id session_id text state at")


def wait_prompts(backend: BackendProcess, session_id: str, wanted: Callable[[list[Json]], bool]) -> list[Json]:
    """The session's prompts once they are as wanted; told by events."""
    prompts: list[Json] = backend.wait_session(session_id, lambda session: wanted(session["prompts"]))["prompts"]
    return prompts


def states(*wanted: str) -> Callable[[list[Json]], bool]:
    return lambda prompts: [prompt["state"] for prompt in prompts] == list(wanted)


def said(backend: BackendProcess, session_id: str) -> list[str]:
    """What the transcript has of what was asked."""
    items = backend.get(f"/v1/sessions/{session_id}")["transcript"]
    return [item["body"] for item in items if item["kind"] == "prompt"]


def test_what_waits_is_edited_and_withdrawn_and_the_agent_gets_what_is_left(backend: BackendProcess) -> None:
    backend.set_script(HANGING)
    task = backend.create("hang on")
    task_id, session_id = task["task_id"], task["sessions"][0]["session_id"]
    backend.wait_task(task_id, "running")
    for prompt_id in ("one", "two", "three"):
        say(backend, session_id, prompt_id)
    text = "another: \u2028 \0 🚀"
    edited = edit(backend, session_id, "one", text)
    assert (edited["state"], edited["text"]) == ("queued", text)
    kinds = backend.kinds(task_id)
    assert edit(backend, session_id, "one", text) == edited
    assert backend.kinds(task_id) == kinds, "the same text again changes nothing"
    withdrawn = withdraw(backend, session_id, "two")
    assert (withdrawn["state"], withdrawn["text"]) == ("withdrawn", "the text of two")
    backend.kill()
    backend.start()
    assert backend.get(f"/v1/tasks/{task_id}")["prompt"] == "hang on", "only the first prompt is what a task is about"
    backend.post(f"/v1/sessions/{session_id}/stop")
    backend.set_script({})
    wait_prompts(backend, session_id, states("failed", "answered", "withdrawn", "answered"))
    assert said(backend, session_id) == ["hang on", text, "the text of three"]
    assert Effects(backend).delivered(task_id)[1:] == ["one", "three"]
    kinds = backend.kinds(task_id)
    assert (kinds.count("prompt.edited"), kinds.count("prompt.withdrawn")) == (1, 1)
    for answer in (
        backend.http.patch(path(session_id, "one"), json={"text": "too late"}),
        backend.http.delete(path(session_id, "one")),
        backend.http.patch(path(session_id, "two"), json={"text": "too late"}),
        backend.http.delete(path(session_id, "two")),
    ):
        assert "waits" in refused(answer, 409)["detail"]


@pytest.mark.parametrize(
    ("body", "field"), [({}, "text"), ({"text": " \n"}, "text"), ({"text": 1}, "text"), ({"text": "x", "to": 1}, "to")]
)
def test_a_wrong_edit_is_refused(shared: BackendProcess, body: Json, field: str) -> None:
    session = shared.get(f"/v1/sessions/{shared.create()['sessions'][0]['session_id']}")
    session_id, prompt_id = session["session_id"], session["prompts"][0]["prompt_id"]
    refused(shared.http.patch(path(session_id, prompt_id), json=body), 422, field)


def test_a_prompt_that_is_not_there_is_not_found(shared: BackendProcess) -> None:
    session_id, other = (shared.create()["sessions"][0]["session_id"] for _ in range(2))
    elsewhere = shared.get(f"/v1/sessions/{other}")["prompts"][0]["prompt_id"]
    for where in (path(session_id), path(session_id, elsewhere), path(uuid7(), elsewhere)):
        refused(shared.http.patch(where, json={"text": "x"}), 404)
        refused(shared.http.delete(where), 404)


def test_the_first_prompt_is_edited_while_its_task_is_prepared(backend: BackendProcess) -> None:
    backend.set_script(HELD_UP)
    task = backend.create("fix the login", title="Mine")
    task_id, session_id = task["task_id"], task["sessions"][0]["session_id"]
    prompt_id = backend.get(f"/v1/sessions/{session_id}")["prompts"][0]["prompt_id"]
    edit(backend, session_id, prompt_id, "fix the logout")
    assert backend.get(f"/v1/tasks/{task_id}")["prompt"] == "fix the logout", "the task says what it is about"
    listed = backend.get("/v1/tasks")["tasks"]
    assert [each["prompt"] for each in listed] == ["fix the logout"]
    backend.kill()
    backend.set_script({})
    backend.start()
    done = backend.wait_task(task_id, "idle")
    assert (done["prompt"], done["title"]) == ("fix the logout", "Mine")
    assert said(backend, session_id) == ["fix the logout"]
    assert Effects(backend).delivered(task_id) == [prompt_id]
    body = {"repo": str(backend.repository), "prompt": "fix the login", "title": "Mine", "task_id": task_id}
    again = backend.http.post("/v1/tasks", json=body)
    assert (again.status_code, json_of(again)["prompt"]) == (200, "fix the logout"), "it is the same request still"


@pytest.mark.slow
@pytest.mark.parametrize("others", [(), ("next",)], ids=["alone", "others wait"])
def test_the_first_prompt_is_withdrawn_while_its_task_is_prepared(
    backend: BackendProcess, others: tuple[str, ...]
) -> None:
    backend.set_script(HELD_UP)
    task = backend.create("fix the login")
    task_id, session_id = task["task_id"], task["sessions"][0]["session_id"]
    prompt_id = backend.get(f"/v1/sessions/{session_id}")["prompts"][0]["prompt_id"]
    withdraw(backend, session_id, prompt_id)
    for other in others:
        say(backend, session_id, other)
    backend.kill()
    backend.set_script({})
    backend.start()
    done = backend.wait_task(task_id, "idle")
    assert done["prompt"] == "fix the login", "what was asked for is not thrown away"
    assert Effects(backend).delivered(task_id) == list(others)
    assert said(backend, session_id) == [f"the text of {other}" for other in others]
    assert backend.kinds(task_id).count("task.idle") == 1, "it is not idle before the prompt that waits was answered"
    # The conversation begins whenever somebody has something to say.
    say(backend, session_id, "later")
    wait_prompts(backend, session_id, states("withdrawn", *["answered"] * (len(others) + 1)))


def test_what_was_withdrawn_makes_room_and_what_is_edited_is_bounded(backend: BackendProcess) -> None:
    backend.set_script({"default": {"ensure_name": {"hang": "before"}}})
    session_id = backend.create()["sessions"][0]["session_id"]
    long = "x" * 1_000_000
    for prompt_id in ("a", "b", "c", "d"):
        say(backend, session_id, prompt_id, text=long)
    say(backend, session_id, "e")
    problem = refused(backend.http.patch(path(session_id, "e"), json={"text": long}), 409)
    assert "too long" in problem["detail"]
    withdraw(backend, session_id, "a")
    edit(backend, session_id, "e", long)


def test_a_prompt_that_steers_stops_the_turn_and_goes_before_those_that_wait(backend: BackendProcess) -> None:
    backend.set_script(HANGING)
    task = backend.create("hang on")
    task_id, session_id = task["task_id"], task["sessions"][0]["session_id"]
    backend.wait_said(session_id)
    say(backend, session_id, "waits")
    backend.set_script({})
    steered = say(backend, session_id, "steers", steer=True)
    assert (steered["state"], steered["steer"]) == ("queued", True)
    prompts = wait_prompts(backend, session_id, states("failed", "answered", "answered"))
    assert prompts[0]["error"]["kind"] == "cancelled"
    backend.wait_task(task_id, "idle")
    assert said(backend, session_id) == ["hang on", "the text of steers", "the text of waits"]
    kinds = backend.kinds(task_id)
    assert kinds.count("session.stopped") == 1
    assert say(backend, session_id, "steers", steer=True)["state"] == "answered"
    assert backend.kinds(task_id) == kinds, "the same prompt_id again changes nothing"


@pytest.mark.slow
def test_a_prompt_that_steers_before_the_task_is_ready_leaves_the_first_one_first(backend: BackendProcess) -> None:
    backend.set_script(HELD_UP)
    task = backend.create("first")
    session_id = task["sessions"][0]["session_id"]
    say(backend, session_id, "waits")
    say(backend, session_id, "steers", steer=True)
    backend.kill()
    backend.set_script({})
    backend.start()
    wait_prompts(backend, session_id, states(*["answered"] * 3))
    assert said(backend, session_id) == ["first", "the text of steers", "the text of waits"]
    assert "session.stopped" not in backend.kinds(task["task_id"])


def test_a_stop_holds_back_what_waits_until_somebody_says_more(backend: BackendProcess) -> None:
    backend.set_script(HANGING)
    task = backend.create("hang one")
    session_id = task["sessions"][0]["session_id"]
    backend.wait_task(task["task_id"], "running")
    say(backend, session_id, "second")
    stopped = backend.post(f"/v1/sessions/{session_id}/stop", {"hold": True})
    assert (stopped["status"], stopped["held"]) == ("ready", True)
    backend.set_script({})
    # It is held over a kill too.
    backend.kill()
    backend.start()
    backend.wait_task(task["task_id"], "idle")
    assert states("failed", "queued")(backend.get(f"/v1/sessions/{session_id}")["prompts"])
    say(backend, session_id, "urgent")
    wait_prompts(backend, session_id, states("failed", "answered", "answered"))
    assert Effects(backend).delivered(task["task_id"])[1:] == ["urgent", "second"]


def test_what_is_held_goes_on_when_told_to_and_nothing_is_held_once_all_is_withdrawn(backend: BackendProcess) -> None:
    backend.set_script(HANGING)
    task = backend.create("hang one")
    session_id = task["sessions"][0]["session_id"]
    backend.wait_task(task["task_id"], "running")
    stop = f"/v1/sessions/{session_id}/stop"
    say(backend, session_id, "second")
    assert backend.post(stop, {"hold": True})["held"]
    withdraw(backend, session_id, "second")
    assert not backend.get(f"/v1/sessions/{session_id}")["held"]
    say(backend, session_id, "third")
    wait_prompts(backend, session_id, states("failed", "withdrawn", "delivered"))
    say(backend, session_id, "fourth")
    assert backend.post(stop, {"hold": True})["held"]
    backend.set_script({})
    assert not backend.post(f"/v1/sessions/{session_id}/go-on")["held"]
    wait_prompts(backend, session_id, states("failed", "withdrawn", "failed", "answered"))
    assert not backend.post(stop, {"hold": True})["held"], "nothing runs, and nothing waits"
