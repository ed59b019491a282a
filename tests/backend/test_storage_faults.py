"""Storage that fails: a clear error that names the path, nothing half-written, and the process stays whole."""

import json
import resource
import socket
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from backend_stub.domain.errors import StorageUnavailableError
from backend_stub.storage.sqlite import FILE_NAME, condition, open_storage
from backend_stub.storage.writing import Transaction
from foundry_tui.contract.events import TASKS
from foundry_tui.contract.ids import uuid7
from tests.backend.process import BackendProcess
from tests.backend.rows import first_change


def cannot_start(data: Path, listen: str) -> str:
    """What a backend that cannot start says; it must exit with 1 and one sentence."""
    done = subprocess.run(
        [sys.executable, "-m", "backend_stub", "--data-dir", str(data), "--listen", listen],
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    return done.stderr


def body(backend: BackendProcess) -> dict[str, str]:
    return {"repo": str(backend.repository), "prompt": "fix it", "task_id": uuid7()}


def test_a_locked_database_is_answered_503_until_it_is_free(backend: BackendProcess) -> None:
    kept = backend.create()["task_id"]
    backend.wait_task(kept, "idle")
    request = body(backend)
    with closing(sqlite3.connect(backend.data / "foundry.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        refused = backend.http.post("/v1/tasks", json=request)
        assert refused.status_code == 503
        assert "foundry.db" in refused.json()["detail"]
        assert len(backend.get("/v1/tasks")["tasks"]) == 1
        other.execute("ROLLBACK")
    assert backend.http.post("/v1/tasks", json=request).status_code == 201
    backend.wait_task(request["task_id"], "idle")


def test_a_database_that_another_program_holds_ends_the_start(backend: BackendProcess) -> None:
    backend.stop()
    with closing(sqlite3.connect(backend.data / "foundry.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        said = cannot_start(backend.data, f"unix:{backend.socket}")
        assert str(backend.data / "foundry.db") in said
        assert "locked by another program" in said
    backend.start()


def test_a_full_disk_is_answered_503_and_nothing_is_lost(backend: BackendProcess) -> None:
    task_id = backend.create()["task_id"]
    before = backend.wait_task(task_id, "idle")
    assert backend.process is not None
    size = (backend.data / "foundry.db-wal").stat().st_size
    resource.prlimit(backend.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    request = body(backend)
    refused = [backend.http.post("/v1/tasks", json={**request, "prompt": "x" * 500_000}) for _ in range(3)]
    assert {answer.status_code for answer in refused} == {503}
    assert backend.process.poll() is None
    assert backend.get(f"/v1/tasks/{task_id}") == before
    resource.prlimit(backend.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert backend.http.post("/v1/tasks", json=request).status_code == 201
    backend.wait_task(request["task_id"], "idle")
    backend.kill()
    backend.start()
    assert backend.get(f"/v1/tasks/{task_id}")["revision"] == before["revision"]


@pytest.mark.anyio
async def test_a_disk_that_had_no_room_is_told_until_there_is_some_though_small_changes_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [4096]
    monkeypatch.setattr(condition, "disk_usage", lambda _: SimpleNamespace(free=free[0]))
    storage = open_storage(tmp_path)
    try:
        pages = storage._writer._connection
        (count,) = pages.execute("PRAGMA page_count").fetchone()
        pages.execute(f"PRAGMA max_page_count = {count + 2}")

        async def large(transaction: Transaction) -> None:
            pages.execute("CREATE TABLE large AS SELECT randomblob(200000) AS text")

        with pytest.raises(StorageUnavailableError, match="free some disk space"):
            await storage.submit(large)
        told = await storage.fault()
        assert told is not None and told.state == "degraded" and str(tmp_path) in told.reason
        free[0] += condition.ROOM
        assert await storage.fault() is None
    finally:
        await storage.close()


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    assert str(blocked) in cannot_start(blocked / "data", f"unix:{tmp_path}/s")


@pytest.mark.parametrize(
    "damage", ["no database", "another program's", "newer", "a page", "the half", "emptied", "a row"]
)
def test_a_file_that_cannot_be_used_is_named_and_left_alone(backend: BackendProcess, damage: str) -> None:
    for _ in range(3):
        backend.wait_task(backend.create()["task_id"], "idle")
    assert backend.stop() == 0
    path = backend.data / "foundry.db"
    if damage == "no database":
        path.write_bytes(b"this is no database, but a letter\n" * 400)
    elif damage == "another program's":
        path.unlink()
        with closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA journal_mode = WAL")
            other.execute("CREATE TABLE letters (body TEXT)")
    elif damage == "newer":
        with closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA user_version = 9999")
    elif damage == "a row":
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("INSERT INTO leftovers VALUES ('lost', '{')")
    elif damage == "emptied":
        path.write_bytes(b"")
    elif damage == "the half":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        whole = path.read_bytes()
        path.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
    before = path.read_bytes()
    said = cannot_start(backend.data, f"unix:{backend.socket}")
    assert str(path) in said
    assert said.count("\n") <= 1
    assert path.read_bytes() == before


@pytest.mark.anyio
async def test_a_row_that_is_no_record_is_told_and_not_sent(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    await storage.commit(first_change(uuid7()))
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as other, other:
        other.execute("UPDATE tasks SET summary = substr(summary, 1, 40)")
    with pytest.raises(StorageUnavailableError, match="a row cannot be read"):
        await storage.events.snapshot(TASKS)
    fault = await storage.fault()
    assert fault is not None
    assert fault.state == "damaged"
    await storage.close()


def test_what_a_stop_does_not_wait_for_is_not_answered_and_may_have_been_done(backend: BackendProcess) -> None:
    backend.wait_task(backend.create()["task_id"], "idle")
    request = body(backend)
    document = json.dumps(request).encode()
    head = b"POST /v1/tasks HTTP/1.1\r\nhost: foundry\r\ncontent-length: %d\r\n\r\n" % len(document)
    path = backend.data / "foundry.db"
    with (
        closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other,
        socket.socket(socket.AF_UNIX) as asked,
        ThreadPoolExecutor() as threads,
    ):
        other.execute("BEGIN IMMEDIATE")
        asked.connect(str(backend.socket))
        asked.sendall(head + document)
        # What comes later is answered later, so that the backend is at it.
        backend.get("/v1/health")

        def answer() -> bytes:
            try:
                return asked.recv(65_536)
            except ConnectionResetError:
                return b""
            finally:
                other.execute("ROLLBACK")

        answered = threads.submit(answer)
        assert backend.stop() == 0
        assert answered.result() == b""
    backend.start()
    assert backend.http.post("/v1/tasks", json=request).status_code in (200, 201)
    backend.wait_task(request["task_id"], "idle")
    assert len(backend.get("/v1/tasks")["tasks"]) == 2


def test_a_second_backend_on_the_folder_refuses_and_says_who_holds_it(backend: BackendProcess, tmp_path: Path) -> None:
    assert backend.process is not None
    said = cannot_start(backend.data, f"unix:{tmp_path}/other")
    assert str(backend.data) in said
    assert str(backend.process.pid) in said
    assert backend.get("/v1/health")["pid"] == backend.process.pid


def test_a_socket_that_was_left_behind_is_replaced_and_a_live_one_is_not(
    backend: BackendProcess, tmp_path: Path
) -> None:
    assert str(backend.socket) in cannot_start(tmp_path / "elsewhere", f"unix:{backend.socket}")
    backend.kill()
    assert backend.socket.exists()
    backend.start()
    assert backend.get("/v1/health")["status"] == "ok"


def test_stopping_with_work_and_streams_open_takes_less_than_two_seconds(backend: BackendProcess) -> None:
    backend.set_script({"default": {"create_sandbox": {"hang": "after"}}})
    task_ids = [backend.create()["task_id"] for _ in range(8)]
    for task_id in task_ids:
        backend.wait_task(task_id, "init_create_sandbox")
    with backend.events("tasks") as events:
        next(events)
        before = time.monotonic()
        assert backend.stop() == 0
        assert time.monotonic() - before < 2
    backend.set_script({})
    backend.start()
    for task_id in task_ids:
        backend.wait_task(task_id, "idle")
        assert "provision.resumed" in backend.kinds(task_id)
