"""Scripting the demo provider: settings, effects, the world that remembers, and scripts that cannot be."""

import json
import re
import time
from pathlib import Path

import msgspec
import pytest

from backend_stub.demo.script import read_script
from tests.backend.process import BackendProcess
from tests.contract.checks import STAGES, failed_start, only
from tests.world import Json

CALLS = {*STAGES, "destroy_sandbox", "release_sandbox", "turn", "attach"}
EFFECTS = {
    *("create_sandbox", "resume_sandbox", "destroy_sandbox", "release_sandbox"),
    *("start_agent", "create_session", "deliver_prompt"),
}
LINE = frozenset({"call", "effect", "task_id", "sandbox_id", "session_id", "prompt_id", "at"})


@pytest.mark.parametrize(
    "script",
    [
        {"tasks": [{"match": "x", "create_sandbox": {"mss": 1}}]},
        {"tasks": [{"match": "x", "make_coffee": {"ms": 1}}]},
        {"tasks": [{"create_sandbox": {"ms": 1}}]},
        {"default": {"match": "x"}},
        {"defaults": {}},
        {"default": {"create_sandbox": {"ms": -1}}},
        {"default": {"create_sandbox": {"ms": "20"}}},
        {"default": {"create_sandbox": {"times": -1}}},
        {"default": {"create_sandbox": {"hang": "during"}}},
        {"default": {"create_sandbox": {"reply": "only turns reply"}}},
        {"default": {"create_sandbox": {"log": "one line"}}},
        {"default": {"turn": {"permission": True}}},
        {"default": {"turn": {"steps": [{"late": "and so on", "message": "no"}]}}},
        {"default": {"would_lose": "all"}},
        {"default": {"later": {"steps": [{"tool": "edit", "edit": {"path": "x", "new": "y"}}]}}},
        {"tasks": {}},
        [],
        "{",
    ],
)
def test_a_script_that_cannot_be_ends_the_start_with_2(stopped: BackendProcess, script: object) -> None:
    stopped.script_path.write_text(script if isinstance(script, str) else json.dumps(script))
    code, errors = failed_start(stopped)
    assert code == 2
    assert str(stopped.script_path) in errors
    assert "Traceback" not in errors


OPTION = {"option_id": "m", "name": "M", "type": "select", "value": "a", "choices": [{"value": "a", "name": "A"}]}


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ({"agent": {"accepts": {"imagee": True}}}, "`imagee` - at `$.agent.accepts`"),
        ({"agent": {"options": [{**OPTION, "choises": []}]}}, "`choises` - at `$.agent.options[0]`"),
        ({"agent": {"options": [{**OPTION, "type": "number"}]}}, "number is no type"),
        ({"agent": {"options": [{**OPTION, "value": "b"}]}}, "cannot be b: Choose one of a for m."),
        ({"agent": {"options": [{**OPTION, "type": "boolean"}]}}, "M is true or false."),
        ({"agent": {"options": [OPTION, OPTION]}}, "an option_id of its own"),
        ({"agent": {"options": [OPTION], "refuses": {"n": "no"}}}, "n is none"),
        ({"tasks": [{"match": "x", "agent": {"commands": [{"name": "x", "hnt": "y"}]}}]}, "`hnt` - at"),
        ({"default": {"turn": {"steps": [{"usage": {"used": 1, "size": 2, "costs": 1}}]}}}, "`costs` - at"),
        ({"default": {"turn": {"steps": [{"tool": "x", "edit": {"path": "a", "new": "b", "n": 1}}]}}}, "`n` - at"),
        ({"default": {"turn": {"steps": [{"permission": "x", "options": [{"option_id": "a"}]}]}}}, "name"),
    ],
)
def test_what_is_wrong_deep_in_a_script_is_named(script: Json, why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=re.escape(why)):
        read_script(json.dumps(script).encode())


def test_each_kind_of_step_and_all_that_an_agent_offers_is_read() -> None:
    steps = [
        {"message": "a"},
        {"thought": "b", "ms": 5},
        {"tool": "c", "text": "said", "edit": {"path": "x", "new": "y"}},
        {"plan": ["d"]},
        {"permission": "e", "text": "make", "edits": [{"path": "x", "old": "1", "new": "2"}], "paths": ["x"]},
        {"usage": {"used": 1, "size": 2, "cost": {"amount": 0.1, "currency": "USD"}}},
        {"late": "f"},
    ]
    accepts = {"image": True, "audio": False, "embedded": True, "steering": True}
    agent = {"options": [OPTION], "commands": [{"name": "x", "description": "d", "hint": "h"}], "accepts": accepts}
    script = read_script(json.dumps({"agent": agent, "default": {"turn": {"steps": steps}, "agent": agent}}).encode())
    assert len(script.turn("any").steps) == 7
    assert script.agent("any").accepts.steering


