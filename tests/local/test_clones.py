"""Repositories that are known by their URL only: cloned once, kept up with, and their branches left alone."""

import shutil
from pathlib import Path

import anyio
import pytest

from backend_stub.domain.errors import GitError
from foundry_tui.contract.records import Repo, TaskDetail
from tests.backend.process import BackendProcess, json_of
from tests.git import git
from tests.local.world import LocalWorld
from tests.world import Json

pytestmark = pytest.mark.anyio


def by_url(world: LocalWorld) -> Repo:
    return Repo(repo_id="r3", label="code", remote=world.repository.as_uri())


def commit(world: LocalWorld, name: str) -> None:
    """A new commit with a file of this name in the repository that the URL means."""
    (world.repository / name).write_text("new\n")
    git(world.repository, "add", "--all")
    git(world.repository, "commit", "--quiet", f"--message={name}")


def worktree(world: LocalWorld, task: TaskDetail) -> Path:
    return world.data / "sandboxes" / task.task_id / "work" / "code"


async def test_it_is_cloned_once(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        tasks = [git_world.task(f"fix/{number}") for number in range(3)]
        async with anyio.create_task_group() as group:
            for task in tasks:
                group.start_soon(provider.create_sandbox, git_world.call(task, by_url(git_world)))
        assert [(worktree(git_world, task) / "a.txt").exists() for task in tasks] == [True] * 3
        assert [entry.name for entry in (git_world.data / "repositories" / "r3").iterdir()] == ["code"]


async def test_a_clone_that_is_whole_just_before_another_one_stays(
    git_world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def too_late(path: Path, target: Path) -> Path:
        if path.suffix == ".part":
            shutil.copytree(path, target)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", too_late)
    async with git_world.provider() as provider:
        task = git_world.task()
        await provider.create_sandbox(git_world.call(task, by_url(git_world)))
        assert (worktree(git_world, task) / "a.txt").exists()
        assert [entry.name for entry in (git_world.data / "repositories" / "r3").iterdir()] == ["code"]


async def test_a_task_starts_from_what_the_remote_has_now(git_world: LocalWorld) -> None:
    repo = by_url(git_world)
    async with git_world.provider() as provider:
        early, late, later = (git_world.task(f"fix/{number}") for number in range(3))
        await provider.create_sandbox(git_world.call(early, repo))
        commit(git_world, "late.txt")
        await provider.ensure_name(git_world.call(late, repo))
        await provider.create_sandbox(git_world.call(late, repo))
        assert not (worktree(git_world, early) / "late.txt").exists()
        assert (worktree(git_world, late) / "late.txt").exists()
        # The remote may be out of reach, or gone.
        git_world.repository.rename(git_world.folder / "moved")
        await provider.ensure_name(git_world.call(later, repo))
        await provider.create_sandbox(git_world.call(later, repo))
        assert (worktree(git_world, later) / "late.txt").exists()


async def test_a_local_branch_in_the_clone_that_has_grown_old_is_not_started_from(git_world: LocalWorld) -> None:
    repo = by_url(git_world)
    async with git_world.provider() as provider:
        early, late = (git_world.task(f"fix/{number}") for number in range(2))
        await provider.create_sandbox(git_world.call(early, repo))
        git(git_world.data / "repositories" / "r3" / "code", "branch", "main", "origin/main")
        commit(git_world, "late.txt")
        await provider.ensure_name(git_world.call(late, repo))
        await provider.create_sandbox(git_world.call(late, repo))
        assert (worktree(git_world, late) / "late.txt").exists()


async def test_one_without_a_commit_says_so(git_world: LocalWorld) -> None:
    empty = git_world.folder / "empty"
    empty.mkdir()
    git(empty, "init", "--quiet")
    repo = Repo(repo_id="r4", label="empty", remote=empty.as_uri())
    async with git_world.provider() as provider:
        task = git_world.task()
        existing = await provider.ensure_name(git_world.call(task, repo))
        assert list(await existing(["fix/it"])) == []
        with pytest.raises(GitError, match="has no commit yet"):
            await provider.create_sandbox(git_world.call(task, repo))


async def test_a_base_that_it_does_not_have_is_named(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task = git_world.task(base_branch="nowhere")
        with pytest.raises(GitError, match="the base branch nowhere does not exist"):
            await provider.create_sandbox(git_world.call(task, by_url(git_world)))


async def test_one_out_of_reach_does_not_fail_the_name(git_world: LocalWorld) -> None:
    repo = Repo(repo_id="r5", label="nowhere", remote=(git_world.folder / "nowhere").as_uri())
    async with git_world.provider() as provider:
        existing = await provider.ensure_name(git_world.call(git_world.task(), repo))
        assert list(await existing(["fix/it"])) == []
    assert git_world.logged("asking the remote failed, going on")


def refusal(backend: BackendProcess, url: str, branch: str) -> Json:
    answer = backend.http.post("/v1/tasks", json={"repo": url, "prompt": "x", "branch": branch})
    assert answer.status_code == 422
    [error] = json_of(answer)["errors"]
    assert error["field"] == "branch"
    return json_of(answer)


def test_its_branches_are_numbered_around_and_refused(git_backend: BackendProcess, git_world: LocalWorld) -> None:
    url = git_world.repository.as_uri()
    git(git_world.repository, "branch", "fix/fix-it")
    git(git_world.repository, "branch", "theirs")

    # Before there is a clone only the remote knows, which no request waits for.
    asked = git_backend.create("x", repo=url, branch="theirs")
    failed = git_backend.wait_task(asked["task_id"], "error")
    assert (failed["error"]["stage"], failed["error"]["kind"]) == ("ensure_name", "git")
    assert "theirs exists" in failed["error"]["message"]
    branches = f"/v1/repos/{asked['repo_id']}/branches"
    assert git_backend.get(branches) == {"branches": []}

    named = git_backend.create("fix it", repo=url)
    made = git_backend.wait_task(named["task_id"], lambda task: task["stages_done"] >= 2 or task["status"] == "error")
    assert made["branch"] == "fix/fix-it-2"
    assert made["stages_done"] >= 2
    assert git_backend.get(branches) == {"branches": ["main", "fix/fix-it", "fix/fix-it-2", "theirs"]}

    # What the clone knows is refused at once, also what only a task that is gone left there.
    git_backend.post(f"/v1/tasks/{named['task_id']}/archive", {"force": True})
    git_backend.wait_task(named["task_id"], "archived")
    assert git_backend.http.delete(f"/v1/tasks/{named['task_id']}").status_code == 204
    for taken in ("fix/fix-it", "fix/fix-it-2", "main"):
        assert f"The branch {taken} exists already" in str(refusal(git_backend, url, taken)["errors"])
    assert "cannot stand beside" in str(refusal(git_backend, url, "main/too")["errors"])

    # What the remote got since is seen when the task is named.
    git(git_world.repository, "branch", "fix/fix-that")
    again = git_backend.create("fix that", repo=url)
    settled = git_backend.wait_task(
        again["task_id"], lambda task: bool(task.get("branch")) or task["status"] == "error"
    )
    assert settled["branch"] == "fix/fix-that-2"
