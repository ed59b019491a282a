"""Repositories that are not what they seem: linked worktrees that go away, and bare ones among other files."""

import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec
import pytest

from backend_stub.domain.errors import CallError, GitError
from backend_stub.domain.provider import Release
from backend_stub.repository import files
from backend_stub.repository.git import branches_near, run_git
from backend_stub.repository.git_errors import explain
from backend_stub.repository.location import NotARepositoryError, find_folders, find_repository
from backend_stub.storage.sqlite import open_storage
from backend_stub.task.branches import Name, NameChooser
from foundry_tui.contract.records import Repo, TaskDetail
from tests.git import git, make_code
from tests.local.world import LIMIT, LocalWorld

pytestmark = pytest.mark.anyio


def repo_at(folder: Path) -> Repo:
    return Repo(repo_id="linked", label=folder.name, path=str(folder), default_branch="main")


def folder_of(task: TaskDetail) -> Path:
    assert task.sandbox is not None
    return Path(task.sandbox.cwd)


async def test_a_sandbox_outlives_the_linked_worktree_that_it_was_made_from(git_world: LocalWorld) -> None:
    linked = git_world.folder / "linked"
    git(git_world.repository, "worktree", "add", "--quiet", "-b", "mine", str(linked))
    async with git_world.provider() as provider:
        task, repo = git_world.task(), repo_at(linked)
        made = await provider.create_sandbox(git_world.call(task, repo))
        folder = Path(made.sandbox.cwd)
        git(git_world.repository, "worktree", "remove", "--force", str(linked))
        call = git_world.call(task, repo)
        assert await provider.find_branch(call) == "fix/it"
        shutil.rmtree(folder)
        assert await provider.restore_sandbox(call)
        assert (folder / "a.txt").exists()
        (folder / "new.txt").write_text("x")
        provider.changes.refresh(task.task_id)
        await provider.changes.settled()
        assert list(provider.would_lose(task, delete_branch=False)) == ["1 uncommitted file: new.txt"]
        with pytest.raises(CallError, match=r"new\.txt"):
            await provider.release_sandbox(call, Release())
        (folder / "new.txt").unlink()
        await provider.destroy_sandbox(call, Release(delete_branch=True))
        assert not folder.exists()
        assert git(git_world.repository, "branch", "--list", "fix/it") == ""
        assert len(git(git_world.repository, "worktree", "list").splitlines()) == 1


async def test_the_end_of_a_sandbox_that_others_were_made_from_is_warned_of(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        parent = await git_world.with_sandbox(provider, git_world.task("feat/parent"))
        repo = repo_at(folder_of(parent))
        child = git_world.task("feat/child")
        made = await provider.create_sandbox(git_world.call(child, repo))
        warning = "the folder that another task was made from: feat/child (it keeps its own)"
        assert warning in provider.would_lose(parent, delete_branch=False)
    async with git_world.provider() as provider:
        assert warning in provider.would_lose(parent, delete_branch=False)
        await provider.destroy_sandbox(git_world.call(parent), Release(force=True, delete_branch=True))
        call = git_world.call(child, repo)
        assert await provider.find_branch(call) == "feat/child"
        await provider.destroy_sandbox(call, Release(delete_branch=True))
        assert not Path(made.sandbox.cwd).exists()
        with anyio.fail_after(LIMIT):
            await provider.changes.settled()
    assert len(git(git_world.repository, "worktree", "list").splitlines()) == 1


async def test_a_bare_repository_among_the_files_of_another_is_not_used(git_world: LocalWorld) -> None:
    witness, program = git_world.folder / "witness", git_world.folder / "program"
    program.write_text(f"#!/bin/sh\ntouch {witness}\n")
    program.chmod(0o755)
    planted = git_world.repository / "fixtures" / "planted"
    planted.mkdir(parents=True)
    git(planted, "init", "--quiet", "--bare", ".")
    for name in ("core.fsmonitor", "core.sshCommand", "core.hooksPath"):
        git(planted, "config", name, str(program))
    git(planted, "config", "remote.origin.url", "ssh://localhost/x")
    for inside in (planted, planted / "objects"):
        with pytest.raises(NotARepositoryError, match=f"among the files of {git_world.repository}"):
            find_repository(str(inside))
    with pytest.raises(GitError, match=r"safe\.bareRepository"):
        await run_git(str(planted), "fetch", "origin")
    assert not witness.exists()
    # One in a folder of its own is what it always was.
    own = git_world.folder / "own.git"
    git(git_world.folder, "clone", "--quiet", "--bare", str(git_world.repository), str(own))
    assert find_repository(str(own)).path == str(own)
    assert find_folders(str(git_world.repository / ".git")).top == str(git_world.repository)


@pytest.mark.parametrize("fault", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO])
async def test_a_fault_of_the_machine_makes_no_repository_damaged(
    git_world: LocalWorld, monkeypatch: pytest.MonkeyPatch, fault: int
) -> None:
    open_ = os.open

    def broken(path: str, *arguments: int) -> int:
        if str(path).startswith(str(git_world.repository)):
            raise OSError(fault, os.strerror(fault), path)
        return open_(path, *arguments)

    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        with monkeypatch.context() as patched:
            patched.setattr("backend_stub.repository.files.os.open", broken)
            with pytest.raises(files.MachineFaultError, match=os.strerror(fault)) as caught:
                find_repository(str(git_world.repository))
            assert "Try again" in caught.value.message
            with pytest.raises(CallError, match=os.strerror(fault)) as failed:
                await provider.find_branch(git_world.call(task))
            assert failed.value.retryable
        assert await provider.find_branch(git_world.call(task)) == "fix/it"