def test_a_script_that_is_not_there_ends_the_start_with_2(stopped: BackendProcess) -> None:
    stopped.script_path.unlink()
    assert failed_start(stopped)[0] == 2


def test_a_script_that_turns_wrong_ends_the_backend_with_2_and_loses_nothing(backend: BackendProcess) -> None:
    task_id = backend.create()["task_id"]
    backend.wait_task(task_id, "idle")
    backend.set_script({"default": {"create_sandbox": {"oops": 1}}})
    second = backend.create("more")["task_id"]
    assert backend.process is not None
    backend.process.wait(10)
    assert backend.stop() == 2
    assert "oops" in backend.errors.read_text()
    backend.set_script({})
    backend.start()
    assert backend.wait_task(second, "idle")["status"] == "idle"


def test_without_a_script_a_stage_takes_20_ms_and_succeeds(stopped: BackendProcess) -> None:
    stopped.environ["FOUNDRY_DEMO_SCRIPT"] = ""
    stopped.start()
    task_id = stopped.create()["task_id"]
    done = stopped.wait_task(task_id, "idle")
    for stage in done["stages"]:
        assert stage["finished_at"] - stage["started_at"] >= 18
    assert not stopped.effects_path.exists(), "nothing is written"


def test_the_first_entry_that_matches_and_names_the_call_counts(backend: BackendProcess) -> None:
    backend.set_script(
        {
            "default": {"turn": {"reply": "default"}},
            "tasks": [
                {"match": "blue", "ensure_agent": {"log": ["blue agent"]}},
                {"match": "blue sky", "turn": {"reply": "sky"}},
                {"match": "blue", "turn": {"reply": "blue"}, "ensure_agent": {"log": ["never"]}},
            ],
        }
    )
    for prompt, reply in (("paint a blue sky", "sky"), ("paint it blue", "blue"), ("paint it red", "default")):
        task = backend.create(prompt)
        backend.wait_task(task["task_id"], "idle")
        transcript = backend.get(f"/v1/sessions/{task['sessions'][0]['session_id']}")["transcript"]
        assert transcript[-1]["body"] == reply
        lines = backend.get(f"/v1/tasks/{task['task_id']}/log", stage="ensure_agent")["lines"]
        assert [line["text"] for line in lines] == (["blue agent"] if "blue" in prompt else [])


def test_the_script_is_read_again_at_each_call(backend: BackendProcess) -> None:
    for number in range(3):
        backend.set_script({"default": {"turn": {"reply": f"reply {number}"}}})
        task = backend.create()
        backend.wait_task(task["task_id"], "idle")
        transcript = backend.get(f"/v1/sessions/{task['sessions'][0]['session_id']}")["transcript"]
        assert transcript[-1]["body"] == f"reply {number}"


