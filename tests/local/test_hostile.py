"""Repositories and worktrees as bad as they come: nothing that is not ours is removed, and errors say what to do."""

import shutil
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
import pytest

from backend_stub.domain.errors import CallError, GitError, ProviderError
from backend_stub.domain.provider import Release
from backend_stub.providers.local import LocalProvider
from foundry_tui.contract.records import Repo, TaskDetail
from tests.git import git, make_code
from tests.local.gate import Gate
from tests.local.world import LIMIT, LocalWorld, ended

pytestmark = pytest.mark.anyio


@pytest.fixture
async def provider(git_world: LocalWorld) -> AsyncIterator[LocalProvider]:
    async with git_world.provider() as provider:
        yield provider


def folder_of(task: TaskDetail) -> Path:
    assert task.sandbox is not None
    return Path(task.sandbox.cwd)


def commit(folder: Path, name: str) -> None:
    (folder / name).write_text("work\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", f"--message={name}")


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def refused(world: LocalWorld, provider: LocalProvider, task: TaskDetail, *, force: bool = True) -> str:
    """Why this task's sandbox is not removed."""
    with pytest.raises(CallError) as caught:
        await world.kill(provider, task, force=force)
    return caught.value.message


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


# What is in the worktree's place


@pytest.mark.parametrize("registered", [True, False], ids=["registered", "pruned"])
@pytest.mark.parametrize("what", ["repository", "worktree of another", "linked above"])
async def test_what_the_user_put_in_its_place_is_never_removed(
    git_world: LocalWorld, provider: LocalProvider, what: str, registered: bool
) -> None:
    task = await git_world.with_sandbox(provider, git_world.task())
    folder = folder_of(task)
    shutil.rmtree(folder)
    if not registered:
        git(git_world.repository, "worktree", "prune")
    if what == "linked above":
        theirs = make_code(git_world.folder / "theirs" / "code")
        folder.parent.rmdir()
        folder.parent.symlink_to(theirs.parent)
    elif what == "repository":
        theirs = make_code(folder)
    else:
        other = make_code(git_world.folder / "other")
        git(other, "worktree", "add", "--quiet", "-b", "x", str(folder))
        theirs = folder
    before = files_below(theirs)
    assert "Move it away" in (said := await refused(git_world, provider, task)) or "symbolic link" in said
    with pytest.raises(ProviderError, match=r"Move it away|symbolic link"):
        await provider.create_sandbox(git_world.call(task))
    assert files_below(theirs) == before


async def test_a_moved_worktree_stays_with_who_moved_it(git_world: LocalWorld, provider: LocalProvider) -> None:
    task = await git_world.with_sandbox(provider, git_world.task())
    moved = git_world.folder / "moved"
    git(git_world.repository, "worktree", "move", str(folder_of(task)), str(moved))
    with pytest.raises(GitError, match=f"checked out in another worktree, {moved}"):
        await provider.create_sandbox(git_world.call(task))
    (moved / "new.txt").write_text("x")
    await git_world.kill(provider, task)
    assert (moved / "new.txt").exists()
    assert git(moved, "branch", "--show-current").strip() == "fix/it"


async def test_a_locked_worktree_is_kept_unless_forced(git_world: LocalWorld, provider: LocalProvider) -> None:
    task = await git_world.with_sandbox(provider, git_world.task())
    git(git_world.repository, "worktree", "lock", "--reason=mine\nof course", str(folder_of(task)))
    assert "git worktree unlock" in await refused(git_world, provider, task, force=False)
    assert folder_of(task).is_dir()
    await git_world.kill(provider, task)
    assert not folder_of(task).exists()


async def test_links_in_a_worktree_are_removed_and_not_followed(git_world: LocalWorld, provider: LocalProvider) -> None:
    task = await git_world.with_sandbox(provider, git_world.task())
    victim = git_world.folder / "victim"
    (victim / "sub").mkdir(parents=True)
    (victim / "sub" / "precious.txt").write_text("theirs")
    victim.chmod(stat.S_IRUSR | stat.S_IXUSR)
    for name, target in (("abs", victim), ("up", Path("../../..")), ("loop", Path("loop")), ("git", Path(".git"))):
        (folder_of(task) / name).symlink_to(target)
    await git_world.kill(provider, task)
    assert not folder_of(task).exists()
    assert (victim / "sub" / "precious.txt").exists()
    assert stat.S_IMODE(victim.stat().st_mode) == stat.S_IRUSR | stat.S_IXUSR


