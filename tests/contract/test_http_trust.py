"""Trust of what a repository's `.foundry/` would run: told of it, given by its digest, and lost with its content."""

import os
from pathlib import Path
from typing import Any

import pytest

from foundry_tui.contract.ids import uuid7
from tests.backend.process import BackendProcess, json_of
from tests.contract.checks import REPO, creating, only, refused
from tests.git import git, make_repository
from tests.world import Json

Trust = dict[str, Any]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = make_repository(tmp_path / "repo")
    write(path, "#!/bin/sh\ntouch ran\n")
    return path


def write(repository: Path, script: str, name: str = "setup") -> None:
    (repository / ".foundry").mkdir(exist_ok=True)
    (repository / ".foundry" / name).write_text(script)
    (repository / ".foundry" / name).chmod(0o755)
    git(repository, "add", "--all")
    git(repository, "commit", "-q", "-m", name)


def known(backend: BackendProcess, repository: Path) -> tuple[str, Trust]:
    """Id and trust of the repository, as the list of all has them."""
    repo = next(each for each in backend.get("/v1/repos")["repos"] if each["path"] == str(repository))
    return str(repo["repo_id"]), repo["trust"]


def made(backend: BackendProcess, repository: Path, **fields: Any) -> tuple[Json, Path]:
    """A task of the provider `local` with its sandbox there, and the sandbox's folder."""
    body = creating(backend, repo=str(repository), provider="local", **fields)
    answer = backend.http.post("/v1/tasks", json=body)
    assert answer.status_code == 201, answer.text
    task = backend.wait_task(json_of(answer)["task_id"], lambda task: task["stages_done"] >= 2)
    return task, Path(task["sandbox"]["cwd"])


def told(backend: BackendProcess, task: Json) -> tuple[list[str], list[str]]:
    """The lines of the stage log, and the notices of the first session."""
    lines = [line["text"] for line in backend.get(f"/v1/tasks/{task['task_id']}/log")["lines"]]
    session = backend.get(f"/v1/sessions/{task['sessions'][0]['session_id']}")
    return lines, [item["body"] for item in session["transcript"] if item["kind"] == "notice"]


def test_a_set_up_waits_for_trust(backend: BackendProcess, repository: Path) -> None:
    repo = only(json_of(backend.http.post("/v1/repos", json={"path": str(repository)})), REPO, always="trust")
    assert repo["trust"] == {"digest": repo["trust"]["digest"], "trusted": False, "files": [".foundry/setup"]}

    task, folder = made(backend, repository)
    assert not (folder / "ran").exists()
    lines, notices = told(backend, task)
    assert any(".foundry/setup" in line and "skipped" in line for line in lines)
    assert len(notices) == 1
    assert "foundry trust" in notices[0]

    shown = backend.get(f"/v1/repos/{repo['repo_id']}/setup")
    assert shown["files"] == [{"path": ".foundry/setup", "text": "#!/bin/sh\ntouch ran\n"}]
    assert shown["digest"] == repo["trust"]["digest"]

    with backend.events("tasks") as events:
        assert next(events).event == "snapshot"
        given = backend.post(f"/v1/repos/{repo['repo_id']}/trust", {"digest": repo["trust"]["digest"]}, 200)
        assert given["trust"]["trusted"] is True
        assert next(event for event in events if event.event == "repo").json() == given
    task, folder = made(backend, repository)
    assert (folder / "ran").exists()
    assert told(backend, task)[1] == []


def test_another_content_is_not_trusted(backend: BackendProcess, repository: Path) -> None:
    _, folder = made(backend, repository, trust=True)
    assert (folder / "ran").exists()
    repo_id, trust = known(backend, repository)
    assert trust["trusted"] is True
    write(repository, "#!/bin/sh\ntouch harm\n")
    assert known(backend, repository)[1]["trusted"] is False
    _, folder = made(backend, repository)
    assert not (folder / "harm").exists()
    assert refused(backend.http.post(f"/v1/repos/{repo_id}/trust", json={"digest": trust["digest"]}), 409)
    # What was trusted once is so for ever.
    git(repository, "revert", "--no-edit", "HEAD")
    assert known(backend, repository) == (repo_id, trust)


def test_what_counts_is_all_that_would_be_run_or_read(backend: BackendProcess, repository: Path) -> None:
    backend.http.post("/v1/repos", json={"path": str(repository)})
    _, before = known(backend, repository)
    for name in ("teardown", "mcp.json", "rules.md"):
        write(repository, "x", name)
        _, now = known(backend, repository)
        assert now["digest"] != before["digest"]
        assert f".foundry/{name}" in now["files"]
        before = now
    for name in ("copy", "submodules", "notes"):
        write(repository, "x", name)
        assert known(backend, repository)[1] == before


