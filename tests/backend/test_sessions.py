"""Conversations: asked for early, kept over restarts, delivered once and in order, stopped at once, answered late."""

import json
import time
from collections import Counter
from collections.abc import Callable

import pytest

from backend_stub.task.rows import KEPT_PERMISSIONS
from foundry_tui.contract.ids import uuid7
from tests.backend.invariants import Effects
from tests.backend.process import BackendProcess
from tests.world import Json


def wait_session(backend: BackendProcess, session_id: str, status: str) -> Json:
    """The session once it has a status; told by events."""
    with backend.events(f"session:{session_id}") as events:
        for event in events:
            if event.event in ("snapshot", "session") and json.loads(event.data)["status"] == status:
                return backend.get(f"/v1/sessions/{session_id}")
    raise AssertionError("the stream ended first")


def wait_prompts(backend: BackendProcess, session_id: str, *states: str) -> Json:
    """The session once its prompts have these states; told by events."""
    with backend.events(f"session:{session_id}") as events:
        for event in events:
            if event.event in ("snapshot", "session"):
                prompts = json.loads(event.data)["prompts"]
                if tuple(prompt["state"] for prompt in prompts) == states:
                    return backend.get(f"/v1/sessions/{session_id}")
    raise AssertionError("the stream ended first")


def wait_delivered(backend: BackendProcess, session_id: str, count: int) -> None:
    """Wait until so many prompts of the session were handed over; told by events."""
    with backend.events(f"session:{session_id}") as events:
        for event in events:
            if event.event in ("snapshot", "session"):
                states = [prompt["state"] for prompt in json.loads(event.data)["prompts"]]
                if len(states) - states.count("queued") >= count:
                    return
    raise AssertionError("the stream ended first")


def prompt(backend: BackendProcess, session_id: str, text: str = "And then?") -> str:
    prompt_id = uuid7()
    answer = backend.post(f"/v1/sessions/{session_id}/prompts", {"prompt_id": prompt_id, "text": text})
    assert answer["state"] == "queued"
    return prompt_id


def first_session(task: Json) -> str:
    session_id: str = task["sessions"][0]["session_id"]
    return session_id


def test_a_session_asked_for_early_becomes_ready_by_itself(backend: BackendProcess) -> None:
    backend.set_script({"default": {"create_sandbox": {"hang": "before"}}})
    task = backend.create()
    early = uuid7()
    session = backend.post(f"/v1/tasks/{task['task_id']}/sessions", {"session_id": early, "name": "beside"})
    assert (session["status"], session["name"]) == ("pending_provision", "beside")
    again = backend.post(f"/v1/tasks/{task['task_id']}/sessions", {"session_id": early})
    assert again["revision"] == session["revision"]
    texts = ["one", "two", "three"]
    ids = [prompt(backend, early, text) for text in texts]
    backend.kill()
    backend.set_script({"default": {"create_session": {"ms": 100}}})
    backend.start()
    statuses: list[str] = []
    with backend.events(f"session:{early}") as events:
        for event in events:
            if event.event in ("snapshot", "session"):
                record = json.loads(event.data)
                if record["status"] not in statuses:
                    statuses.append(record["status"])
                if [each["state"] for each in record["prompts"]] == ["answered"] * 3:
                    break
    assert statuses[:2] == ["pending_provision", "pending_session_create"]
    assert "ready" in statuses
    wait_session(backend, early, "ready")
    backend.wait_task(task["task_id"], "idle")
    detail = backend.get(f"/v1/sessions/{early}")
    assert [item["body"] for item in detail["transcript"] if item["kind"] == "prompt"] == texts
    delivered = [each for each in Effects(backend).delivered(task["task_id"]) if each in ids]
    assert delivered == ids
    kinds = Counter(backend.kinds(task["task_id"]))
    assert kinds["session.requested"] == kinds["session.ready"] == 2


