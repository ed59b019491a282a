"""Disks that refuse, as mounts of the backend's own: read-only, and one that is full while it runs."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.process import BackendProcess
from tests.contract.checks import failed_start

READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
SMALL = 'mount -t tmpfs -o size=3m tmpfs "$1" && shift && exec "$@"'


def mounted(script: str, folder: Path) -> tuple[str, ...]:
    """Words that run a program for which this folder is mounted in another way, and for nobody else."""
    return ("unshare", "--mount", "sh", "-c", script, "sh", str(folder))


@pytest.fixture
def backend(stopped: BackendProcess) -> Iterator[BackendProcess]:
    """A backend whose data folder may be mounted on something else."""
    stopped.data.mkdir(parents=True)
    if shutil.which("unshare") is None:
        pytest.skip("mounts of its own need unshare (util-linux)")
    tried = subprocess.run([*mounted(SMALL, stopped.data), "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"mounts of its own are not allowed here: {tried.stderr.strip()}")
    yield stopped


@pytest.mark.parametrize("used", [False, True])
def test_a_read_only_mount_is_named_and_left_as_it_was(backend: BackendProcess, used: bool) -> None:
    if used:
        backend.start()
        backend.wait_task(backend.create()["task_id"], "idle")
        assert backend.stop() == 0
    before = {path.name: path.read_bytes() for path in backend.data.iterdir() if path.is_file()}
    backend.prefix = mounted(READ_ONLY, backend.data)
    code, said = failed_start(backend)
    assert code == 1
    last = said.splitlines()[-1]
    assert str(backend.data) in last
    assert "Read-only file system" in last
    assert "Traceback" not in said
    assert {path.name: path.read_bytes() for path in backend.data.iterdir() if path.is_file()} == before


@pytest.mark.slow
def test_a_disk_that_fills_up_is_answered_503_and_work_goes_on_once_there_is_room(backend: BackendProcess) -> None:
    backend.prefix = mounted(SMALL, backend.data)
    backend.environ |= {"FOUNDRY_STAGE_ATTEMPTS": "1000"}
    backend.set_script({"tasks": [{"match": "in the midst", "create_sandbox": {"ms": 700}}]})
    backend.start()
    assert backend.process is not None
    done = backend.wait_task(backend.create("before")["task_id"], "idle")
    going = backend.create("in the midst")["task_id"]
    backend.wait_task(going, "init_create_sandbox")
    # The folder as the backend sees it.
    ballast = Path(f"/proc/{backend.process.pid}/root{backend.data}/ballast")
    with ballast.open("wb", buffering=0) as file:
        room = os.statvfs(ballast.parent)
        while room.f_bavail:
            file.write(b"\0" * min(room.f_bavail * room.f_bsize, 65_536))
            room = os.statvfs(ballast.parent)
    body = {"repo": str(backend.repository), "prompt": "x" * 500_000}
    refused = [backend.http.post("/v1/tasks", json=body) for _ in range(3)]
    assert {answer.status_code for answer in refused} == {503}
    assert all(str(backend.data) in answer.json()["detail"] for answer in refused)
    assert backend.process.poll() is None
    told = backend.get("/v1/health")
    assert told["status"] in ("degraded", "unavailable") and str(backend.data) in told["reason"]
    assert backend.get(f"/v1/tasks/{done['task_id']}") == done
    assert len(backend.get("/v1/tasks")["tasks"]) == 2
    ballast.unlink()
    assert backend.get("/v1/health")["status"] == "ok"
    backend.wait_task(going, "idle")
    assert json.loads(backend.http.post("/v1/tasks", json=body).text)["status"] == "init_enqueue_provision"
