"""Kill and archive at every moment: the task ends, nothing of it goes on, no sandbox is left behind."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend_stub.task.release import RELEASES
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.status import STAGES
from tests.backend.invariants import Effects, check_history
from tests.backend.process import BackendProcess
from tests.world import Json

ENDED = {"kill": "killed", "archive": "archived"}
GONE = {"kill": "sandbox.destroyed", "archive": "sandbox.released"}
SLOW = {"ms": 60_000}

MOMENTS: dict[str, tuple[Json, str | None]] = {
    **{f"{stage} hangs before.": ({stage: {"hang": "before", "log": ["here"], "ms": 0}}, "here") for stage in STAGES},
    **{f"{stage} hangs after.": ({stage: {"hang": "after", "log": ["here"], "ms": 0}}, "here") for stage in STAGES},
    "in back-off.": ({"create_sandbox": {"fail": "no room", "ms": 0}}, None),
    "turn runs.": ({"turn": SLOW}, None),
    "turn hangs.": ({"turn": {"hang": "after"}}, None),
    "turn says nothing.": ({"turn": {"hang": "before"}}, None),
    "permission is asked.": ({"turn": {"permission": "Run make?", "ms": 0}}, None),
    "idle.": ({}, None),
    "failed.": ({"ensure_agent": {"fail": "no agent", "retryable": False}}, None),
    "turn failed.": ({"turn": {"fail": "lost my way", "ms": 0}}, None),
}
"""What the script says of a task, and the line of its stage log that tells that the moment has come."""
STATUSES = {
    "in back-off.": "init_create_sandbox",
    "turn runs.": "running",
    "turn hangs.": "running",
    "turn says nothing.": "running",
    "permission is asked.": "running",
    "idle.": "idle",
    "failed.": "error",
    "turn failed.": "error",
}


def script(**default: Json) -> Json:
    return {"default": default, "tasks": [{"match": name, **calls} for name, (calls, _) in MOMENTS.items()]}


def wait_for_moment(backend: BackendProcess, name: str, task_id: str) -> None:
    line = MOMENTS[name][1]
    if line is not None:
        backend.wait_line(task_id, line)
    elif name == "in back-off.":
        with backend.events(f"task:{task_id}") as events:
            for event in events:
                record = json.loads(event.data)
                told = record["history"] if event.event == "snapshot" else [record] if event.event == "history" else []
                if any(each["kind"] == "stage.retrying" and far(each) for each in told):
                    return
    else:
        asked = name == "permission is asked."
        backend.wait_task(task_id, lambda task: task["status"] == STATUSES[name] and task["needs_input"] == int(asked))


def far(event: Json) -> bool:
    return bool(event["payload"]["next_at"] - event["at"] > 3_000)


def check_ended(backend: BackendProcess, task_id: str, how: str) -> Json:
    """The task has ended, and whatever belonged to it."""
    task = backend.wait_task(task_id, ENDED[how])
    history = backend.get(f"/v1/tasks/{task_id}/history")["events"]
    kinds = [event["kind"] for event in history]
    assert kinds.count(f"task.{how}_requested") == kinds.count(f"task.{ENDED[how]}") == 1
    assert all(session["status"] == "closed" for session in task["sessions"])
    assert all(stage["state"] in ("pending", "done", "failed", "cancelled") for stage in task["stages"])
    assert task["stage"] is None
    assert task["needs_input"] == 0
    assert all(permission["state"] == "cancelled" for permission in task["permissions"])
    for session in task["sessions"]:
        prompts = backend.get(f"/v1/sessions/{session['session_id']}")["prompts"]
        assert all(prompt["state"] in ("answered", "failed") for prompt in prompts)
    effects = Effects(backend)
    effects.check_once(task_id)
    assert not effects.sandbox_left(task_id)
    return task


def is_left(task: Json) -> bool:
    return bool(task["leftovers"])


def is_swept(task: Json) -> bool:
    return not task["leftovers"]


@pytest.fixture
def stormy(stopped: BackendProcess) -> Iterator[BackendProcess]:
    """A backend where back-offs soon become long ones."""
    stopped.environ |= {"FOUNDRY_STAGE_BACKOFF_MS": "50", "FOUNDRY_STAGE_ATTEMPTS": "100"}
    stopped.set_script(script())
    yield stopped.start()


@pytest.mark.parametrize("how", ["kill", "archive"])
def test_a_task_ends_at_any_moment(stormy: BackendProcess, how: str) -> None:
    tasks = {name: stormy.create(f"Now {name}")["task_id"] for name in MOMENTS}
    for name, task_id in tasks.items():
        wait_for_moment(stormy, name, task_id)
        answer = stormy.post(f"/v1/tasks/{task_id}/{how}")
        assert answer["status"] in ("kill_destroy_sandbox", "archive_release_sandbox", ENDED[how]), name
        assert all(session["status"] == "closed" for session in answer["sessions"]), name
    for name, task_id in tasks.items():
        task = check_ended(stormy, task_id, how)
        check_history(stormy.get(f"/v1/tasks/{task_id}/history")["events"])
        cancelled = [stage["name"] for stage in task["stages"] if stage["state"] == "cancelled"]
        in_stage = next((stage for stage in STAGES if name.startswith(stage)), None)
        if name == "in back-off.":
            in_stage = STAGES[1]
        assert cancelled == ([in_stage] if in_stage else []), name
        refuse_everything_new(stormy, task, how)
    print(f"{how}: {len(tasks)} moments")


def refuse_everything_new(backend: BackendProcess, task: Json, how: str) -> None:
    task_id, session_id = task["task_id"], task["sessions"][0]["session_id"]
    backend.post(f"/v1/tasks/{task_id}/sessions", {}, status=409)
    backend.post(f"/v1/sessions/{session_id}/prompts", {"prompt_id": uuid7(), "text": "more"}, status=409)
    backend.post(f"/v1/tasks/{task_id}/retry", status=409)
    for again in ("kill", "archive"):
        assert backend.post(f"/v1/tasks/{task_id}/{again}")["revision"] == task["revision"]


@pytest.mark.parametrize("how", ["kill", "archive"])
def test_a_queued_task_ends_without_ever_being_begun(stopped: BackendProcess, how: str) -> None:
    backend = stopped
    backend.options = ("--max-provisioning", "1")
    backend.set_script({"tasks": [{"match": "first", "create_sandbox": {"hang": "before"}}]})
    backend.start()
    first = backend.create("first")["task_id"]
    backend.wait_task(first, "init_create_sandbox")
    queued, last = backend.create("second")["task_id"], backend.create("third")["task_id"]
    backend.post(f"/v1/tasks/{queued}/{how}")
    check_ended(backend, queued, how)
    assert Effects(backend).of(queued) == []
    backend.post(f"/v1/tasks/{first}/{how}")
    check_ended(backend, first, how)
    backend.wait_task(last, "idle")


@pytest.mark.parametrize("how", ["kill", "archive"])
def test_a_half_made_sandbox_is_removed_also_while_its_retry_is_queued(stopped: BackendProcess, how: str) -> None:
    backend = stopped
    backend.options = ("--max-provisioning", "1")
    backend.environ |= {"FOUNDRY_STAGE_TIMEOUT_MS": "1000", "FOUNDRY_STAGE_ATTEMPTS": "1"}
    backend.set_script({"tasks": [{"match": "half", "create_sandbox": {"hang": "after"}}]})
    backend.start()
    half = backend.create("half")["task_id"]
    backend.wait_task(half, "error")
    assert Effects(backend).sandbox_left(half)
    backend.set_script({"tasks": [{"match": "blocks", "ensure_name": SLOW}]})
    blocker = backend.create("blocks the way")["task_id"]
    backend.wait_task(blocker, "init_ensure_name")
    assert backend.post(f"/v1/tasks/{half}/retry")["status"] == "init_enqueue_provision"
    backend.post(f"/v1/tasks/{half}/{how}")
    task = check_ended(backend, half, how)
    assert GONE[how] in backend.kinds(half)
    assert task["leftovers"] == []


@pytest.mark.parametrize("how", ["kill", "archive"])
def test_an_end_goes_on_over_restarts(stopped: BackendProcess, how: str) -> None:
    call = {"kill": "destroy_sandbox", "archive": "release_sandbox"}[how]
    backend = stopped
    names = ["turn runs.", "create_sandbox hangs after.", "permission is asked.", "idle."]
    backend.set_script(script(**{call: {"hang": "before"}}))
    backend.start()
    tasks = {name: backend.create(f"Now {name}")["task_id"] for name in names}
    for name, task_id in tasks.items():
        wait_for_moment(backend, name, task_id)
        backend.post(f"/v1/tasks/{task_id}/{how}")
    for _ in range(2):
        backend.kill()
        backend.start()
        assert all(backend.get(f"/v1/tasks/{each}")["status"] not in ENDED.values() for each in tasks.values())
    backend.kill()
    backend.set_script(script())
    backend.start()
    for task_id in tasks.values():
        check_ended(backend, task_id, how)


FAULTS: dict[str, Json] = {
    "fails": {"fail": "it is locked"},
    "is refused": {"fail": "it is not ours", "retryable": False},
    "hangs before": {"hang": "before"},
}


@pytest.mark.parametrize("how", ["kill", "archive"])
def test_what_cannot_be_removed_is_listed_and_removed_at_the_next_start(tmp_path: Path, how: str) -> None:
    call = {"kill": "destroy_sandbox", "archive": "release_sandbox"}[how]
    impatient = f"FOUNDRY_STAGE_TIMEOUT_MS_{call.upper()}"
    backend = BackendProcess(tmp_path, environ={impatient: "300", "FOUNDRY_STAGE_ATTEMPTS": "2"})
    once = {"match": "fails once.", call: {"fail": "busy", "times": 1}}
    late = {"match": "hangs after.", call: {"hang": "after"}}
    faults = [{"match": f"{name}.", call: fault} for name, fault in FAULTS.items()]
    try:
        backend.set_script({"tasks": [once, late, *faults]})
        backend.start()
        tasks = {name: backend.create(f"Destroying {name}.")["task_id"] for name in (*FAULTS, "fails once")}
        pruned = backend.create("Destroying hangs after.")["task_id"]
        for task_id in (*tasks.values(), pruned):
            backend.wait_task(task_id, "idle")
            backend.post(f"/v1/tasks/{task_id}/{how}")
        check_ended(backend, tasks.pop("fails once"), how)
        for name, task_id in tasks.items():
            task = backend.wait_task(task_id, ENDED[how])
            (left,) = task["leftovers"]
            assert task_id in left["what"]
            assert FAULTS[name].get("fail", "did not end within 0.3 s") in left["why"]
            assert "sandbox.leftover" in backend.kinds(task_id)
            assert GONE[how] not in backend.kinds(task_id)
            expected = 1 if name == "is refused" else 2
            assert len(backend.effects(call=call, task_id=task_id)) == expected
        backend.wait_task(pruned, ENDED[how])
        assert backend.http.delete(f"/v1/tasks/{pruned}").status_code == 204
        # Still broken at the first start, mended at the second.
        for mended in (False, True):
            backend.kill()
            if mended:
                backend.set_script({})
                # What works now may still take longer than 0.3 s on a busy machine.
                del backend.environ[impatient]
            backend.start()
            for task_id in tasks.values():
                task = backend.wait_task(task_id, is_swept if mended else is_left)
                assert task["status"] == ENDED[how]
        for task_id in tasks.values():
            assert not Effects(backend).sandbox_left(task_id)
            assert backend.kinds(task_id).count(GONE[how]) == 1
        assert not Effects(backend).sandbox_left(pruned)
    finally:
        backend.close()


def test_destroys_that_hang_keep_no_other_from_ending(backend: BackendProcess) -> None:
    backend.set_script({"tasks": [{"match": "stuck", "destroy_sandbox": {"hang": "before"}}]})
    stuck = [backend.create(f"stuck {number}")["task_id"] for number in range(RELEASES + 8)]
    free = [backend.create(f"free {number}")["task_id"] for number in range(4)]
    for task_id in (*stuck, *free):
        backend.wait_task(task_id, "idle")
    for task_id in stuck:
        backend.post(f"/v1/tasks/{task_id}/kill")
    for task_id in free:
        backend.post(f"/v1/tasks/{task_id}/kill")
        check_ended(backend, task_id, "kill")
    assert {backend.get(f"/v1/tasks/{task_id}")["status"] for task_id in stuck} == {"kill_destroy_sandbox"}
    print(f"{len(stuck)} destroys hang, {len(free)} others ended")


def test_what_would_be_lost_is_said_first(backend: BackendProcess) -> None:
    backend.set_script({"tasks": [{"match": "precious", "would_lose": ["2 uncommitted files"]}]})
    task_id = backend.create("precious work")["task_id"]
    backend.wait_task(task_id, "idle")
    for how in ("archive", "kill"):
        refused = backend.post(f"/v1/tasks/{task_id}/{how}", status=409)
        assert refused["would_lose"] == ["2 uncommitted files"]
    assert backend.get(f"/v1/tasks/{task_id}")["status"] == "idle"
    backend.post(f"/v1/tasks/{task_id}/kill", {"force": True})
    check_ended(backend, task_id, "kill")


def test_only_what_has_ended_can_be_pruned(backend: BackendProcess) -> None:
    task_id = backend.create()["task_id"]
    backend.wait_task(task_id, "idle")
    assert backend.http.delete(f"/v1/tasks/{task_id}").status_code == 409
    backend.post(f"/v1/tasks/{task_id}/archive")
    backend.wait_task(task_id, "archived")
    assert backend.http.delete(f"/v1/tasks/{task_id}").status_code == 204
    assert backend.http.get(f"/v1/tasks/{task_id}").status_code == 404
    body = {"repo": str(backend.repository), "prompt": "fix the login redirect", "task_id": task_id}
    assert backend.http.post("/v1/tasks", json=body).status_code == 409