def test_trust_survives_a_kill(backend: BackendProcess, repository: Path) -> None:
    backend.http.post("/v1/repos", json={"path": str(repository)})
    repo_id, trust = known(backend, repository)
    backend.post(f"/v1/repos/{repo_id}/trust", {"digest": trust["digest"]}, 200)
    backend.kill()
    backend.start()
    assert known(backend, repository)[1]["trusted"] is True
    assert (made(backend, repository)[1] / "ran").exists()


def test_what_is_refused(backend: BackendProcess, repository: Path, tmp_path: Path) -> None:
    plain = make_repository(tmp_path / "plain")
    repo = json_of(backend.http.post("/v1/repos", json={"path": str(plain)}))
    assert repo.get("trust") is None
    path = f"/v1/repos/{repo['repo_id']}/trust"
    assert refused(backend.http.post(path, json={"digest": "0" * 64}), 409)
    assert refused(backend.http.post(path, json={"digest": "0"}), 422)
    assert refused(backend.http.post(path, json={}), 422)
    assert refused(backend.http.post("/v1/repos/repo-0123456789ab/trust", json={"digest": "0" * 64}), 404)
    assert refused(backend.http.get("/v1/repos/repo-0123456789ab/setup"), 404)
    assert backend.get(f"/v1/repos/{repo['repo_id']}/setup")["files"] == []


def test_the_same_request_again_trusts_nothing_new(backend: BackendProcess, repository: Path) -> None:
    body = creating(backend, repo=str(repository), trust=True, task_id=uuid7())
    assert backend.http.post("/v1/tasks", json=body).status_code == 201
    write(repository, "#!/bin/sh\ntouch harm\n")
    assert backend.http.post("/v1/tasks", json=body).status_code == 200
    assert known(backend, repository)[1]["trusted"] is False


def test_a_repository_known_by_url(backend: BackendProcess, repository: Path) -> None:
    """What it says is known once a task has it."""
    remote = repository.as_uri()
    body = creating(backend, repo=remote, provider="local")
    task = backend.wait_task(json_of(backend.http.post("/v1/tasks", json=body))["task_id"], _has_sandbox)
    assert not (Path(task["sandbox"]["cwd"]) / "ran").exists()
    repo = next(each for each in backend.get("/v1/repos")["repos"] if each.get("remote") == remote)
    assert repo["trust"]["trusted"] is False
    given = backend.post(f"/v1/repos/{repo['repo_id']}/trust", {"digest": repo["trust"]["digest"]}, 200)
    assert given["trust"]["trusted"] is True
    body = creating(backend, repo=remote, provider="local")
    task = backend.wait_task(json_of(backend.http.post("/v1/tasks", json=body))["task_id"], _has_sandbox)
    assert (Path(task["sandbox"]["cwd"]) / "ran").exists()


def _has_sandbox(task: Json) -> bool:
    return bool(task["stages_done"] >= 2) or task["status"] == "error"


def test_what_cannot_be_kept_is_refused(backend: BackendProcess, repository: Path) -> None:
    backend.http.post("/v1/repos", json={"path": str(repository)})
    repo_id, trust = known(backend, repository)
    (backend.data / "trust").write_text("in the way")
    answer = backend.http.post(f"/v1/repos/{repo_id}/trust", json={"digest": trust["digest"]})
    assert refused(answer, 503)
    (backend.data / "trust").unlink()
    os.utime(repository)
    assert known(backend, repository)[1]["trusted"] is False


def test_null_is_absent_and_nonsense_refused(backend: BackendProcess, repository: Path) -> None:
    body = creating(backend, repo=str(repository), trust=None)
    assert backend.http.post("/v1/tasks", json=body).status_code == 201
    assert known(backend, repository)[1]["trusted"] is False
    assert refused(backend.http.post("/v1/tasks", json=body | {"trust": "yes"}), 422, "trust")


def test_a_name_that_is_no_text_is_logged(backend: BackendProcess, repository: Path) -> None:
    write(repository, "local-*\n", "copy")
    (repository / os.fsdecode(b"local-\xe9")).write_text("x")
    task, folder = made(backend, repository)
    assert (folder / os.fsdecode(b"local-\xe9")).exists()
    assert "copy local-\\udce9: done" in told(backend, task)[0]
