"""Repositories: two spellings of one path are one repository; branches come from what is known."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.backend.process import BackendProcess, json_of
from tests.contract.checks import REPO, creating, only, refused
from tests.git import make_repository


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def test_two_spellings_are_one_repository(shared: BackendProcess, tmp_path: Path) -> None:
    make_repository(tmp_path / "repo")
    (tmp_path / "repo" / "sub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "repo")
    first = shared.http.post("/v1/repos", json={"path": str(tmp_path / "repo")})
    assert first.status_code == 201
    repo = only(json_of(first), REPO, always="repo_id label path default_branch task_count")
    assert (repo["label"], repo["default_branch"], repo["task_count"]) == ("repo", "main", 0)
    for spelling in (
        f"{tmp_path}/repo/",
        f"{tmp_path}//repo/./",
        f"{tmp_path}/repo/../repo",
        f"{tmp_path}/link",
        f"{tmp_path}/repo/sub",
        f"{tmp_path}/repo/.git",
    ):
        again = shared.http.post("/v1/repos", json={"path": spelling, "remote": None})
        assert (again.status_code, json_of(again)["repo_id"]) == (200, repo["repo_id"]), spelling
        task = json_of(shared.http.post("/v1/tasks", json=creating(shared, repo=spelling)))
        assert task["repo_id"] == repo["repo_id"]
    by_id = json_of(shared.http.post("/v1/tasks", json=creating(shared, repo=repo["repo_id"])))
    assert (by_id["repo_id"], by_id["repo_label"]) == (repo["repo_id"], "repo")
    known = [each for each in shared.get("/v1/repos")["repos"] if each["repo_id"] == repo["repo_id"]]
    assert [each["task_count"] for each in known] == [7]
    assert known[0]["latest_activity"] == by_id["created_at"]


def test_the_default_branch_is_the_one_of_now(shared: BackendProcess, tmp_path: Path) -> None:
    make_repository(tmp_path / "moving")
    place = str(tmp_path / "moving")
    repo_id = json_of(shared.http.post("/v1/repos", json={"path": place}))["repo_id"]

    def told() -> object:
        return {repo["repo_id"]: repo["default_branch"] for repo in shared.get("/v1/repos")["repos"]}[repo_id]

    for branch, noticing in (("two", creating(shared, repo=place)), ("three", creating(shared, repo=repo_id))):
        _git(tmp_path / "moving", "checkout", "-q", "-b", branch)
        assert shared.http.post("/v1/tasks", json=noticing).status_code == 201
        assert told() == branch
    _git(tmp_path / "moving", "checkout", "-q", "main")
    again = shared.http.post("/v1/repos", json={"path": place})
    assert (again.status_code, json_of(again)["default_branch"], told()) == (200, "main", "main")


def test_worktrees_and_bare_repositories_are_repositories(shared: BackendProcess, tmp_path: Path) -> None:
    make_repository(tmp_path / "main")
    _git(tmp_path / "main", "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    _git(tmp_path, "clone", "-q", "--bare", str(tmp_path / "main"), str(tmp_path / "bare.git"))
    for folder, label in (("side", "side"), ("bare.git", "bare")):
        answer = shared.http.post("/v1/repos", json={"path": str(tmp_path / folder)})
        assert answer.status_code == 201
        assert json_of(answer)["label"] == label
        branches = shared.get(f"/v1/repos/{json_of(answer)['repo_id']}/branches")
        assert set(branches) == {"branches"}
        assert {"main", "side"} <= set(branches["branches"])


def test_urls_are_taken_at_their_word(shared: BackendProcess) -> None:
    first = shared.http.post("/v1/repos", json={"remote": "https://Git.Example/owner/name.git"})
    again = shared.http.post("/v1/repos", json={"remote": "https://git.example/owner/name/"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert json_of(first)["repo_id"] == json_of(again)["repo_id"]
    assert json_of(first).get("path") is None
    assert shared.get(f"/v1/repos/{json_of(first)['repo_id']}/branches") == {"branches": []}
    answer = shared.http.post("/v1/tasks", json=creating(shared, repo="git@git.example:owner/name.git"))
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "path"),
        ({"path": None, "remote": None}, "path"),
        ({"path": "/x", "remote": "https://h/x"}, "path"),
        ({"path": ""}, "path"),
        ({"path": "https://h/x"}, "path"),
        ({"remote": "/x"}, "remote"),
        ({"remote": "https://me:secret@host/x"}, "remote"),
        ({"remote": "ssh://-oProxyCommand=x/y"}, "remote"),
        ({"remote": "ext::sh -c id"}, "remote"),
        ({"path": "/no/such"}, "path"),
        ({"path": "/" + "x" * 5_000}, "path"),
        ({"path": "~"}, "path"),
        ({"path": "relative"}, "path"),
        ({"path": "/dev/null"}, "path"),
        ({"path": 1}, "path"),
        ({"path": "/x", "label": "x"}, "label"),
    ],
)
def test_what_is_no_repository_is_refused(shared: BackendProcess, body: dict[str, object], field: str) -> None:
    problem = refused(shared.http.post("/v1/repos", json=body), 422, field)
    assert "secret" not in str(problem)


def test_names_that_are_no_utf8_are_refused_and_never_break_an_answer(shared: BackendProcess, tmp_path: Path) -> None:
    make_repository(tmp_path / "plain")
    head = tmp_path / "plain" / ".git" / "HEAD"
    head.write_bytes(b"ref: refs/heads/m\xff\n")
    answer = shared.http.post("/v1/repos", json={"path": str(tmp_path / "plain")})
    assert answer.status_code == 201
    assert json_of(answer).get("default_branch") is None
    make_repository(tmp_path / "odd")
    strange = tmp_path / os.fsdecode(b"od\xffd")
    try:
        (tmp_path / "odd").rename(strange)
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    (tmp_path / "link").symlink_to(strange)
    refused(shared.http.post("/v1/repos", json={"path": str(tmp_path / "link")}), 422, "path")


def test_a_folder_that_went_away_is_refused_by_its_id_too(shared: BackendProcess, tmp_path: Path) -> None:
    make_repository(tmp_path / "gone")
    repo = json_of(shared.http.post("/v1/repos", json={"path": str(tmp_path / "gone")}))
    (tmp_path / "gone").rename(tmp_path / "away")
    refused(shared.http.post("/v1/tasks", json=creating(shared, repo=repo["repo_id"])), 422, "repo")
    assert shared.get(f"/v1/repos/{repo['repo_id']}/branches") == {"branches": []}
    refused(shared.http.get("/v1/repos/none/branches"), 404)
