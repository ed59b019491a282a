"""Operations where the person's repository is not the plain one: what is done, and what is said where it cannot be."""

from pathlib import Path

import pytest

from backend_stub.domain.errors import GitError
from tests.git import git, make_code
from tests.local.test_way_home import add_origin, change, identify, operate, sandbox
from tests.local.world import LocalWorld

pytestmark = pytest.mark.anyio


def add_hook(folder: Path, name: str, words: str) -> None:
    hook = folder / "hooks" / name
    hook.write_text(f"#!/bin/sh\n{words}\n")
    hook.chmod(0o755)


async def test_a_commit_that_it_began_from_is_no_branch_to_land_on(git_world: LocalWorld) -> None:
    identify(git_world.repository)
    commit = git(git_world.repository, "rev-parse", "HEAD~1")
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task(base_branch=commit))
        assert task.sandbox is not None
        change(Path(task.sandbox.cwd), "a.txt", "ours\n", commit=True)
        with pytest.raises(GitError, match=f"from the commit {commit[:10]}, which is no branch.*--into BRANCH"):
            await operate(git_world, provider, task, "land")
        work = await provider.work(git_world.call(task))
        assert work is not None and (work.base, work.ahead) == (commit[:10], 1)
        await operate(git_world, provider, task, "land", into="main")
        assert git(git_world.repository, "show", "main:a.txt") == "ours"


async def test_all_is_committed_also_outside_of_what_a_sparse_checkout_has(git_world: LocalWorld) -> None:
    for name in ("left", "right"):
        (git_world.repository / name).mkdir()
        change(git_world.repository, f"{name}/x.txt", "x\n", commit=True)
    git(git_world.repository, "sparse-checkout", "set", "left")
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        assert not (folder / "right").exists()
        (folder / "right").mkdir()
        change(folder, "right/new.txt", "new\n")
        change(folder, "right/x.txt", "ours\n")
        change(folder, "left/x.txt", "ours\n")
        await operate(git_world, provider, task, "commit")
        changed = git(folder, "diff", "--name-status", "HEAD~1", "HEAD").splitlines()
        assert changed == ["M\tleft/x.txt", "A\tright/new.txt", "M\tright/x.txt"]
        assert git(folder, "status", "--porcelain") == ""
        await operate(git_world, provider, task, "land")
        assert git(git_world.repository, "show", "main:right/x.txt") == "ours"
        assert (git_world.repository / "left/x.txt").read_text() == "ours\n"
        assert git(git_world.repository, "status", "--porcelain") == ""


async def test_a_submodule_on_another_commit_is_not_applied_as_if_it_were(git_world: LocalWorld) -> None:
    library = make_code(git_world.folder / "library")
    words = ("-c", "protocol.file.allow=always", "submodule", "add", "--quiet", str(library), "lib")
    git(git_world.repository, *words)
    git(git_world.repository, "commit", "--quiet", "--message=lib")
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "a.txt", "ours\n")
        git(folder / "lib", "commit", "--quiet", "--allow-empty", "--message=inner")
        with pytest.raises(GitError, match=r"put submodules on other commits \(lib\)"):
            await operate(git_world, provider, task, "apply")
        assert git(git_world.repository, "status", "--porcelain") == ""


async def test_a_refused_push_is_told_in_the_words_of_who_refused_it(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        remote = add_origin(git_world)
        change(folder, "a.txt", "ours\n", commit=True)
        add_hook(git_world.repository / ".git", "pre-push", "echo the tests are red >&2; exit 1")
        with pytest.raises(GitError) as refused:
            await operate(git_world, provider, task, "push")
        assert str(refused.value) == ("The push to origin was refused, by a hook or by git itself: the tests are red.")
        add_hook(git_world.repository / ".git", "pre-push", "exit 0")
        add_hook(remote, "pre-receive", "echo branches begin with a number >&2; exit 1")
        with pytest.raises(GitError) as refused:
            await operate(git_world, provider, task, "push")
        assert str(refused.value).startswith(
            f"origin does not take this push to {task.branch}: branches begin with a number. Do what it asks for; or"
        )
        git(git_world.repository, "remote", "set-url", "origin", str(git_world.folder / "nowhere"))
        with pytest.raises(GitError, match="is not there, or the login"):
            await operate(git_world, provider, task, "push")
