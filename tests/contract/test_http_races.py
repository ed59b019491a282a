"""The same and opposite requests at the same moment: one wins, the others are told so, nothing is doubled."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from foundry_tui.contract.ids import uuid7
from tests.backend.process import BackendProcess
from tests.contract.checks import creating, refused
from tests.world import Json

AT_ONCE = 16
Ask = tuple[str, str, Json | None]
"""Method, path and body."""


def _at_once(ask: Callable[[int], httpx.Response]) -> list[httpx.Response]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(ask, range(AT_ONCE)))


def _all_at_once(backend: BackendProcess, asks: list[Ask]) -> list[httpx.Response]:
    with ThreadPoolExecutor(len(asks)) as pool:
        return list(pool.map(lambda ask: backend.http.request(ask[0], ask[1], json=ask[2]), asks))


def _statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


@pytest.mark.slow
def test_one_create_sent_many_times_makes_one_task(shared: BackendProcess) -> None:
    for number in range(10):
        body = creating(shared, task_id=uuid7(), branch=f"race-{number}", session_id=uuid7())
        answers = _all_at_once(shared, [("POST", "/v1/tasks", body)] * AT_ONCE)
        assert _statuses(answers) == {201: 1, 200: AT_ONCE - 1}
        assert {answer.json()["task_id"] for answer in answers} == {body["task_id"]}
        shared.wait_task(body["task_id"], "idle")
        assert shared.kinds(body["task_id"]).count("task.created") == 1
        assert len(shared.effects(effect="deliver_prompt", task_id=body["task_id"])) == 1


def test_one_id_for_different_requests_makes_one_task(shared: BackendProcess) -> None:
    task_id = uuid7()
    answers = _at_once(
        lambda number: shared.http.post("/v1/tasks", json=creating(shared, task_id=task_id, prompt=f"try {number}"))
    )
    assert _statuses(answers) == {201: 1, 409: AT_ONCE - 1}


def test_one_branch_for_many_tasks_is_held_by_one(shared: BackendProcess) -> None:
    answers = _at_once(lambda _: shared.http.post("/v1/tasks", json=creating(shared, branch="wanted-by-all")))
    assert _statuses(answers) == {201: 1, 422: AT_ONCE - 1}
    for answer in answers:
        if answer.status_code != 201:
            refused(answer, 422, "branch")


def test_one_prompt_of_many_tasks_gives_each_its_own_branch(shared: BackendProcess) -> None:
    body = creating(shared, prompt="race to the same name")
    answers = _at_once(lambda _: shared.http.post("/v1/tasks", json=body))
    tasks = [shared.wait_task(answer.json()["task_id"], "idle") for answer in answers]
    assert len({task["branch"] for task in tasks}) == AT_ONCE
    # They do not all try the same one, and all but one of them in vain.
    task_ids = {task["task_id"] for task in tasks}
    assert sum(line["task_id"] in task_ids for line in shared.effects(call="ensure_name")) < 2 * AT_ONCE


def test_one_session_or_prompt_id_belongs_to_one(shared: BackendProcess) -> None:
    tasks = [shared.create() for _ in range(AT_ONCE)]
    for task in tasks:
        shared.wait_task(task["task_id"], "idle")
    session_id, prompt_id = uuid7(), uuid7()
    sessions = _at_once(
        lambda number: shared.http.post(
            f"/v1/tasks/{tasks[number]['task_id']}/sessions", json={"session_id": session_id}
        )
    )
    assert _statuses(sessions) == {202: 1, 409: AT_ONCE - 1}

    def prompt(number: int) -> httpx.Response:
        path = f"/v1/sessions/{tasks[number]['sessions'][0]['session_id']}/prompts"
        return shared.http.post(path, json={"prompt_id": prompt_id, "text": "mine"})

    assert _statuses(_at_once(prompt)) == {202: 1, 409: AT_ONCE - 1}


def test_kill_archive_retry_prune_and_the_rest_at_once(backend: BackendProcess) -> None:
    backend.set_script({"default": {"create_sandbox": {"fail": "no", "times": 1, "retryable": False}}})
    for _ in range(5):
        task = backend.create()
        task_id, session_id = task["task_id"], task["sessions"][0]["session_id"]
        backend.wait_task(task_id, "error")
        asks: list[Ask] = [
            ("POST", f"/v1/tasks/{task_id}/retry", None),
            ("POST", f"/v1/tasks/{task_id}/kill", {}),
            ("POST", f"/v1/tasks/{task_id}/archive", {}),
            ("PATCH", f"/v1/tasks/{task_id}", {"title": "racing"}),
            ("DELETE", f"/v1/tasks/{task_id}", None),
            ("POST", f"/v1/sessions/{session_id}/prompts", {"prompt_id": uuid7(), "text": "more"}),
            ("POST", f"/v1/sessions/{session_id}/stop", None),
            ("DELETE", f"/v1/sessions/{session_id}", None),
        ]
        for answer in _all_at_once(backend, asks * 2):
            if answer.status_code not in (200, 202, 204):
                refused(answer, answer.status_code)
                assert answer.status_code in (404, 409)
        if backend.http.get(f"/v1/tasks/{task_id}").status_code == 200:
            ended = backend.wait_task(task_id, lambda each: each["status"] in ("killed", "archived"))
            kinds = backend.kinds(task_id)
            assert kinds.count("task.killed") + kinds.count("task.archived") == 1
            assert ended["sessions"][0]["status"] == "closed"
    assert '"level":"error"' not in backend.errors.read_text()