def test_prompts_sent_before_the_task_is_ready_keep_their_order_over_kills(backend: BackendProcess) -> None:
    backend.set_script({"default": {"ensure_agent": {"hang": "before"}, "turn": {"ms": 150}}})
    task = backend.create("zero")
    session_id = first_session(task)
    ids = [backend.get(f"/v1/sessions/{session_id}")["prompts"][0]["prompt_id"]]
    for number in range(4):
        ids.append(prompt(backend, session_id, f"number {number}"))
        backend.kill()
        backend.start()
    backend.set_script({"default": {"turn": {"ms": 150}}})
    backend.kill()
    backend.start()
    for answered in range(1, 5):
        # The kill falls into a turn, which goes on after it; on a machine that is slow, into a later one.
        wait_delivered(backend, session_id, answered)
        backend.kill()
        backend.start()
    wait_prompts(backend, session_id, *["answered"] * 5)
    assert Effects(backend).delivered(task["task_id"]) == ids
    told = backend.get(f"/v1/sessions/{session_id}")["transcript"]
    assert [item["kind"] for item in told] == ["prompt", "message"] * 5
    assert [item["body"] for item in told[::2]] == ["zero", *(f"number {number}" for number in range(4))]


def test_the_same_prompt_again_changes_nothing(backend: BackendProcess) -> None:
    task = backend.wait_task(backend.create()["task_id"], "idle")
    session_id = first_session(task)
    body = {"prompt_id": uuid7(), "text": "again?"}
    backend.post(f"/v1/sessions/{session_id}/prompts", body)
    wait_prompts(backend, session_id, "answered", "answered")
    assert backend.post(f"/v1/sessions/{session_id}/prompts", body)["state"] == "answered"
    assert len(Effects(backend).delivered(task["task_id"])) == 2


def test_what_was_told_before_a_kill_is_never_taken_back(backend: BackendProcess) -> None:
    reply = " ".join(f"word{number}" for number in range(200))
    steps = [{"plan": ["look", "mend"]}, {"tool": "Read app.py"}]
    backend.set_script({"default": {"turn": {"ms": 1_500, "reply": reply, "steps": steps}}})
    task_id = backend.create()["task_id"]
    session_id = first_session(backend.wait_task(task_id, "running"))

    def transcript() -> Json:
        return {item["item_id"]: item for item in backend.get(f"/v1/sessions/{session_id}")["transcript"]}

    with backend.events(f"session:{session_id}") as events:
        for event in events:
            if event.event == "transcript" and str(json.loads(event.data)["body"]).startswith("word0 word1 "):
                break
    backend.kill()
    backend.start()
    before = transcript()
    with backend.events(f"session:{session_id}") as events:
        for event in events:
            document = json.loads(event.data)
            if event.event == "transcript":
                held = before.get(document["item_id"])
                if document["kind"] == "message" and held is not None:
                    assert document["body"].startswith(held["body"])
                elif document["kind"] == "tool_call":
                    assert document["body"]["status"] == "completed"
                before[document["item_id"]] = document
            if event.event in ("session", "snapshot") and document["prompts"][0]["state"] == "answered":
                break
    assert [item["body"] for item in transcript().values() if item["kind"] == "message"] == [reply]


def test_stop_acts_at_once_and_what_is_queued_goes_on(backend: BackendProcess) -> None:
    backend.set_script({"default": {"turn": {"hang": "after", "times": 2}}})
    task = backend.create()
    session_id = first_session(task)
    backend.wait_task(task["task_id"], "running")
    prompt(backend, session_id, "second, hangs too")
    prompt(backend, session_id, "third")
    for states in (("failed", "delivered", "queued"), ("failed", "failed", "answered")):
        before = time.monotonic()
        stopped = backend.post(f"/v1/sessions/{session_id}/stop")
        assert time.monotonic() - before < 1
        assert stopped["status"] == "ready"
        detail = wait_prompts(backend, session_id, *states)
    assert [each["error"]["kind"] for each in detail["prompts"][:2]] == ["cancelled"] * 2
    done = backend.wait_task(task["task_id"], "idle")
    assert done["error"] is None
    kinds = backend.kinds(task["task_id"])
    assert kinds.count("session.stopped") == 2
    backend.post(f"/v1/sessions/{session_id}/stop")
    assert backend.kinds(task["task_id"]).count("session.stopped") == 2


