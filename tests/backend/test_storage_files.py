"""The database's files taken away, replaced or cut under a running backend: nothing is acknowledged that is not there.

Whatever was answered before is there after the files are back, or after a restart where that can be.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from foundry_tui.contract.ids import uuid7
from tests.backend.process import BackendProcess
from tests.world import Json

Undo = Callable[[], object]


def unlink_database(data: Path) -> None:
    (data / "foundry.db").unlink()


def unlink_all(data: Path) -> None:
    for name in ("foundry.db", "foundry.db-wal", "foundry.db-shm"):
        (data / name).unlink()


def rename_database(data: Path) -> Undo:
    (data / "foundry.db").rename(data / "away")
    return lambda: (data / "away").rename(data / "foundry.db")


def rename_log(data: Path) -> Undo:
    (data / "foundry.db-wal").rename(data / "away")
    return lambda: (data / "away").rename(data / "foundry.db-wal")


def move_folder(data: Path) -> Undo:
    away = data.with_name("away")
    data.rename(away)
    return lambda: away.rename(data)


def replace_by_a_copy(data: Path) -> None:
    shutil.copy2(data / "foundry.db", data / "copy")
    (data / "copy").replace(data / "foundry.db")


def replace_by_a_restored_copy(data: Path) -> None:
    """As a person does who restores a copy over the file with `cp`."""
    with closing(sqlite3.connect(data / "foundry.db")) as source, closing(sqlite3.connect(data / "copy")) as target:
        source.backup(target)
    (data / "foundry.db").write_bytes((data / "copy").read_bytes())


def unlink_log(data: Path) -> None:
    (data / "foundry.db-wal").unlink()


def unlink_index(data: Path) -> None:
    (data / "foundry.db-shm").unlink()


def empty_log(data: Path) -> None:
    os.truncate(data / "foundry.db-wal", 0)


def halve_log(data: Path) -> None:
    path = data / "foundry.db-wal"
    os.truncate(path, path.stat().st_size // 2)


def overwrite_log(data: Path) -> None:
    path = data / "foundry.db-wal"
    path.write_bytes(b"\xa5" * path.stat().st_size)


def empty_database(data: Path) -> None:
    os.truncate(data / "foundry.db", 0)


def halve_database(data: Path) -> None:
    path = data / "foundry.db"
    os.truncate(path, path.stat().st_size // 2)


def remove_folder(data: Path) -> None:
    shutil.rmtree(data)


CASES = [
    *(unlink_database, unlink_all, rename_database, rename_log, move_folder, replace_by_a_copy, unlink_log),
    *(replace_by_a_restored_copy, unlink_index, empty_log, halve_log, overwrite_log, empty_database, halve_database),
    remove_folder,
]
KEEPS = {rename_database, rename_log, move_folder, replace_by_a_copy, unlink_log, unlink_index}
"""After these a restart has all that was answered; `replace_by_a_copy` because the log stays in its place."""


def asking(backend: BackendProcess) -> Json:
    return {"repo": str(backend.repository), "prompt": "fix it", "task_id": uuid7()}


def refused(backend: BackendProcess, method: str, path: str, body: Json) -> str:
    answer = backend.http.request(method, path, json=body)
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    detail: str = answer.json()["detail"]
    assert str(backend.data) in detail
    assert "restart the backend" in detail or "start it again" in detail
    return detail


@pytest.mark.parametrize("harm", CASES)
def test_nothing_is_answered_that_is_not_kept(backend: BackendProcess, harm: Callable[[Path], Undo | None]) -> None:
    kept = [backend.create(f"number {number}")["task_id"] for number in range(3)]
    for task_id in kept:
        backend.wait_task(task_id, "idle")
    session = backend.get(f"/v1/tasks/{kept[0]}")["sessions"][0]["session_id"]
    assert backend.get("/v1/health")["status"] == "ok"
    with backend.events("tasks") as events:
        next(events)
        undo = harm(backend.data)
        assert backend.get("/v1/health")["status"] == "unavailable"
        first = asking(backend)
        refused(backend, "POST", "/v1/tasks", first)
        refused(backend, "PATCH", f"/v1/tasks/{kept[0]}", {"title": "untrue"})
        refused(backend, "POST", f"/v1/sessions/{session}/prompts", {"prompt_id": uuid7(), "text": "go on"})
        refused(backend, "POST", f"/v1/tasks/{kept[1]}/kill", {"force": True})
        assert str(backend.data) in backend.get("/v1/health")["reason"]
        assert backend.process is not None
        assert backend.process.poll() is None
        if undo is not None:
            undo()
            assert backend.get("/v1/health")["status"] == "ok"
            assert backend.http.post("/v1/tasks", json=first).status_code == 201
            kept.append(first["task_id"])
            told = next(event for event in events if event.event == "task")
            assert first["task_id"] in told.data, "the first that a stream tells is what was kept"
            assert backend.get(f"/v1/tasks/{kept[0]}")["title"] != "untrue"
            undo = harm(backend.data)
        assert backend.stop() == 0
        assert not [event for event in events if event.event in ("task", "session") and "untrue" in event.data]
    if undo is not None:
        undo()
    elif harm is replace_by_a_restored_copy:
        (backend.data / "foundry.db-wal").unlink(missing_ok=True)
    if harm in (empty_database, halve_database):
        return
    backend.start()
    found = {task["task_id"]: task for task in backend.get("/v1/tasks")["tasks"]}
    if harm in KEEPS or harm is replace_by_a_restored_copy:
        assert set(found) == set(kept)
    assert set(found) <= set(kept), "what was refused is not there"
    assert all(task["title"] != "untrue" for task in found.values())
    after = backend.create("all is well again")
    backend.wait_task(after["task_id"], "idle")


def test_a_killed_backend_lost_nothing_of_a_log_that_was_removed_once_that_was_seen(backend: BackendProcess) -> None:
    kept = {backend.create(f"number {number}")["task_id"] for number in range(3)}
    for task_id in kept:
        backend.wait_task(task_id, "idle")
    unlink_log(backend.data)
    refused(backend, "POST", "/v1/tasks", asking(backend))
    backend.kill()
    backend.start()
    assert {task["task_id"] for task in backend.get("/v1/tasks")["tasks"]} == kept


def test_a_log_that_another_program_moved_into_the_database_is_no_fault(backend: BackendProcess) -> None:
    kept = {backend.create(f"number {number}")["task_id"] for number in range(3)}
    for mode in ("PASSIVE", "FULL", "RESTART", "TRUNCATE"):
        for task_id in kept:
            backend.wait_task(task_id, "idle")
        with closing(sqlite3.connect(backend.data / "foundry.db", isolation_level=None)) as other:
            other.execute(f"PRAGMA wal_checkpoint({mode})")
        kept.add(backend.create(mode)["task_id"])
        assert backend.get("/v1/health")["status"] == "ok"
    backend.kill()
    backend.start()
    assert {task["task_id"] for task in backend.get("/v1/tasks")["tasks"]} == kept


def test_many_commits_that_move_their_log_themselves_are_no_fault(backend: BackendProcess) -> None:
    for _ in range(12):
        backend.create("x" * 900_000)
        assert len(backend.get("/v1/tasks")["tasks"])
    assert backend.get("/v1/health")["status"] == "ok"


def test_what_meets_a_damaged_page_is_refused_in_words_and_the_rest_goes_on(backend: BackendProcess) -> None:
    tasks = [backend.create(f"number {number} " + "x" * 20_000)["task_id"] for number in range(8)]
    for task_id in tasks:
        backend.wait_task(task_id, "idle")
    assert backend.stop() == 0
    path = backend.data / "foundry.db"
    with closing(sqlite3.connect(path)) as database:
        page = database.execute("SELECT pageno FROM dbstat WHERE name = 'history' AND pagetype = 'leaf'").fetchall()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    backend.start()
    assert page, "there are pages of history"
    with path.open("r+b") as file:
        for (number,) in page:
            file.seek((number - 1) * size)
            file.write(b"\xa5" * 64)
    answer = backend.http.get("/v1/history")
    assert answer.status_code == 503
    assert str(path) in answer.json()["detail"]
    assert "restore a copy" in answer.json()["detail"]
    health = backend.get("/v1/health")
    assert health["status"] == "damaged"
    assert str(path) in health["reason"]
    assert len(backend.get("/v1/tasks")["tasks"]) == 8
    assert backend.http.get(f"/v1/tasks/{tasks[0]}/log").status_code == 200
    assert backend.http.get("/v1/events?topic=task:" + tasks[0]).status_code == 503, "said before a stream begins"
