"""Checkpoints of the demo world over HTTP: listed, compared with, gone back to, and gone back from."""

from tests.backend.process import BackendProcess
from tests.contract.checks import only, refused
from tests.world import Json

EDIT = {"tool": "Edit a.py", "edit": {"path": "a.py", "old": "a\n", "new": "b\n"}}
EDITS = {"default": {"turn": {"ms": 5, "steps": [EDIT]}}}
CHECKPOINT = "checkpoint_id prompt_id when at files added removed"


def undone(backend: BackendProcess, task_id: str, **request: object) -> Json:
    asked = backend.post(f"/v1/tasks/{task_id}/operations", {"kind": "undo", **request})
    task = backend.wait_task(task_id, lambda task: task.get("operation") is None)
    found: Json = next(each for each in task["operations"] if each["operation_id"] == asked["operation_id"])
    assert [step["name"] for step in found["steps"]] == ["checkpoint", "undo"]
    return found


def compared(backend: BackendProcess, task_id: str, since: str) -> list[Json]:
    """The files that differ since then: nobody waits for the first answer, whose files come behind it."""
    known = backend.get(f"/v1/tasks/{task_id}/diff", since=since)
    now = backend.get(f"/v1/tasks/{task_id}/diff", since=since, newer=known.get("computed_at") or 0)
    assert now["computed_at"] > (known.get("computed_at") or 0)
    files: list[Json] = now["files"]
    return files


def test_checkpoints_are_listed_compared_with_and_undone(backend: BackendProcess) -> None:
    backend.set_script(EDITS)
    task_id = backend.create()["task_id"]
    backend.wait_task(task_id, "idle")
    path = f"/v1/tasks/{task_id}"
    before, after = backend.get(f"{path}/checkpoints")["checkpoints"]
    for each in (before, after):
        only(each, frozenset(CHECKPOINT.split()), always=CHECKPOINT)
    assert (before["when"], after["when"], after["files"], after["added"]) == ("before", "after", 1, 1)
    assert before["at"] < after["at"], "it was before the turn, and not at its end"
    assert [file["path"] for file in compared(backend, task_id, "last")] == ["a.py"]
    assert backend.get(f"{path}/diff", since="base").keys() >= {"files", "computed_at"}
    assert compared(backend, task_id, after["checkpoint_id"]) == []
    refused(backend.http.get(f"{path}/diff?since=nothing"), 422, "since")
    made = undone(backend, task_id)
    assert (made["state"], made["result"]["to"], made["result"]["files"]) == ("done", before["checkpoint_id"], 1)
    assert backend.get(f"{path}/diff")["files"] == []
    patch = backend.http.get(f"{path}/diff?since={after['checkpoint_id']}&format=patch")
    assert patch.headers["content-type"].startswith("text/x-diff")
    assert b"-b\n+a\n" in patch.content
    session = backend.get(f"/v1/sessions/{backend.get(path)['sessions'][0]['session_id']}")
    assert "again what they were before “" in session["transcript"][-1]["body"]
    assert "The agent still remembers" in session["transcript"][-1]["body"]
    undone(backend, task_id, checkpoint_id=made["result"]["checkpoint_id"])
    assert [file["path"] for file in backend.get(f"{path}/diff")["files"]] == ["a.py"]
    whens = [each["when"] for each in backend.get(f"{path}/checkpoints")["checkpoints"]]
    assert whens == ["before", "after", "undo", "undo"]
    assert backend.kinds(task_id).count("checkpoint.made") == 4
    backend.post(f"{path}/operations", {"kind": "undo", "checkpoint_id": "nothing"}, status=409)


def test_a_turn_that_edits_nothing_has_none(backend: BackendProcess) -> None:
    task_id = backend.create()["task_id"]
    backend.wait_task(task_id, "idle")
    assert backend.get(f"/v1/tasks/{task_id}/checkpoints") == {"checkpoints": []}
    problem = backend.post(f"/v1/tasks/{task_id}/operations", {"kind": "undo"}, status=409)
    assert "nothing to go back to" in problem["detail"]
    refused(backend.http.get("/v1/tasks/01a2080f-3533-711a-990c-c7ddecc9953e/checkpoints"), 404)