def test_a_turn_that_fails_is_retried_to_idle_and_further_prompts_work(backend: BackendProcess) -> None:
    backend.set_script({"default": {"turn": {"fail": "out of tokens", "times": 1}}})
    task = backend.create()
    session_id = first_session(task)
    failed = backend.wait_task(task["task_id"], "error")
    assert (failed["error"]["kind"], failed["error"]["stage"]) == ("agent", None)
    assert failed["error"]["message"] == "out of tokens"
    assert failed["sessions"][0]["status"] == "error"
    waiting = prompt(backend, session_id, "kept while it failed")
    backend.kill()
    backend.start()
    backend.post(f"/v1/tasks/{task['task_id']}/retry")
    done = backend.wait_task(task["task_id"], "idle")
    wait_prompts(backend, session_id, "failed", "answered")
    assert done["error"] is None
    assert Effects(backend).delivered(task["task_id"])[1:] == [waiting]
    stages = [line for line in backend.effects(task_id=task["task_id"]) if line.get("call") in ("create_sandbox",)]
    assert len(stages) == 1


def test_a_permission_survives_a_restart_and_is_answered_after_it(backend: BackendProcess) -> None:
    backend.set_script({"default": {"turn": {"permission": "Run make?", "reply": "Made."}}})
    for option, reply in (("allow", "Made."), ("deny", "Made.")):
        task_id = backend.create(f"make it, {option}")["task_id"]
        task = backend.wait_task(task_id, lambda task: task["needs_input"] == 1)
        (permission,) = task["permissions"]
        assert (permission["state"], permission["title"]) == ("open", "Run make?")
        assert [each["option_id"] for each in permission["options"]] == ["allow", "deny"]
        backend.kill()
        backend.start()
        path = f"/v1/permissions/{permission['permission_id']}"
        assert backend.get(f"/v1/tasks/{task_id}")["permissions"] == [permission]
        backend.post(path, {"option_id": "perhaps"}, status=422)
        answered = backend.post(path, {"option_id": option}, status=200)
        assert (answered["state"], answered["answer"]) == ("answered", option)
        backend.post(path, {"option_id": option}, status=409)
        done = backend.wait_task(task_id, "idle")
        assert done["needs_input"] == 0
        told = backend.get(f"/v1/sessions/{first_session(task)}")["transcript"]
        assert [item["kind"] for item in told] == ["prompt", "permission", "message"]
        assert reply in told[2]["body"]
        assert (told[2]["body"] == reply) is (option == "allow")
        kinds = backend.kinds(task_id)
        assert kinds.count("permission.opened") == kinds.count("permission.answered") == 1
        assert len(Effects(backend).delivered(task_id)) == 1


def test_a_permission_answered_at_the_moment_of_a_kill_counts(backend: BackendProcess) -> None:
    backend.set_script({"default": {"turn": {"permission": "Run make?"}}})
    task_id = backend.create()["task_id"]
    task = backend.wait_task(task_id, lambda task: task["needs_input"] == 1)
    backend.post(f"/v1/permissions/{task['permissions'][0]['permission_id']}", {"option_id": "allow"}, status=200)
    backend.kill()
    backend.start()
    backend.wait_task(task_id, "idle")
    assert backend.kinds(task_id).count("permission.opened") == 1


def test_closing_a_session_cuts_its_turn_and_cancels_what_it_asked(backend: BackendProcess) -> None:
    backend.set_script({"default": {"turn": {"permission": "Run make?"}}})
    task = backend.create()
    session_id = first_session(task)
    asked = backend.wait_task(task["task_id"], lambda task: task["needs_input"] == 1)
    prompt(backend, session_id)
    closed = backend.http.delete(f"/v1/sessions/{session_id}")
    assert (closed.status_code, closed.json()["status"]) == (202, "closed")
    done = backend.wait_task(task["task_id"], "idle")
    assert (done["needs_input"], done["permissions"][0]["state"]) == (0, "cancelled")
    detail = backend.get(f"/v1/sessions/{session_id}")
    assert [each["state"] for each in detail["prompts"]] == ["failed", "failed"]
    backend.post(f"/v1/sessions/{session_id}/prompts", {"prompt_id": uuid7(), "text": "hello?"}, status=409)
    permission = f"/v1/permissions/{asked['permissions'][0]['permission_id']}"
    backend.post(permission, {"option_id": "allow"}, status=409)
    assert backend.http.delete(f"/v1/sessions/{session_id}").status_code == 202
    assert backend.kinds(task["task_id"]).count("session.closed") == 1
    backend.set_script({})
    other = backend.post(f"/v1/tasks/{task['task_id']}/sessions")["session_id"]
    prompt(backend, other)
    wait_prompts(backend, other, "answered")


