"""What archiving or killing would lose is named, and nothing else is: looked at in real worktrees."""

import os
import shutil
import subprocess
from pathlib import Path

import anyio
import msgspec
import pytest

from backend_stub.domain.errors import CallError
from backend_stub.domain.provider import Release
from backend_stub.providers.local import LocalProvider
from foundry_tui.contract.records import TaskDetail
from tests.git import git, make_code
from tests.local.world import LIMIT, LocalWorld

pytestmark = pytest.mark.anyio

ALLOW = ("-c", "protocol.file.allow=always")


def folder_of(task: TaskDetail) -> Path:
    assert task.sandbox is not None
    return Path(task.sandbox.cwd)


def commit(folder: Path, name: str) -> None:
    (folder / name).write_text(f"{name}\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", f"--message={name}")


async def lost(provider: LocalProvider, task: TaskDetail, *, delete_branch: bool = False) -> list[str]:
    provider.changes.refresh(task.task_id)
    with anyio.fail_after(LIMIT):
        await provider.changes.settled()
    return list(provider.would_lose(task, delete_branch=delete_branch))


async def test_commits_are_lost_with_the_branch_only_and_where_no_other_has_them(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        commit(folder_of(task), "work.txt")
        assert await lost(provider, task) == []
        assert await lost(provider, task, delete_branch=True) == ["1 unpushed commit on fix/it"]
        git(git_world.repository, "branch", "kept", "fix/it")
        assert await lost(provider, task, delete_branch=True) == []
        await provider.release_sandbox(git_world.call(task), Release())
        assert git(git_world.repository, "log", "-1", "--format=%s", "fix/it").strip() == "work.txt"


async def test_archiving_deletes_the_branch_when_that_is_asked_for(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        await provider.release_sandbox(git_world.call(task), Release(delete_branch=True))
        assert git(git_world.repository, "branch", "--list", "fix/it") == ""


async def test_ignored_files_count_once_somebody_worked_on_them(git_world: LocalWorld) -> None:
    (git_world.repository / ".gitignore").write_text(".env\n.local\nbuild/\n.cache/\n__pycache__/\n")
    (git_world.repository / ".foundry").mkdir()
    (git_world.repository / ".foundry" / "copy").write_text(".env\n.local\n")
    setup = git_world.repository / ".foundry" / "setup"
    setup.write_text("#!/bin/sh\nmkdir -p build/deep && echo made >build/deep/a && echo made >made.txt\n")
    setup.chmod(0o755)
    commit(git_world.repository, "x")
    (git_world.repository / ".env").write_text("KEY=1\n")
    (git_world.repository / ".local").write_text("KEY=2\n")
    async with git_world.provider() as provider:
        task = git_world.task()
        made = await provider.create_sandbox(git_world.call(task, trust=True))
        task = msgspec.structs.replace(task, sandbox=made.sandbox)
        folder = folder_of(task)
        assert (folder / "build" / "deep" / "a").exists()
        assert (folder / ".env").exists()
        assert await lost(provider, task) == []
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__" / "x.pyc").write_text("bytecode")
        (folder / ".cache").mkdir()
        (folder / ".cache" / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55")
        (folder / ".cache" / "much").write_text("x")
        assert await lost(provider, task) == []
        (folder / ".env").write_text("KEY=mine\n")
        (folder / "build" / "deep" / "b").write_text("new")
        (folder / "made.txt").write_text("changed")
        assert await lost(provider, task) == [
            "1 uncommitted file: made.txt",
            "2 ignored files made or changed since set-up: .env, build/deep/b",
        ]
        with pytest.raises(CallError, match=r"\.env, build/deep/b"):
            await provider.release_sandbox(git_world.call(task), Release())
        assert (folder / ".env").exists()


async def test_a_file_that_is_linked_from_a_store_again_is_not_new(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        store = git_world.folder / "store"
        store.write_text("package")
        task = git_world.task()
        task = await git_world.with_sandbox(provider, task)
        os.utime(store, (1, 1))
        os.link(store, folder_of(task) / ".env")
        assert await lost(provider, task) == []


@pytest.mark.slow
async def test_commits_and_changes_in_submodules_are_named(git_world: LocalWorld) -> None:
    inner = make_code(git_world.folder / "inner")
    library = make_code(git_world.folder / "library")
    git(library, *ALLOW, "submodule", "--quiet", "add", str(inner), "deep")
    git(library, "commit", "--quiet", "--all", "--message=deep")
    git(git_world.repository, *ALLOW, "submodule", "--quiet", "add", str(library), "some/lib")
    git(git_world.repository, *ALLOW, "submodule", "--quiet", "update", "--init", "--recursive")
    git(git_world.repository, "commit", "--quiet", "--message=library")
    git(git_world.repository, "config", "submodule.some/lib.ignore", "all")
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        folder = folder_of(task)
        assert await lost(provider, task) == []
        (folder / "some/lib/a.txt").write_text("changed\n")
        (folder / "some/lib/.env").write_text("ignored\n")
        assert await lost(provider, task) == [
            "1 uncommitted file: a.txt, in the submodule some/lib",
            "1 ignored file made or changed since set-up: .env, in the submodule some/lib",
        ]
        (folder / "some/lib/.env").unlink()
        commit(folder / "some/lib", "work.txt")
        git(folder, "commit", "--quiet", "--all", "--message=the library as it is now")
        assert await lost(provider, task) == ["1 unpushed commit, in the submodule some/lib"]
        commit(folder / "some/lib/deep", "deeper.txt")
        assert "1 unpushed commit, in the submodule some/lib/deep" in await lost(provider, task)
        # Not even when somebody removed the folder: they live in what git keeps of it.
        shutil.rmtree(folder)
        assert len(await lost(provider, task)) == 2
        with pytest.raises(CallError, match="in the submodule some/lib"):
            await provider.release_sandbox(git_world.call(task), Release())
        restored = await provider.restore_sandbox(git_world.call(task))
        assert restored
        git(folder, *ALLOW, "submodule", "--quiet", "update", "--init")
        assert (folder / "some/lib/work.txt").exists()


async def test_changes_in_submodules_of_submodules_are_named(git_world: LocalWorld) -> None:
    inner = make_code(git_world.folder / "inner")
    library = make_code(git_world.folder / "library")
    git(library, *ALLOW, "submodule", "--quiet", "add", str(inner), "deep")
    git(library, "commit", "--quiet", "--all", "--message=deep")
    git(git_world.repository, *ALLOW, "submodule", "--quiet", "add", str(library), "lib")
    git(git_world.repository, *ALLOW, "submodule", "--quiet", "update", "--init", "--recursive")
    git(git_world.repository, "commit", "--quiet", "--message=library")
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        deep = folder_of(task) / "lib" / "deep"
        (deep / "a.txt").write_text("changed\n")
        (deep / "new.txt").write_text("new\n")
        assert await lost(provider, task) == ["2 uncommitted files: a.txt, new.txt, in the submodule lib/deep"]
        (deep / "new.txt").unlink()
        git(deep, "stash")
        assert await lost(provider, task) == ["2 unpushed commits, in the submodule lib/deep"]


@pytest.mark.parametrize("flag", ["--skip-worktree", "--assume-unchanged"])
async def test_a_file_that_git_was_told_to_overlook_is_named(git_world: LocalWorld, flag: str) -> None:
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        git(folder_of(task), "update-index", flag, "a.txt", "b.txt")
        assert await lost(provider, task) == []
        (folder_of(task) / "a.txt").write_text("for this machine only\n")
        assert await lost(provider, task) == ["1 uncommitted file: a.txt"]


async def test_what_an_unfinished_rebase_put_aside_is_named(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        folder = folder_of(task)
        git(folder, "checkout", "--quiet", "-b", "other", "HEAD~1")
        commit(folder, "b.txt")
        git(folder, "checkout", "--quiet", "fix/it")
        (folder / "b.txt").write_text("ours\n")
        git(folder, "commit", "--quiet", "--all", "--message=ours")
        (folder / "a.txt").write_text("not committed yet\n")
        with pytest.raises(subprocess.CalledProcessError):
            git(folder, "rebase", "--autostash", "other")
        git(folder, "checkout", "--ours", "b.txt")
        git(folder, "add", "--all")
        assert "changes that git put aside for a rebase or merge that is not finished" in await lost(provider, task)


async def test_a_commit_that_only_this_worktree_knows_by_a_name_is_named(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        commit(folder_of(task), "work.txt")
        git(folder_of(task), "update-ref", "refs/worktree/before", "HEAD")
        git(folder_of(task), "reset", "--quiet", "--hard", "HEAD~1")
        assert await lost(provider, task) == ["1 commit on no branch"]


@pytest.mark.parametrize("ignored", [False, True])
async def test_a_repository_inside_that_was_worked_in_is_named(git_world: LocalWorld, ignored: bool) -> None:
    if ignored:
        (git_world.repository / ".gitignore").write_text("nested/\n")
        git(git_world.repository, "commit", "--quiet", "--all", "--message=ignore")
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        make_code(folder_of(task) / "nested")
        assert await lost(provider, task) == ["what is in nested/, which is a repository of its own"]


async def test_no_program_is_run_that_the_configuration_of_a_submodule_names(git_world: LocalWorld) -> None:
    ran = git_world.folder / "ran"
    program = git_world.folder / "program"
    program.write_text(f"#!/bin/sh\necho $0 >>'{ran}'\ncat\n")
    program.chmod(0o755)
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        nested = make_code(folder_of(task) / "nested")
        (nested / ".gitattributes").write_text("*.txt filter=planted diff=planted\n")
        commit(nested, "attributes.txt")
        (nested / ".git" / "info" / "exclude").write_text("*.log\n")
        for name in ("core.fsmonitor", "filter.planted.clean", "diff.planted.textconv", "diff.external"):
            git(nested, "config", name, str(program))
        commit(folder_of(task), "with nested")
        ran.unlink(missing_ok=True)
        (nested / "a.txt").write_text("two\n")
        (nested / "a.log").write_text("one\n")
        assert await lost(provider, task) == [
            "3 unpushed commits, in the submodule nested",
            "1 uncommitted file: a.txt, in the submodule nested",
            "1 ignored file made or changed since set-up: a.log, in the submodule nested",
        ]
        assert not ran.exists()


async def test_a_repository_inside_that_was_committed_as_a_link_is_looked_at(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        make_code(folder_of(task) / "nested")
        commit(folder_of(task), "with nested")
        assert await lost(provider, task) == ["2 unpushed commits, in the submodule nested"]


async def test_looking_runs_nothing_of_a_repository_that_the_agent_made(git_world: LocalWorld) -> None:
    witness = git_world.folder / "witness"
    program = git_world.folder / "program"
    program.write_text(f"#!/bin/sh\ntouch {witness}\n")
    program.chmod(0o755)
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        folder = folder_of(task)
        # In place of its own: the folder itself as the inside of a repository.
        (folder / ".git").unlink()
        git(folder, "init", "--quiet", "--bare", ".")
        for name in ("core.fsmonitor", "core.sshCommand", "diff.external", "core.pager", "core.hooksPath"):
            git(folder, f"--git-dir={folder}", "config", name, str(program))
        nested = make_code(folder / "nested")
        git(nested, "config", "core.fsmonitor", str(program))
        git(nested, "config", "filter.x.clean", str(program))
        (nested / ".gitattributes").write_text("* filter=x\n")
        (nested / "a.txt").write_text("changed\n")
        said = await lost(provider, task)
        assert any("nested/" in what for what in said)
        assert await provider.diff(task) is not None
        with pytest.raises(CallError):
            await provider.release_sandbox(git_world.call(task), Release())
    assert not witness.exists()