async def test_a_removal_that_was_cut_is_gone_on_with(git_world: LocalWorld, provider: LocalProvider) -> None:
    task = await git_world.with_sandbox(provider, git_world.task())
    folder = folder_of(task)
    removed = folder.parent.parent / "removed"
    folder.rename(removed)
    (removed / "a.txt").unlink()
    await git_world.kill(provider, task, force=False)
    assert not removed.parent.exists()
    assert len(git(git_world.repository, "worktree", "list").splitlines()) == 1


async def test_a_worktree_without_its_git_file_goes_when_forced(git_world: LocalWorld, provider: LocalProvider) -> None:
    task = await git_world.with_sandbox(provider, git_world.task())
    (folder_of(task) / ".git").unlink()
    (folder_of(task) / "new.txt").write_text("x")
    assert "1 uncommitted file: new.txt" in await refused(git_world, provider, task, force=False)
    await git_world.kill(provider, task)
    assert len(git(git_world.repository, "worktree", "list").splitlines()) == 1


# What would be lost


async def test_commits_on_no_branch_are_work_too(git_world: LocalWorld, provider: LocalProvider) -> None:
    task = await git_world.with_sandbox(provider, git_world.task())
    git(folder_of(task), "checkout", "--quiet", "--detach")
    commit(folder_of(task), "detached.txt")
    said = await refused(git_world, provider, task, force=False)
    assert "1 commit on no branch" in said


async def test_commits_on_the_branch_are_lost_with_it_only(git_world: LocalWorld, provider: LocalProvider) -> None:
    task = await git_world.with_sandbox(provider, git_world.task())
    commit(folder_of(task), "work.txt")
    git(folder_of(task), "checkout", "--quiet", "-b", "aside", "main")
    with pytest.raises(ProviderError, match="1 unpushed commit on fix/it"):
        await provider.destroy_sandbox(git_world.call(task), Release(delete_branch=True))
    await git_world.kill(provider, task, force=False)
    assert not folder_of(task).exists()
    assert git(git_world.repository, "log", "--format=%s", "main..fix/it").strip() == "work.txt"


async def test_a_branch_with_unpushed_commits_outlives_its_worktree(
    git_world: LocalWorld, provider: LocalProvider
) -> None:
    task = await git_world.with_sandbox(provider, git_world.task())
    commit(folder_of(task), "work.txt")
    git(git_world.repository, "worktree", "remove", str(folder_of(task)))
    with pytest.raises(ProviderError, match="is kept: it has 1 unpushed commit"):
        await provider.destroy_sandbox(git_world.call(task), Release(delete_branch=True))
    await provider.destroy_sandbox(git_world.call(task), Release(force=True, delete_branch=True))
    assert git(git_world.repository, "branch", "--format=%(refname:short)").split() == ["main"]


async def test_a_branch_of_that_name_in_another_repository_is_not_ours(
    git_world: LocalWorld, provider: LocalProvider
) -> None:
    task = await git_world.with_sandbox(provider, git_world.task())
    shutil.rmtree(git_world.repository)
    make_code(git_world.repository)
    (git_world.repository / "other.txt").write_text("x")
    git(git_world.repository, "checkout", "--quiet", "--orphan", "fix/it")
    git(git_world.repository, "commit", "--quiet", "--all", "--message=theirs")
    git(git_world.repository, "checkout", "--quiet", "main")
    with pytest.raises(ProviderError, match="not ours and is kept"):
        await provider.destroy_sandbox(git_world.call(task), Release(force=True, delete_branch=True))
    assert "fix/it" in git(git_world.repository, "branch")
    assert not folder_of(task).exists()