STATES: dict[str, Json] = {
    "init_create_sandbox": {"create_sandbox": {"hang": "before"}},
    "init_create_session": {"create_session": {"hang": "after"}},
    "running": {"turn": {"hang": "after"}},
    "idle": {},
    "error": {"ensure_agent": {"fail": "no agent", "retryable": False}},
}


@pytest.mark.parametrize("status", STATES)
def test_renaming_marking_and_closing_work_in_every_state(backend: BackendProcess, status: str) -> None:
    backend.set_script({"default": STATES[status]})
    task = backend.create()
    task_id, session_id = task["task_id"], first_session(task)
    backend.wait_task(task_id, status)
    for unread in (True, False):
        marked = backend.http.patch(f"/v1/tasks/{task_id}", json={"unread": unread})
        assert (marked.status_code, marked.json()["unread"]) == (200, unread)
    marks = backend.kinds(task_id)
    renamed = backend.http.patch(f"/v1/tasks/{task_id}", json={"title": "The login"})
    assert renamed.json()["title"] == "The login"
    assert backend.kinds(task_id) == [*marks, "task.renamed"]
    closed = backend.http.delete(f"/v1/sessions/{session_id}")
    assert closed.json()["status"] == "closed"
    backend.kill()
    backend.set_script({})
    backend.start()
    if status == "error":
        backend.post(f"/v1/tasks/{task_id}/retry")
    done = backend.wait_task(task_id, "idle")
    assert (done["title"], done["unread"] or status) == ("The login", status)
    detail = backend.get(f"/v1/sessions/{session_id}")
    assert detail["status"] == "closed"
    assert [each["state"] for each in detail["prompts"]] == ["answered" if status == "idle" else "failed"]


def test_a_session_beside_the_first_fails_alone(backend: BackendProcess) -> None:
    task = backend.wait_task(backend.create()["task_id"], "idle")
    backend.set_script({"default": {"create_session": {"fail": "no line", "retryable": False}}})
    other = backend.post(f"/v1/tasks/{task['task_id']}/sessions")
    assert other["status"] == "pending_session_create"
    failed = wait_session(backend, other["session_id"], "error")
    assert (failed["error"]["stage"], failed["error"]["message"]) == ("create_session", "no line")
    assert backend.get(f"/v1/tasks/{task['task_id']}")["status"] == "idle"
    prompt(backend, first_session(task))
    wait_prompts(backend, first_session(task), "answered", "answered")


def asking(number: int) -> Callable[[Json], bool]:
    """Whether a task has so many open requests."""
    return lambda task: bool(task["needs_input"] == number)


def two_turns(backend: BackendProcess, first: Json, second: Json) -> tuple[str, str, str]:
    """A task, and its two sessions with a turn in progress each, as these say."""
    backend.set_script({})
    task = backend.create()
    task_id, one = task["task_id"], first_session(task)
    backend.wait_task(task_id, "idle")
    two = backend.post(f"/v1/tasks/{task_id}/sessions", {})["session_id"]
    wait_session(backend, two, "ready")
    for session_id, turn in ((one, first), (two, second)):
        backend.set_script({"default": {"turn": {**turn, "log": [f"at work in {session_id}"]}}})
        prompt(backend, session_id)
        # Only then has the turn read how it is to go.
        backend.wait_line(task_id, f"at work in {session_id}")
    return task_id, one, two


