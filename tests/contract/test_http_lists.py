"""The list of tasks: what its snapshot says is left out, pages of that, and what a filter finds among all."""

import pytest

from foundry_tui.contract.ids import uuid7
from tests.backend.process import BackendProcess
from tests.contract.checks import refused
from tests.world import Json

WRONG_LIMITS = ["0", "-1", "1001", "x", "1.5", "9" * 30]


def ended(backend: BackendProcess, prompt: str) -> str:
    task_id = str(backend.create(prompt=prompt)["task_id"])
    backend.wait_task(task_id, "idle")
    backend.http.post(f"/v1/tasks/{task_id}/archive", json={"force": True})
    backend.wait_task(task_id, "archived")
    return task_id


def ids(page: Json) -> list[str]:
    return [task["task_id"] for task in page["tasks"]]


def test_ended_tasks_are_paged_newest_first_and_it_is_said_how_many_are_older(backend: BackendProcess) -> None:
    old = [ended(backend, f"old chore {number}") for number in range(5)]
    living = backend.create(prompt="a living thing")["task_id"]
    whole = backend.get("/v1/tasks")
    assert set(whole) == {"seq", "repos", "tasks", "older"}
    assert (set(ids(whole)), whole["older"]) == ({*old, living}, 0)

    page = backend.get("/v1/tasks", before=living, limit=2)
    assert set(page) == {"seq", "repos", "tasks", "older"}
    assert (ids(page), page["older"], page["repos"]) == ([old[4], old[3]], 3, whole["repos"])
    assert page["tasks"][0] == next(task for task in whole["tasks"] if task["task_id"] == old[4])
    page = backend.get("/v1/tasks", before=old[3], limit=100)
    assert (ids(page), page["older"]) == ([old[2], old[1], old[0]], 0)
    assert backend.get("/v1/tasks", before=old[0])["tasks"] == []
    refused(backend.http.get("/v1/tasks", params={"before": uuid7()}), 404)
    refused(backend.http.get("/v1/tasks?limit=5"), 422, "limit")
    for wrong in WRONG_LIMITS:
        refused(backend.http.get("/v1/tasks", params={"before": old[0], "limit": wrong}), 422, "limit")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("chore !queues", [4, 3, 1, 0]),
        ("status:done chroe !queues", [3, 1, 0]),
        ("status:archived queues", [2]),
        ("is:archived", []),
    ],
)
def test_a_filter_finds_in_the_apps_words_among_all_tasks(
    backend: BackendProcess, query: str, found: list[int]
) -> None:
    tasks = [ended(backend, f"old chore {word}") for word in ("tables", "windows", "queues", "mirrors")]
    tasks.append(str(backend.create(prompt="a living chore")["task_id"]))
    backend.wait_task(tasks[-1], "idle")
    expected = [tasks[number] for number in found]
    page = backend.get("/v1/tasks", filter=query)
    assert (ids(page), page["older"]) == (expected, 0)
    paged: list[str] = []
    while page := backend.get("/v1/tasks", filter=query, limit=1, **({"before": paged[-1]} if paged else {})):
        paged += ids(page)
        if not page["older"]:
            break
    assert paged == expected


def test_a_filter_that_cannot_be_is_refused(shared: BackendProcess) -> None:
    refused(shared.http.get("/v1/tasks", params={"filter": "x" * 1001}), 422, "filter")
    refused(shared.http.get("/v1/tasks", params={"filter": "x", "before": uuid7()}), 404)
    refused(shared.http.get("/v1/tasks", params={"filter": "x", "limit": "0"}), 422, "limit")
    assert shared.get("/v1/tasks?filter=&before=&limit=") == shared.get("/v1/tasks")
