"""Many tasks and few places: never more at once than allowed, first come first served, and nobody waits for ever."""

import pytest

from tests.backend.process import BackendProcess


def at_once(backend: BackendProcess, task_ids: list[str]) -> int:
    """How many of these tasks had begun and were not handed over yet, at most; told by the order of the effects log."""
    inside: set[str] = set()
    most = 0
    for line in backend.effects():
        if line.get("call") == "ensure_name":
            inside |= {line["task_id"]} & set(task_ids)
            most = max(most, len(inside))
        elif line.get("effect") == "deliver_prompt":
            inside.discard(line["task_id"])
    return most


def begun(backend: BackendProcess) -> list[str]:
    """The tasks in the order in which they were begun."""
    return [line["task_id"] for line in backend.effects(call="ensure_name")]


def status_of(backend: BackendProcess, task_id: str) -> str:
    status: str = backend.get(f"/v1/tasks/{task_id}")["status"]
    return status


@pytest.mark.parametrize("places", [1, 3])
def test_no_more_than_allowed_are_provisioned_and_the_oldest_first(stopped: BackendProcess, places: int) -> None:
    backend = stopped
    backend.options = ("--max-provisioning", str(places))
    backend.set_script({"tasks": [{"match": "hold", "create_sandbox": {"hang": "before"}}]})
    backend.start()
    holding = [backend.create(f"hold place {number}")["task_id"] for number in range(places)]
    for task_id in holding:
        backend.wait_task(task_id, "init_create_sandbox")
    waiting = [backend.create(f"wait in line {number}")["task_id"] for number in range(4 * places)]
    assert {status_of(backend, task_id) for task_id in waiting} == {"init_enqueue_provision"}
    # One after the other is let in, over a restart too.
    backend.kill()
    backend.start()
    assert {status_of(backend, task_id) for task_id in waiting} == {"init_enqueue_provision"}
    for task_id in holding:
        backend.post(f"/v1/tasks/{task_id}/kill")
    for task_id in waiting:
        backend.wait_task(task_id, "idle")
    order = begun(backend)[places:]
    assert sorted(order) == sorted(waiting)
    # Those let in together may overtake each other on their first steps.
    assert all(abs(order.index(task_id) - place) < 2 * places for place, task_id in enumerate(waiting))
    for task_id in holding:
        backend.wait_task(task_id, "killed")
    most = at_once(backend, waiting)
    print(f"{places} places: {len(waiting)} tasks in line, at most {most} at once")
    assert most <= places


def test_a_task_that_waits_for_its_next_attempt_takes_no_place(stopped: BackendProcess) -> None:
    backend = stopped
    backend.options = ("--max-provisioning", "2")
    backend.environ |= {"FOUNDRY_STAGE_BACKOFF_MS": "60000", "FOUNDRY_STAGE_ATTEMPTS": "100"}
    backend.set_script({"tasks": [{"match": "no room", "create_sandbox": {"ms": 0, "fail": "no room"}}]})
    backend.start()
    failing = [backend.create(f"no room for {number}")["task_id"] for number in range(4)]
    for task_id in failing:
        backend.wait_task(task_id, lambda task: "attempt 1 failed" in ((task["stage"] or {}).get("detail") or ""))
    for restarted in (False, True):
        if restarted:
            backend.kill()
            backend.start()
        backend.wait_task(backend.create("there is room")["task_id"], "idle")
    assert {status_of(backend, task_id) for task_id in failing} == {"init_create_sandbox"}


def test_those_that_fail_again_and_again_keep_nobody_out(stopped: BackendProcess) -> None:
    backend = stopped
    backend.options = ("--max-provisioning", "1")
    backend.environ |= {"FOUNDRY_STAGE_BACKOFF_MS": "0", "FOUNDRY_STAGE_ATTEMPTS": "1000000"}
    backend.set_script({"tasks": [{"match": "no room", "create_sandbox": {"ms": 0, "fail": "no room"}}]})
    backend.start()
    failing = [backend.create(f"no room for {number}")["task_id"] for number in range(3)]
    for task_id in failing:
        backend.wait_task(task_id, "init_create_sandbox")
    for number in range(3):
        backend.wait_task(backend.create(f"there is room {number}")["task_id"], "idle")
    tried = [len(backend.effects(call="create_sandbox", task_id=task_id)) for task_id in failing]
    assert min(tried) > 1
    # They take turns.
    assert max(tried) <= min(tried) + len(failing)
