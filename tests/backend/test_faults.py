"""Each stage under each fault: the right stage, reason and attempt count; retry goes on from the stage that failed."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from foundry_tui.contract.status import STAGES, StageName
from tests.backend.invariants import Effects, check_history, check_no_stage_again
from tests.backend.process import BackendProcess
from tests.world import Json

ATTEMPTS = 3
TIMEOUT_MS = 1_500


@dataclass(frozen=True)
class Fault:
    """How a call goes wrong, and what is to come of it: the attempt at the end, and the error if it ends in one."""

    name: str
    script: Json
    attempt: int
    kind: str | None = None
    message: str = ""
    retryable: bool = True


FAULTS = [
    Fault("fails once", {"fail": "no room", "times": 1}, attempt=2),
    Fault("fails twice", {"fail": "no room", "times": 2}, attempt=3),
    Fault("fails for ever", {"fail": "no room"}, attempt=ATTEMPTS, kind="provider", message="no room"),
    Fault("is refused", {"fail": "forbidden", "retryable": False}, 1, "provider", "forbidden", retryable=False),
    Fault("hangs once before", {"hang": "before", "times": 1}, attempt=2),
    Fault("hangs once after", {"hang": "after", "times": 1}, attempt=2),
    Fault("hangs for ever before", {"hang": "before"}, ATTEMPTS, "timeout", "did not end within 1.5 s"),
    Fault("hangs for ever after", {"hang": "after"}, ATTEMPTS, "timeout", "did not end within 1.5 s"),
]


@pytest.fixture
def faulty(stopped: BackendProcess) -> Iterator[BackendProcess]:
    stopped.environ |= {
        "FOUNDRY_STAGE_TIMEOUT_MS": str(TIMEOUT_MS),
        "FOUNDRY_STAGE_ATTEMPTS": str(ATTEMPTS),
        "FOUNDRY_STAGE_BACKOFF_MS": "20",
    }
    yield stopped.start()


def script(stage: StageName) -> Json:
    return {"default": {}, "tasks": [{"match": f"{fault.name}.", stage: fault.script} for fault in FAULTS]}


def is_settled(task: Json) -> bool:
    return task["status"] in ("idle", "error")


@pytest.mark.parametrize("stage", STAGES)
def test_each_fault_of_a_stage(faulty: BackendProcess, stage: StageName) -> None:
    faulty.set_script(script(stage))
    tasks = {fault.name: faulty.create(f"The stage {fault.name}.")["task_id"] for fault in FAULTS}
    for fault in FAULTS:
        task = faulty.wait_task(tasks[fault.name], is_settled)
        check_outcome(faulty, task, stage, fault)
    # What failed stays failed over a kill, and is retried from there with a world that is mended.
    faulty.kill()
    faulty.set_script({})
    faulty.start()
    failed = [fault for fault in FAULTS if fault.kind is not None]
    for fault in failed:
        task_id = tasks[fault.name]
        before = faulty.get(f"/v1/tasks/{task_id}")
        assert before["status"] == "error"
        assert faulty.post(f"/v1/tasks/{task_id}/retry")["status"] != "error"
    for fault in failed:
        check_retried(faulty, faulty.wait_task(tasks[fault.name], "idle"), stage)
    print(f"{stage}: {len(FAULTS)} faults, {len(failed)} retries")


def check_outcome(backend: BackendProcess, task: Json, stage: StageName, fault: Fault) -> None:
    history = backend.get(f"/v1/tasks/{task['task_id']}/history")["events"]
    check_history(history)
    record = next(each for each in task["stages"] if each["name"] == stage)
    session = backend.get(f"/v1/sessions/{task['sessions'][0]['session_id']}")
    retrying = [event["payload"]["stage"] for event in history if event["kind"] == "stage.retrying"]
    assert retrying == [stage] * (fault.attempt - 1), fault.name
    assert (record["attempt"], record["max_attempts"]) == (fault.attempt, ATTEMPTS), fault.name
    if fault.kind is None:
        assert (task["status"], record["state"], task["error"]) == ("idle", "done", None), fault.name
        assert [prompt["state"] for prompt in session["prompts"]] == ["answered"]
    else:
        error = task["error"]
        assert (task["status"], record["state"]) == ("error", "failed"), fault.name
        assert (error["stage"], error["kind"], error["retryable"]) == (stage, fault.kind, fault.retryable), fault.name
        assert fault.message in error["message"]
        assert record["error"] == error
        assert [prompt["state"] for prompt in session["prompts"]] == ["queued"]
        assert session["status"] == ("error" if stage is StageName.CREATE_SESSION else "pending_provision")
        place = STAGES.index(stage)
        assert [each["state"] for each in task["stages"]] == ["done"] * place + ["failed"] + ["pending"] * (3 - place)
        assert task["stages_done"] == place
        assert task["unread"]
    effects = Effects(backend)
    effects.check_once(task["task_id"])
    if stage is StageName.CREATE_SANDBOX and fault.script == {"hang": "after", "times": 1}:
        done = [line["effect"] for line in effects.of(task["task_id"]) if "sandbox" in line.get("effect", "")]
        assert done == ["create_sandbox", "resume_sandbox"]
        assert "sandbox.resumed" in [event["kind"] for event in history]


def check_retried(backend: BackendProcess, task: Json, stage: StageName) -> None:
    history = backend.get(f"/v1/tasks/{task['task_id']}/history")["events"]
    effects = Effects(backend)
    check_history(history)
    effects.check_once(task["task_id"])
    check_no_stage_again(history, effects.of(task["task_id"]))
    kinds = [event["kind"] for event in history]
    again = history[kinds.index("provision.retry_requested") :]
    started = [event["payload"]["stage"] for event in again if event["kind"] == "stage.started"]
    assert started == list(STAGES[STAGES.index(stage) :])
    assert {each["state"] for each in task["stages"]} == {"done"}
    counts = Counter(kinds)
    for once in ("session.ready", "prompt.delivered", "prompt.answered", "task.running", "task.idle"):
        assert counts[once] == 1, once
    session = backend.get(f"/v1/sessions/{task['sessions'][0]['session_id']}")
    assert session["status"] == "ready"
    assert [prompt["state"] for prompt in session["prompts"]] == ["answered"]
    assert len(effects.delivered(task["task_id"])) == 1


def test_only_what_failed_can_be_retried(faulty: BackendProcess) -> None:
    task_id = faulty.create()["task_id"]
    faulty.wait_task(task_id, "idle")
    faulty.post(f"/v1/tasks/{task_id}/retry", status=409)


def has_resumed(backend: BackendProcess, times: int, task: Json) -> bool:
    return backend.kinds(task["task_id"]).count("provision.resumed") >= times


def test_a_cut_attempt_keeps_its_number_and_its_beginning(stopped: BackendProcess) -> None:
    backend = stopped.start()
    backend.set_script({"default": {"create_sandbox": {"hang": "before"}}})
    task_id = backend.create()["task_id"]
    before = backend.wait_task(task_id, "init_create_sandbox")["stages"][1]
    for times in range(1, 5):
        backend.kill()
        backend.start()
        backend.wait_task(task_id, partial(has_resumed, backend, times))
    after = backend.get(f"/v1/tasks/{task_id}")["stages"][1]
    assert (after["attempt"], after["started_at"]) == (1, before["started_at"])


def test_a_time_out_counts_over_restarts_but_not_what_lies_between(tmp_path: Path) -> None:
    backend = BackendProcess(tmp_path, environ={"FOUNDRY_STAGE_TIMEOUT_MS": "2500", "FOUNDRY_STAGE_ATTEMPTS": "1"})
    try:
        backend.start()
        backend.set_script({"default": {"ensure_agent": {"hang": "after"}}})
        task_id = backend.create()["task_id"]
        cut = backend.wait_task(task_id, "init_ensure_agent")["stages"][2]
        killed = time.time_ns() // 1_000_000
        backend.kill()
        backend.start()
        task = backend.wait_task(task_id, partial(has_resumed, backend, 1))
        away = time.time_ns() // 1_000_000 - killed
        if (deadline := task["stages"][2]["deadline_at"]) is not None:
            # When exactly it was killed is known within a second.
            assert cut["deadline_at"] < deadline <= cut["deadline_at"] + away + 1_000
        error = backend.wait_task(task_id, "error")["error"]
        assert (error["stage"], error["kind"]) == ("ensure_agent", "timeout")
    finally:
        backend.close()


def test_the_wait_between_attempts_is_the_one_that_is_set_then_twice_that_and_so_on(
    stopped: BackendProcess,
) -> None:
    stopped.environ |= {"FOUNDRY_STAGE_ATTEMPTS": "4", "FOUNDRY_STAGE_BACKOFF_MS": "50"}
    stopped.start()
    stopped.set_script({"default": {"create_sandbox": {"ms": 0, "fail": "no room"}}})
    task_id = stopped.create()["task_id"]
    stopped.wait_task(task_id, "error")
    events = stopped.get(f"/v1/tasks/{task_id}/history")["events"]
    waits = [each["payload"]["next_at"] - each["at"] for each in events if each["kind"] == "stage.retrying"]
    assert len(waits) == 3
    for wait, least in zip(waits, (50, 100, 200), strict=True):
        # Jitter only adds, so that many tasks that failed together do not come back together.
        assert least <= wait <= 2 * least