@pytest.mark.parametrize(
    "said",
    [
        "fatal: unable to create pipe: Too many open files",
        "error: cannot fork() for git-remote-https: Cannot allocate memory",
        "error: unable to read sha1 file of x: Input/output error",
        "fatal: Out of memory, malloc failed (tried to allocate 8 bytes)",
    ],
)
async def test_what_git_says_of_the_machine_is_no_damage(git_world: LocalWorld, said: str) -> None:
    error = explain(["status"], str(git_world.repository), 128, said)
    assert error.retryable
    assert "reason of this machine" in error.message
    assert "damaged" not in error.message


async def test_a_repository_that_git_could_not_read_is_still_one(git_world: LocalWorld) -> None:
    said = "fatal: not a git repository (or any of the parent directories): .git"
    assert explain(["status"], str(git_world.repository), 128, said).retryable
    gone = explain(["status"], str(git_world.folder / "home"), 128, said)
    assert not gone.retryable
    assert "no git repository any more" in gone.message


async def test_branches_that_collide_are_found_among_many(git_world: LocalWorld) -> None:
    clone = git_world.folder / "clone"
    names = ("fix/a", "fix/a-2", "Fix/B", "fix/c/d", "feat", "other", "fix/abc")
    for name in names:
        git(git_world.repository, "branch", name)
    git(git_world.folder, "clone", "--quiet", "--origin", "team/up", str(git_world.repository), str(clone))
    git(clone, "branch", "local")
    for folder in (git_world.repository, clone):
        place = str(folder)
        assert await branches_near(place, ["fix/a"]) == {"fix/a"}
        assert await branches_near(place, ["fix/a", "fix/a-2", "fix/a-3"]) == {"fix/a", "fix/a-2"}
        assert await branches_near(place, ["fix/b"]) == {"Fix/B"}
        assert await branches_near(place, ["fix/c"]) == {"fix/c/d"}
        assert await branches_near(place, ["feat/x/y"]) == {"feat"}
        assert await branches_near(place, ["fix/é"]) == set()
        assert await branches_near(place, ["new/x"]) == set()
    make_code(git_world.folder / "plain")
    assert await branches_near(str(git_world.folder / "plain"), ["main"]) == {"main"}


async def test_many_tasks_of_one_wish_get_branches_of_their_own_at_once(git_world: LocalWorld, tmp_path: Path) -> None:
    for name in ("feat/a", "feat/a-2", "Feat/A-3"):
        git(git_world.repository, "branch", name)

    async def existing(names: Sequence[str]) -> frozenset[str]:
        return await branches_near(str(git_world.repository), names)

    storage = open_storage(tmp_path)
    branches = NameChooser(storage)
    names: list[Name] = []

    async def settle() -> None:
        task = msgspec.structs.replace(git_world.task(), branch=None, title="a", prompt="Fix a")
        names.append(await branches.choose(task, existing))

    try:
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(settle)
    finally:
        await storage.close()
    assert sorted(name.branch for name in names) == sorted(f"feat/a-{number}" for number in range(4, 24))