async def test_a_branch_checked_out_elsewhere_is_kept_and_said(git_world: LocalWorld, provider: LocalProvider) -> None:
    task = await git_world.with_sandbox(provider, git_world.task())
    git(folder_of(task), "checkout", "--quiet", "--detach")
    git(git_world.repository, "checkout", "--quiet", "fix/it")
    with pytest.raises(GitError, match=f"checked out in another worktree, {git_world.repository}"):
        await provider.destroy_sandbox(git_world.call(task), Release(force=True, delete_branch=True))
    assert git(git_world.repository, "branch", "--show-current").strip() == "fix/it"


@pytest.mark.parametrize("gone", ["folder", "inside"])
async def test_a_worktree_whose_repository_is_gone_is_kept_unless_forced(
    git_world: LocalWorld, provider: LocalProvider, gone: str
) -> None:
    task = await git_world.with_sandbox(provider, git_world.task())
    shutil.rmtree(git_world.repository if gone == "folder" else git_world.repository / ".git")
    said = await refused(git_world, provider, task, force=False)
    assert "no git repository any more" in said or "is gone" in said
    assert (folder_of(task) / "a.txt").exists()
    await git_world.kill(provider, task)
    assert not folder_of(task).exists()


async def test_submodules(git_world: LocalWorld, provider: LocalProvider) -> None:
    library = make_code(git_world.folder / "library")
    allow = ("-c", "protocol.file.allow=always")
    git(git_world.repository, *allow, "submodule", "--quiet", "add", str(library), "lib")
    git(git_world.repository, "commit", "--quiet", "--message=library")
    clean, dirty = [await git_world.with_sandbox(provider, git_world.task(name)) for name in ("clean", "dirty")]
    for task in (clean, dirty):
        git(folder_of(task), *allow, "submodule", "--quiet", "update", "--init")
        assert (folder_of(task) / "lib" / "a.txt").exists()
    git(git_world.repository, "config", "submodule.lib.ignore", "all")
    commit(folder_of(dirty) / "lib", "work.txt")
    await git_world.kill(provider, clean, force=False)
    assert not folder_of(clean).exists()
    assert "1 uncommitted file: lib" in await refused(git_world, provider, dirty, force=False)


# Repositories


async def making_fails(world: LocalWorld, provider: LocalProvider, repo: Repo | None = None) -> CallError:
    with pytest.raises(CallError) as caught:
        await provider.create_sandbox(world.call(world.task(), repo))
    return caught.value


@pytest.mark.parametrize("kind", ["bare", "shallow", "detached", "linked worktree", "unicode"])
async def test_a_whole_life_in_an_uncommon_repository(git_world: LocalWorld, kind: str) -> None:
    place = git_world.folder / ("ein Ort 名 'x'" if kind == "unicode" else "place")
    if kind == "linked worktree":
        git(git_world.repository, "worktree", "add", "--quiet", "-b", "mine", str(place))
    else:
        options = {"bare": ("--bare",), "shallow": ("--depth=1",)}.get(kind, ())
        git(git_world.folder, "clone", "--quiet", *options, git_world.repository.as_uri(), str(place))
    if kind == "detached":
        git(place, "checkout", "--quiet", "--detach", "HEAD~1")
        git(place, "remote", "set-head", "origin", "--delete")
    if kind == "unicode":
        git_world.data = git_world.folder / "Daten 名 $(x)"
    repo = Repo(repo_id="r9", label="place", path=str(place), default_branch=None if kind == "detached" else "main")
    async with git_world.provider() as provider:
        task = git_world.task()
        await provider.ensure_name(git_world.call(task, repo))
        for resumed in (False, True):
            made = await provider.create_sandbox(git_world.call(task, repo))
            assert made.resumed is resumed
        folder = Path(made.sandbox.cwd)
        assert (folder / "b.txt").exists() is (kind != "detached")
        commit(folder, "work 名.txt")
        provider.changes.refresh(task.task_id)
        await provider.changes.settled()
        diff = provider.changes.diff(task.task_id)
        assert diff is not None
        assert [(file.path, file.status) for file in diff.files] == [("work 名.txt", "A")]
        assert list(provider.would_lose(task, delete_branch=True)) == ["1 unpushed commit on fix/it"]
        await provider.destroy_sandbox(git_world.call(task, repo), Release(force=True, delete_branch=True))
        assert "fix/it" not in git(place, "branch")
        assert not folder.exists()


