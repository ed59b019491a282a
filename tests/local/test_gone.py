"""A sandbox that somebody removed, moved, renamed or switched: said before a prompt goes into nothing, and mended."""

import os
import shutil
from pathlib import Path

import pytest

from backend_stub.domain.errors import ProviderError
from backend_stub.machine import processes
from tests.backend.process import BackendProcess
from tests.git import git
from tests.local.test_backend import create, is_idle, say, texts
from tests.local.world import LocalWorld
from tests.world import Json


def failed(backend: BackendProcess, task_id: str) -> Json:
    return backend.wait_task(task_id, "error")


def test_a_worktree_that_was_removed_is_said_and_made_again(backend: BackendProcess, world: LocalWorld) -> None:
    task_id = create(backend, world, "write kept.txt yes")
    task = is_idle(backend, task_id)
    folder = Path(task["sandbox"]["cwd"])
    git(folder, "add", "kept.txt")
    shutil.rmtree(folder)
    before = len(world.agent_pids()), len(world.agent_saw("session/prompt"))
    say(backend, task, "say hello", "p2")
    error = failed(backend, task_id)["error"]
    assert f"The worktree {folder} of this task is gone" in error["message"]
    assert "Retry makes it again" in error["message"]
    assert (error["kind"], error.get("stage")) == ("agent", None)
    assert before == (len(world.agent_pids()), len(world.agent_saw("session/prompt")))
    session = backend.get(f"/v1/sessions/{task['sessions'][0]['session_id']}")
    assert {prompt["prompt_id"]: prompt["state"] for prompt in session["prompts"]}["p2"] == "failed"

    backend.post(f"/v1/tasks/{task_id}/retry")
    task = backend.wait_task(task_id, "idle")
    assert (folder / "a.txt").read_text() == "one\ntwo\n"
    # It was in the index, which git keeps elsewhere.
    assert (folder / "kept.txt").exists()
    assert "sandbox.created" in backend.kinds(task_id)[-8:]
    say(backend, task, "write after.txt x\nsay back again", "p3")
    is_idle(backend, task_id, prompts=2)
    assert (folder / "after.txt").exists()
    assert texts(backend, task)[-1].endswith("back again")


def test_a_worktree_that_was_moved_is_not_made_twice(backend: BackendProcess, world: LocalWorld) -> None:
    task_id = create(backend, world, "say done")
    task = is_idle(backend, task_id)
    folder = Path(task["sandbox"]["cwd"])
    place = world.folder / "elsewhere"
    git(world.repository, "worktree", "move", str(folder), str(place))
    say(backend, task, "say hello", "p2")
    assert f"was moved to {place}" in failed(backend, task_id)["error"]["message"]
    backend.post(f"/v1/tasks/{task_id}/retry")
    assert f"was moved to {place}" in failed(backend, task_id)["error"]["message"]
    assert (place / "a.txt").exists()
    assert not folder.exists()
    git(world.repository, "worktree", "move", str(place), str(folder))
    backend.post(f"/v1/tasks/{task_id}/retry")
    backend.wait_task(task_id, "idle")


@pytest.mark.slow
def test_the_branch_of_a_task_is_the_one_that_git_has(backend: BackendProcess, world: LocalWorld) -> None:
    task_id = create(backend, world, "say done", branch="fix/before")
    task = is_idle(backend, task_id)
    folder = Path(task["sandbox"]["cwd"])
    git(folder, "branch", "-m", "fix/after")
    say(backend, task, "say hello", "p2")
    assert is_idle(backend, task_id, prompts=2)["branch"] == "fix/after"
    # The old name may be another's by now, the new one not.
    is_idle(backend, create(backend, world, "say done", branch="fix/before"))
    taken = {"repo": str(world.repository), "prompt": "say done", "branch": "fix/after"}
    refused = backend.http.post("/v1/tasks", json=taken)
    assert "The branch fix/after exists already." in refused.text
    git(folder, "switch", "--quiet", "-c", "aside")
    say(backend, task, "say hello", "p3")
    assert is_idle(backend, task_id, prompts=3)["branch"] == "aside"
    assert {task["branch"] for task in backend.get("/v1/tasks")["tasks"]} == {"aside", "fix/before"}
    # What was made for the task is deleted with it, by its new name; what was only switched to is not.
    backend.post(f"/v1/tasks/{task_id}/kill", {"force": True, "delete_branch": True})
    backend.wait_task(task_id, "killed")
    assert git(world.repository, "branch", "--format=%(refname:short)").split() == ["aside", "fix/before", "main"]


def test_branches_whose_names_are_no_utf_8_are_worked_from_and_shown(
    backend: BackendProcess, world: LocalWorld
) -> None:
    odd = os.fsdecode(b"feat/\xe9t\xe9")
    git(world.repository, "switch", "--quiet", "-c", odd)
    task_id = create(backend, world, "say done")
    task = is_idle(backend, task_id)
    assert task["status"] == "idle", task["error"]
    folder = Path(task["sandbox"]["cwd"])
    assert git(folder, "log", "-1", "--format=%s").strip() == "second"
    git(folder, "switch", "--quiet", "-c", f"{odd}-2")
    say(backend, task, "say hello", "p2")
    assert is_idle(backend, task_id, prompts=2)["branch"] == "feat/�t�-2"


@pytest.mark.anyio
async def test_what_cannot_be_made_again_is_said(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        folder = Path(task.sandbox.cwd)
        call = git_world.call(task)
        git_world.lines.clear()
        assert await provider.find_branch(call) == "fix/it"
        assert git_world.lines == [], "each prompt asks for it, so no git is run for it"
        assert not await provider.restore_sandbox(call)
        git(folder, "checkout", "--quiet", "--detach")
        assert await provider.find_branch(call) is None
        git(folder, "symbolic-ref", "HEAD", os.fsdecode(b"refs/heads/caf\xe9"))
        assert await provider.find_branch(call) == "caf\ufffd"
        git(folder, "symbolic-ref", "HEAD", "refs/heads/fix/it")
        # Its .git alone: the files that are there are left as they are.
        (folder / ".git").unlink()
        (folder / "a.txt").write_text("work\n")
        with pytest.raises(ProviderError, match=r"The \.git of the worktree"):
            await provider.find_branch(call)
        assert await provider.restore_sandbox(call)
        assert (folder / "a.txt").read_text() == "work\n"
        git(folder, "checkout", "--quiet", "fix/it")
        # Pruned by git: its branch has it still.
        git(folder, "commit", "--quiet", "--all", "--message=work")
        shutil.rmtree(folder)
        git(git_world.repository, "worktree", "prune")
        with pytest.raises(ProviderError, match="is gone"):
            await provider.find_branch(call)
        assert await provider.restore_sandbox(call)
        assert (folder / "a.txt").read_text() == "work\n"
        shutil.rmtree(folder)
        git(git_world.repository, "worktree", "prune")
        git(git_world.repository, "branch", "-D", "fix/it")
        with pytest.raises(ProviderError, match="so is its branch fix/it"):
            await provider.restore_sandbox(call)
        shutil.rmtree(git_world.repository)
        with pytest.raises(ProviderError, match=r"repository .* is gone"):
            await provider.find_branch(call)
    processes.end_marked(task.task_id)