def test_the_failure_of_a_turn_is_told_also_when_another_one_failed_the_task(backend: BackendProcess) -> None:
    soon, late = {"ms": 300, "fail": "lost my way"}, {"ms": 900, "fail": "no more tokens"}
    task_id, one, two = two_turns(backend, soon, late)
    backend.wait_task(task_id, "error")
    assert wait_session(backend, one, "error")["error"]["message"] == "lost my way"
    failed = wait_session(backend, two, "error")
    assert failed["error"]["message"] == failed["prompts"][-1]["error"]["message"] == "no more tokens"
    assert failed["prompts"][-1]["state"] == "failed"
    assert backend.kinds(task_id).count("task.error") == 1
    assert backend.kinds(task_id).count("prompt.failed") == 2


def test_a_turn_in_a_task_that_failed_goes_on_over_a_restart(backend: BackendProcess) -> None:
    task_id, _, two = two_turns(backend, {"ms": 500, "fail": "lost my way"}, {"ms": 60_000, "permission": "Run make?"})
    backend.wait_task(task_id, "error")
    backend.kill()
    backend.set_script({"default": {"turn": {"ms": 50}}})
    backend.start()
    assert wait_prompts(backend, two, "answered")["status"] == "ready"
    assert backend.get(f"/v1/tasks/{task_id}")["status"] == "error"
    later = prompt(backend, two, "When it is mended")
    backend.post(f"/v1/tasks/{task_id}/retry")
    wait_prompts(backend, two, "answered", "answered")
    assert Effects(backend).delivered(task_id).count(later) == 1


def test_no_prompt_takes_the_place_of_what_another_ones_turn_told(backend: BackendProcess) -> None:
    task = backend.create()
    session_id = first_session(task)
    backend.wait_task(task["task_id"], "idle")
    told = backend.get(f"/v1/sessions/{session_id}")["transcript"]
    prompt_id, key = told[-1]["item_id"].split(":")
    for mark, status in ((":", 422), (".", 202), ("-", 202), ("_", 202)):
        body = {"prompt_id": f"{prompt_id}{mark}{key}", "text": "And then?"}
        backend.post(f"/v1/sessions/{session_id}/prompts", body, status=status)
    detail = wait_prompts(backend, session_id, *["answered"] * 4)
    assert detail["transcript"][: len(told)] == told


def test_an_answer_is_kept_while_its_turn_goes_on_however_many_come_after_it(backend: BackendProcess) -> None:
    asks: Json = {"ms": 200, "permission": "Long?", "hang": "after"}
    task_id, one, two = two_turns(backend, asks, {"ms": 0, "permission": "Short?"})
    for number in range(KEPT_PERMISSIONS + 1):
        if number:
            prompt(backend, two)
        task = backend.wait_task(task_id, asking(1 if number else 2))
        for asked in task["permissions"]:
            if asked["state"] == "open":
                backend.post(f"/v1/permissions/{asked['permission_id']}", {"option_id": "allow"}, status=200)
        wait_session(backend, two, "ready")
    backend.set_script({"default": {"turn": {"ms": 200, "permission": "Long?"}}})
    backend.kill()
    backend.start()
    wait_session(backend, one, "ready")
    history = backend.get(f"/v1/tasks/{task_id}/history")["events"]
    opened = Counter(event["payload"]["permission_id"] for event in history if event["kind"] == "permission.opened")
    assert len(opened) == KEPT_PERMISSIONS + 2
    assert set(opened.values()) == {1}