async def test_hooks_of_the_repository_are_not_run(git_world: LocalWorld, provider: LocalProvider) -> None:
    ran = git_world.folder / "ran"
    for folder in (git_world.repository / ".git/hooks", git_world.folder / "hooks"):
        for hook in ("post-checkout", "reference-transaction", "pre-commit", "post-index-change"):
            executable(folder / hook, f"echo {hook} >> '{ran}'; exec sleep 1000")
    for hooks in (None, git_world.folder / "hooks"):
        if hooks is not None:
            git(git_world.repository, "config", "core.hooksPath", str(hooks))
        with anyio.fail_after(LIMIT):
            task = await git_world.with_sandbox(provider, git_world.task())
            await provider.destroy_sandbox(git_world.call(task), Release(delete_branch=True))
    assert not ran.exists()


async def test_a_filter_that_fails_is_said(git_world: LocalWorld, provider: LocalProvider) -> None:
    with_filter(git_world, "exit 1")
    failure = await making_fails(git_world, provider)
    assert "A filter that the repository wants" in failure.message
    assert "lfs" in failure.message


async def test_a_filter_that_hangs_is_ended_and_what_it_left_is_completed(
    git_world: LocalWorld, provider: LocalProvider
) -> None:
    gate = Gate(git_world.folder)
    with_filter(git_world, f"set $$; {gate.words}")
    task = git_world.task()
    with gate:
        async with anyio.create_task_group() as group:
            group.start_soon(provider.create_sandbox, git_world.call(task))
            pid = await anyio.to_thread.run_sync(gate.await_arrival)
            group.cancel_scope.cancel()
        await ended(int(pid))
    git(git_world.repository, "config", "filter.lfs.smudge", "cat")
    made = await provider.create_sandbox(git_world.call(task))
    assert (Path(made.sandbox.cwd) / "big.bin").read_text() == "pointer\n"


def with_filter(world: LocalWorld, script: str) -> None:
    smudge = executable(world.folder / "smudge", script)
    (world.repository / ".gitattributes").write_text("*.bin filter=lfs\n")
    (world.repository / "big.bin").write_text("pointer\n")
    git(world.repository, "add", "--all")
    git(world.repository, "commit", "--quiet", "--message=big")
    git(world.repository, "config", "filter.lfs.smudge", str(smudge))
    git(world.repository, "config", "filter.lfs.required", "true")


async def test_a_repository_of_another_user_is_said(
    git_world: LocalWorld, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    failure = await making_fails(git_world, provider)
    assert "safe.directory" in failure.message
    assert not failure.retryable


async def test_a_repository_that_is_being_worked_on_by_another_git(
    git_world: LocalWorld, provider: LocalProvider
) -> None:
    (git_world.repository / ".git/refs/heads/fix").mkdir()
    (git_world.repository / ".git/refs/heads/fix/it.lock").touch()
    failure = await making_fails(git_world, provider)
    assert "Another git command is at work" in failure.message
    assert failure.retryable


@asynccontextmanager
async def refusing_server() -> AsyncIterator[str]:
    """A server on loopback that wants a login for everything."""

    async def answer(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(
                b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\n"
                b"Content-Length: 0\r\nConnection: close\r\n\r\n"
            )

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, answer)
        yield f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
        group.cancel_scope.cancel()


async def test_no_prompt_of_a_remote_is_waited_for(git_world: LocalWorld, provider: LocalProvider) -> None:
    asked = git_world.folder / "asked"
    askpass = executable(git_world.folder / "askpass", f"echo \"$1\" >> '{asked}'; sleep 1000")
    git(git_world.repository, "config", "core.askPass", str(askpass))
    async with refusing_server() as url:
        git(git_world.repository, "remote", "add", "origin", f"{url}/code.git")
        task = git_world.task()
        with anyio.fail_after(LIMIT):
            await provider.ensure_name(git_world.call(task))
        assert git_world.logged("wants a login")
        remote = Repo(repo_id="r8", label="code", remote=f"{url}/code.git")
        with anyio.fail_after(LIMIT):
            failure = await making_fails(git_world, provider, remote)
        assert "wants a login" in failure.message
    assert not asked.exists()