def test_a_turn_that_is_not_the_first_may_have_another_script(backend: BackendProcess) -> None:
    backend.set_script({"default": {"turn": {"reply": "the first"}, "later": {"reply": "a later one"}}})
    task = backend.create()
    session_id = task["sessions"][0]["session_id"]
    backend.wait_task(task["task_id"], "idle")
    backend.post(f"/v1/sessions/{session_id}/prompts", {"prompt_id": "second", "text": "and now the rest"})
    backend.wait_session(session_id, lambda told: told["prompts"][-1]["state"] == "answered")
    transcript = backend.get(f"/v1/sessions/{session_id}")["transcript"]
    said = [each["body"] for each in transcript if each["kind"] == "message"]
    assert said == ["the first", "a later one"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_failure_is_tried_again_without_its_effect(backend: BackendProcess, stage: str) -> None:
    backend.set_script({"default": {stage: {"fail": "not now", "times": 2, "ms": 10}}})
    task_id = backend.create()["task_id"]
    done = backend.wait_task(task_id, "idle")
    assert {each["name"]: each["attempt"] for each in done["stages"]}[stage] == 3
    assert len(backend.effects(call=stage)) == 3
    kinds = backend.kinds(task_id)
    assert kinds.count("stage.retrying") == 2
    made = [line["effect"] for line in backend.effects() if "effect" in line]
    assert sorted(made) == sorted(["create_sandbox", "start_agent", "create_session", "deliver_prompt"])


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("retryable", [True, False])
def test_a_failure_for_good_says_what_failed(backend: BackendProcess, stage: str, retryable: bool) -> None:
    backend.set_script({"default": {stage: {"fail": "no room", "retryable": retryable}}})
    task_id = backend.create()["task_id"]
    failed = backend.wait_task(task_id, "error")
    error = failed["error"]
    assert (error["stage"], error["message"], error["retryable"]) == (stage, "no room", retryable)
    assert len(backend.effects(call=stage)) == (3 if retryable else 1)
    record = next(each for each in failed["stages"] if each["name"] == stage)
    assert (record["state"], record["attempt"]) == ("failed", 3 if retryable else 1)
    assert backend.kinds(task_id)[-2:] in (["stage.failed", "task.error"], ["session.failed", "task.error"])


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_hang_is_a_retryable_timeout_and_its_effect_stays(stopped: BackendProcess, when: str) -> None:
    stopped.environ["FOUNDRY_STAGE_TIMEOUT_MS_CREATE_SANDBOX"] = "1500"
    stopped.environ["FOUNDRY_STAGE_BACKOFF_MS"] = "0"
    stopped.set_script({"default": {"create_sandbox": {"hang": when, "times": 1}}})
    stopped.start()
    task_id = stopped.create()["task_id"]
    done = stopped.wait_task(task_id, "idle")
    assert done["stages"][1]["attempt"] == 2
    retrying = next(event for event in done["history"] if event["kind"] == "stage.retrying")
    assert (retrying["payload"]["kind"], retrying["payload"]["stage"]) == ("timeout", "create_sandbox")
    made = [line["effect"] for line in stopped.effects() if line.get("effect", "").endswith("sandbox")]
    assert made == (["create_sandbox"] if when == "before" else ["create_sandbox", "resume_sandbox"])


def test_times_are_counted_over_restarts(backend: BackendProcess) -> None:
    backend.set_script({"default": {"create_sandbox": {"fail": "no", "times": 2, "retryable": False}}})
    task_id = backend.create()["task_id"]
    backend.wait_task(task_id, "error")
    backend.kill()
    backend.start()
    backend.post(f"/v1/tasks/{task_id}/retry")
    backend.wait_task(
        task_id, lambda task: task["status"] == "error" and len(backend.effects(call="create_sandbox")) == 2
    )
    backend.post(f"/v1/tasks/{task_id}/retry")
    assert backend.wait_task(task_id, "idle")["sandbox"]["sandbox_id"]


def test_the_effects_log_tells_calls_and_effects_in_their_order(backend: BackendProcess) -> None:
    task = backend.create()
    task_id, session_id = task["task_id"], task["sessions"][0]["session_id"]
    backend.wait_task(task_id, "idle")
    backend.post(f"/v1/tasks/{task_id}/archive")
    backend.wait_task(task_id, "archived")
    lines = backend.effects()
    for line in lines:
        only(line, LINE, always="task_id at")
        assert ("call" in line) != ("effect" in line)
        assert line.get("call", "turn") in CALLS
        assert line.get("effect", "create_sandbox") in EFFECTS
    assert [line.get("call") or f"+{line['effect']}" for line in lines] == [
        *("ensure_name", "create_sandbox", "+create_sandbox", "ensure_agent", "+start_agent"),
        *("create_session", "+create_session", "turn", "+deliver_prompt", "release_sandbox", "+release_sandbox"),
    ]
    by_effect = {line["effect"]: line for line in lines if "effect" in line}
    assert by_effect["create_sandbox"]["sandbox_id"] == backend.get(f"/v1/tasks/{task_id}")["sandbox"]["sandbox_id"]
    assert by_effect["create_session"]["session_id"] == session_id
    prompt = backend.get(f"/v1/sessions/{session_id}")["prompts"][0]
    assert by_effect["deliver_prompt"]["prompt_id"] == prompt["prompt_id"]


def test_a_kill_of_the_task_leaves_nothing_wherever_it_falls(backend: BackendProcess) -> None:
    backend.set_script({"default": {"create_sandbox": {"ms": 100}}})
    for wait in (0.0, 0.02, 0.05, 0.08, 0.12, 0.2):
        task_id = backend.create()["task_id"]
        time.sleep(wait)  # the kill is to fall before, into and behind the effect
        backend.post(f"/v1/tasks/{task_id}/kill")
        backend.wait_task(task_id, "killed")
        made = [
            line["effect"] for line in backend.effects(task_id=task_id) if line.get("effect", "").endswith("sandbox")
        ]
        assert made in ([], ["create_sandbox", "destroy_sandbox"])


def test_a_ready_task_is_attached_again_after_a_restart(backend: BackendProcess) -> None:
    task = backend.create()
    backend.wait_task(task["task_id"], "idle")
    before = backend.effects()
    backend.kill()
    backend.start()
    session_id = task["sessions"][0]["session_id"]
    backend.post(f"/v1/sessions/{session_id}/prompts", {"prompt_id": "p", "text": "more"})
    backend.wait_task(
        task["task_id"], lambda each: each["status"] == "idle" and len(backend.effects(effect="deliver_prompt")) == 2
    )
    after = [line.get("call") or line["effect"] for line in backend.effects()[len(before) :]]
    assert after == ["attach", "turn", "deliver_prompt"]


@pytest.mark.parametrize("call", ["destroy_sandbox", "release_sandbox"])
def test_what_cannot_be_removed_is_left_over_and_removed_at_the_next_start(stopped: BackendProcess, call: str) -> None:
    stopped.environ[f"FOUNDRY_STAGE_TIMEOUT_MS_{call.upper()}"] = "100"
    stopped.set_script({"default": {call: {"hang": "before"}}})
    stopped.start()
    task_id = stopped.create()["task_id"]
    stopped.wait_task(task_id, "idle")
    command, end = ("kill", "killed") if call == "destroy_sandbox" else ("archive", "archived")
    stopped.post(f"/v1/tasks/{task_id}/{command}")
    ended = stopped.wait_task(task_id, end)
    (leftover,) = ended["leftovers"]
    assert set(leftover) == {"what", "why", "at"}
    assert len(stopped.effects(call=call)) == 3
    assert "sandbox.leftover" in stopped.kinds(task_id)
    assert stopped.stop() == 0
    del stopped.environ[f"FOUNDRY_STAGE_TIMEOUT_MS_{call.upper()}"]
    stopped.set_script({})
    stopped.start()
    clean = stopped.wait_task(task_id, lambda task: not task["leftovers"])
    assert clean["status"] == end
    assert len(stopped.effects(effect=call)) == 1


def test_the_default_provider_is_what_the_environment_says(stopped: BackendProcess) -> None:
    stopped.environ["FOUNDRY_PROVIDER"] = "nobody"
    code, errors = failed_start(stopped)
    assert code == 2
    assert "nobody" in errors
    assert "demo" in errors


def test_a_request_that_names_no_provider_is_never_simulated(stopped: BackendProcess) -> None:
    for name in ("FOUNDRY_PROVIDER", "FOUNDRY_DEMO_SCRIPT"):
        stopped.environ.pop(name, None)
    nowhere = stopped.folder / "no-programs"
    stopped.environ |= {"HOME": str(nowhere), "XDG_DATA_HOME": str(nowhere), "PATH": "/usr/bin:/bin"}
    stopped.start()
    refused = stopped.post("/v1/tasks", {"repo": str(stopped.repository), "prompt": "Fix it"}, status=422)
    (error,) = refused["errors"]
    assert error["field"] == "provider"
    assert "foundry agent install" in error["message"]
    assert stopped.get("/v1/tasks")["tasks"] == []
    assert stopped.create(provider="demo")["provider"] == "demo"


@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", "1" + "0" * 40])
def test_a_setting_that_cannot_be_ends_the_start_with_2(stopped: BackendProcess, value: str) -> None:
    stopped.environ["FOUNDRY_STAGE_ATTEMPTS"] = value
    code, errors = failed_start(stopped)
    assert code == 2
    assert "FOUNDRY_STAGE_ATTEMPTS" in errors


def test_what_a_turn_edits_is_the_task_s_diff_and_its_sandbox_a_folder(backend: BackendProcess) -> None:
    edits = [{"path": "a.py", "old": "one\n", "new": "two\n"}, {"path": "b.py", "new": "three\nfour\n"}]
    backend.set_script({"default": {"turn": {"steps": [{"tool": "Edit", "edits": edits}]}}})
    task = backend.wait_task(backend.create()["task_id"], "idle")
    folder = Path(task["sandbox"]["cwd"])
    assert folder.is_dir()
    diff = backend.get(f"/v1/tasks/{task['task_id']}/diff")
    assert diff["computed_at"] is not None
    assert [(file["path"], file["status"], file["added"], file["removed"]) for file in diff["files"]] == [
        ("a.py", "M", 1, 1),
        ("b.py", "A", 2, 0),
    ]
    backend.post(f"/v1/tasks/{task['task_id']}/kill")
    backend.wait_task(task["task_id"], "killed")
    assert not folder.exists()


def test_a_turn_that_is_stopped_has_edited_what_it_had_come_to(backend: BackendProcess) -> None:
    edits = [{"tool": f"Edit {name}", "edit": {"path": name, "new": "n\n"}} for name in ("a.py", "b.py", "c.py")]
    steps = [{**edits[0], "ms": 1}, {"permission": "Edit b.py?", "edits": [edits[1]["edit"]], "ms": 1}, edits[2]]
    backend.set_script({"default": {"turn": {"ms": 60_000, "steps": steps}}})
    task_id = backend.create()["task_id"]
    task = backend.wait_task(task_id, lambda task: any(each["state"] == "open" for each in task["permissions"]))
    (question,) = task["permissions"]

    def changed() -> list[str]:
        return [file["path"] for file in backend.get(f"/v1/tasks/{task_id}/diff")["files"]]

    assert changed() == ["a.py"], "what is not allowed yet is not done"
    backend.http.post(f"/v1/permissions/{question['permission_id']}", json={"option_id": "deny"})
    backend.post(f"/v1/sessions/{task['sessions'][0]['session_id']}/stop")
    backend.wait_task(task_id, lambda task: (task.get("work") or {}).get("files") == 1)
    assert changed() == ["a.py"]
    before, after = backend.get(f"/v1/tasks/{task_id}/checkpoints")["checkpoints"]
    assert (before["when"], before["files"], after["when"], after["files"]) == ("before", 0, "after", 1)


def test_a_turn_that_failed_has_edited_nothing(backend: BackendProcess) -> None:
    edit = {"tool": "Edit", "edit": {"path": "a.py", "new": "n\n"}}
    backend.set_script({"default": {"turn": {"fail": "no more tokens", "steps": [edit]}}})
    task_id = backend.create()["task_id"]
    backend.wait_task(task_id, "error")
    assert backend.get(f"/v1/tasks/{task_id}/diff")["files"] == []


def test_a_turn_asks_in_its_steps_with_all_that_a_person_has_to_judge(backend: BackendProcess) -> None:
    edit = {"path": "app.py", "old": "a\n", "new": "b\n"}
    options = [{"option_id": "x1", "name": "Go", "kind": "allow_once"}]
    steps = [
        {"tool": "Look", "text": "seen", "edit": {"path": "new.py", "new": "n\n"}, "ms": 10},
        {"permission": "Run it?", "kind": "execute", "text": "make a\nmake b", "paths": ["/srv"], "ms": 10},
        {"permission": "Edit it?", "edits": [edit], "options": options},
    ]
    backend.set_script({"default": {"turn": {"ms": 20, "steps": steps}}})
    task_id = backend.create()["task_id"]

    def asked_now() -> Json:
        task = backend.wait_task(task_id, lambda task: any(each["state"] == "open" for each in task["permissions"]))
        (question,) = (each for each in task["permissions"] if each["state"] == "open")
        return dict(question)

    first = asked_now()
    assert (first["tool_kind"], first["text"], first["paths"]) == ("execute", "make a\nmake b", ["/srv"])
    backend.http.post(f"/v1/permissions/{first['permission_id']}", json={"option_id": "deny"})
    second = asked_now()
    assert (second["title"], second["edits"], second["options"]) == ("Edit it?", [edit], options)
    assert second["permission_id"] != first["permission_id"]
    backend.http.post(f"/v1/permissions/{second['permission_id']}", json={"option_id": "x1"})
    task = backend.wait_task(task_id, "idle")
    items = backend.http.get(f"/v1/sessions/{task['sessions'][0]['session_id']}").json()["transcript"]
    tool = next(item["body"] for item in items if item["kind"] == "tool_call")
    assert (tool["content"], tool["edits"][0]["path"]) == ("seen", "new.py")
    asked = [item["body"] for item in items if item["kind"] == "permission"]
    assert [body["title"] for body in asked] == ["Run it?", "Edit it?"]
    assert asked[0]["text"] == "make a\nmake b"


def test_a_late_step_is_said_after_the_turn(backend: BackendProcess) -> None:
    backend.set_script({"default": {"turn": {"steps": [{"message": "one"}, {"late": "two", "ms": 0}], "ms": 40}}})
    task = backend.create()
    backend.wait_task(task["task_id"], "idle")
    session = f"/v1/sessions/{task['sessions'][0]['session_id']}"
    with backend.events(f"session:{task['sessions'][0]['session_id']}") as events:
        next(event for event in events if '"two"' in event.data)
    said = [item["body"] for item in backend.get(session)["transcript"] if item["kind"] == "message"]
    assert said == ["one", "Done.", "two"]
    assert backend.get(session)["status"] == "ready"