def test_a_transcript_is_told_as_it_grows(backend: BackendProcess) -> None:
    steps: list[Json] = [
        {"thought": "Look first."},
        {"plan": ["read", "write"]},
        {"tool": "Read app.py", "kind": "read", "content": "print()"},
        {"tool": "Edit app.py", "kind": "edit", "edits": [{"path": "app.py", "new": "print(1)", "old": "print()"}]},
    ]
    reply = "It is mended now, and the tests pass again as they did."
    backend.set_script({"default": {"turn": {"ms": 1_500, "steps": steps, "reply": reply}}})
    task = backend.create()
    session_id = first_session(task)
    backend.wait_task(task["task_id"], "running")
    revisions: dict[str, list[int]] = {}
    bodies: dict[str, object] = {}
    with backend.events(f"session:{session_id}") as events:
        for event in events:
            record = json.loads(event.data)
            items = record["transcript"] if event.event == "snapshot" else [record]
            if event.event in ("snapshot", "transcript"):
                for item in items:
                    revisions.setdefault(item["item_id"], []).append(item["revision"])
                    bodies[item["item_id"]] = item["body"]
            elif event.event == "session" and record["prompts"][0]["state"] == "answered":
                break
    detail = backend.get(f"/v1/sessions/{session_id}")
    assert [item["kind"] for item in detail["transcript"]] == [
        *("prompt", "thought", "plan", "tool_call", "tool_call", "message")
    ]
    assert [item["index"] for item in detail["transcript"]] == list(range(6))
    assert {item["item_id"]: item["body"] for item in detail["transcript"]} == bodies
    assert detail["transcript"][-1]["body"] == reply
    assert len(revisions[detail["transcript"][-1]["item_id"]]) > 1
    assert all(held == sorted(set(held)) for held in revisions.values())


def test_a_prompt_after_a_failed_turn_is_answered_with_nothing_else_asked_for(backend: BackendProcess) -> None:
    backend.set_script({"default": {"turn": {"fail": "out of tokens", "times": 1}}})
    task = backend.create()
    session_id = first_session(task)
    backend.wait_task(task["task_id"], "error")
    later = prompt(backend, session_id, "go on")
    wait_prompts(backend, session_id, "failed", "answered")
    assert backend.wait_task(task["task_id"], "idle")["error"] is None
    assert Effects(backend).delivered(task["task_id"])[1:] == [later]
    # Whoever asked for a retry as well has what was asked for; there is no second one, and nothing is sent again.
    backend.post(f"/v1/tasks/{task['task_id']}/retry", {"resend": True}, status=409)
    backend.post(f"/v1/tasks/{task['task_id']}/retry")
    backend.post(f"/v1/tasks/{task['task_id']}/retry", status=409)
    assert backend.kinds(task["task_id"]).count("provision.retry_requested") == 1


def test_a_failed_prompt_is_sent_again_before_what_was_said_since(backend: BackendProcess) -> None:
    backend.set_script({"default": {"turn": {"fail": "out of tokens", "times": 1, "ms": 400}}})
    task = backend.create("do it well")
    task_id, session_id = task["task_id"], first_session(task)
    backend.wait_task(task_id, "running")
    since = prompt(backend, session_id, "and then this")
    backend.wait_task(task_id, "error")
    backend.post(f"/v1/tasks/{task_id}/retry", {"resend": True})
    backend.kill()
    backend.start()
    detail = wait_prompts(backend, session_id, "failed", "answered", "answered")
    again = detail["prompts"][2]
    assert (again["text"], again["error"]) == ("do it well", None)
    assert Effects(backend).delivered(task_id)[1:] == [again["prompt_id"], since]
    said = [item["body"] for item in detail["transcript"] if item["kind"] == "prompt"]
    assert said == ["do it well", "do it well", "and then this"]
    events = backend.get(f"/v1/tasks/{task_id}/history?limit=500")["events"]
    kinds = [event["kind"] for event in events]
    assert "task.idle" not in kinds[: kinds.index("prompt.answered")], "who waits for that waits for the answer"
    [queued] = [
        event["payload"] for event in events if event["kind"] == "prompt.queued" and "again" in event["payload"]
    ]
    assert queued["again"] == detail["prompts"][0]["prompt_id"]


def test_with_nothing_to_send_again_a_resend_is_refused_or_goes_on_from_the_stage(backend: BackendProcess) -> None:
    backend.set_script({"default": {"create_sandbox": {"fail": "no room", "times": 1, "retryable": False}}})
    task = backend.create()
    backend.wait_task(task["task_id"], "error")
    backend.post(f"/v1/tasks/{task['task_id']}/retry", {"resend": True})
    backend.wait_task(task["task_id"], "idle")
    assert len(Effects(backend).delivered(task["task_id"])) == 1
    backend.post(f"/v1/tasks/{task['task_id']}/retry", {"resend": True}, status=409)
    backend.post(f"/v1/tasks/{task['task_id']}/retry", {"resend": "yes"}, status=422)
