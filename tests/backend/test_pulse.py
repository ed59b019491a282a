"""A database and its pulse: a restart goes on with one life, an older copy in its place begins another."""

import json
import shutil
from pathlib import Path

import pytest

from backend_stub.storage.pulse import FILE_NAME, ROOM, TOUCHED, Beat
from foundry_tui.contract.codec import decode, encode
from foundry_tui.contract.replace import replace
from tests.backend.process import BackendProcess
from tests.world import Json


def first_event(backend: BackendProcess, last_event_id: str | None = None) -> tuple[str, str, Json]:
    """Name, id and data of what a stream of `tasks` begins with."""
    with backend.events("tasks", last_event_id) as events:
        event = next(events)
        return event.event, event.id, json.loads(event.data)


def copy_database(source: Path, target: Path, files: str) -> None:
    """What a person does who saves or restores a copy: of these files, with the times that they had."""
    target.mkdir(exist_ok=True)
    for old in target.glob("foundry.db*"):
        old.unlink()
    for file in source.glob(files):
        if file.is_file():
            shutil.copy2(file, target)


def age(copy: Path) -> None:
    """Have it be of a while ago, by what its pulse says, if it has one."""
    pulse = copy / FILE_NAME
    if pulse.exists():
        beat = decode(pulse.read_bytes(), Beat)
        pulse.write_bytes(encode(replace(beat, written=beat.written - 2 * TOUCHED)).ljust(ROOM))


def test_a_killed_and_restarted_backend_goes_on_with_the_same_life(backend: BackendProcess) -> None:
    backend.wait_task(backend.create()["task_id"], "idle")
    _, seen, _ = first_event(backend)
    for end in (backend.kill, backend.stop):
        end()
        backend.start()
        assert first_event(backend, seen)[:2] == ("resumed", seen)


@pytest.mark.parametrize("how", ["database", "folder", "moved"])
def test_an_older_copy_is_another_life_however_far_it_comes(backend: BackendProcess, tmp_path: Path, how: str) -> None:
    files = "foundry.db*" if how == "database" else "*"
    kept = backend.create("kept")["task_id"]
    backend.wait_task(kept, "idle")
    backend.stop()
    copy_database(backend.data, tmp_path / "copy", files)
    age(tmp_path / "copy")
    backend.start()
    lost = backend.create("made after the copy")["task_id"]
    backend.wait_task(lost, "idle")
    _, seen, snapshot = first_event(backend)
    backend.kill()
    if how == "moved":
        shutil.copytree(backend.data / "demo", tmp_path / "copy" / "demo")
        shutil.rmtree(backend.data)
        (tmp_path / "copy").rename(backend.data)
    else:
        copy_database(tmp_path / "copy", backend.data, files)
    backend.start()
    while backend.get("/v1/tasks")["seq"] <= snapshot["seq"]:
        backend.wait_task(backend.create("made after the restoration")["task_id"], "idle")
    name, begun, fresh = first_event(backend, seen)
    assert name == "snapshot"
    assert begun.split("-")[0] != seen.split("-")[0]
    ids = {task["task_id"] for task in fresh["tasks"]}
    assert kept in ids
    assert lost not in ids


def test_a_pulse_that_is_damaged_or_gone_costs_a_snapshot_and_nothing_else(backend: BackendProcess) -> None:
    task_id = backend.create()["task_id"]
    backend.wait_task(task_id, "idle")
    for damage in (lambda pulse: pulse.write_bytes(b"\0" * 128), Path.unlink):
        _, seen, _ = first_event(backend)
        backend.kill()
        damage(backend.data / "pulse")
        backend.start()
        name, begun, snapshot = first_event(backend, seen)
        assert name == "snapshot"
        assert begun.split("-")[0] != seen.split("-")[0]
        assert [task["task_id"] for task in snapshot["tasks"]] == [task_id]
