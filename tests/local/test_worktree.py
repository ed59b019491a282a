"""Worktrees with real git: made, adopted, completed, refused, released and destroyed."""

import shutil
import stat
from pathlib import Path

import anyio
import msgspec
import pytest

from backend_stub.domain.errors import GitError, ProviderError
from backend_stub.domain.provider import Release
from backend_stub.providers.local.sandbox_record import Made, Record, Records
from foundry_tui.contract.records import Repo, TaskDetail
from tests.git import git
from tests.local.world import LocalWorld

pytestmark = pytest.mark.anyio


def worktree(world: LocalWorld, task: TaskDetail) -> Path:
    return world.data / "sandboxes" / task.task_id / "work" / "code"


def record_of(world: LocalWorld, task: TaskDetail) -> Record:
    record = Records(world.data).load(task.task_id)
    assert record is not None
    return record


def branches(world: LocalWorld) -> list[str]:
    return git(world.repository, "branch", "--format=%(refname:short)").split()


async def test_a_sandbox_is_a_worktree_on_a_new_branch(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task = git_world.task("fix/login")
        made = await provider.create_sandbox(git_world.call(task))
        assert not made.resumed
        assert made.sandbox.sandbox_id == task.task_id
        folder = Path(made.sandbox.cwd)
        assert folder == worktree(git_world, task)
        assert (folder / "a.txt").read_text() == "one\ntwo\n"
        assert git(folder, "branch", "--show-current").strip() == "fix/login"
        assert git(git_world.repository, "branch", "--show-current").strip() == "main"
        assert any("worktree add" in line and "exit 0" in line and " ms" in line for line in git_world.lines)


async def test_it_starts_from_the_base_branch(git_world: LocalWorld) -> None:
    git(git_world.repository, "branch", "old", "HEAD~1")
    async with git_world.provider() as provider:
        task = git_world.task(base_branch="old")
        made = await provider.create_sandbox(git_world.call(task))
        assert not (Path(made.sandbox.cwd) / "b.txt").exists()


async def test_it_starts_from_a_branch_that_only_the_remote_has(git_world: LocalWorld) -> None:
    clone = git_world.folder / "clone"
    git(git_world.folder, "clone", "--quiet", str(git_world.repository), str(clone))
    git(git_world.repository, "branch", "theirs", "HEAD~1")
    repo = Repo(repo_id="r2", label="clone", path=str(clone), default_branch="main")
    async with git_world.provider() as provider:
        task = git_world.task(base_branch="theirs")
        await provider.ensure_name(git_world.call(task, repo))
        made = await provider.create_sandbox(git_world.call(task, repo))
        assert not (Path(made.sandbox.cwd) / "b.txt").exists()


@pytest.mark.parametrize("mine", [False, True])
async def test_it_starts_from_what_the_remote_has_by_now_unless_mine_has_more(
    git_world: LocalWorld, mine: bool
) -> None:
    clone = git_world.folder / "clone"
    git(git_world.folder, "clone", "--quiet", str(git_world.repository), str(clone))
    if mine:
        git(clone, "commit", "--quiet", "--allow-empty", "--message=mine")
    git(git_world.repository, "commit", "--quiet", "--allow-empty", "--message=theirs")
    local = git(clone, "rev-parse", "main")
    repo = Repo(repo_id="r2", label="clone", path=str(clone), default_branch="main")
    async with git_world.provider() as provider:
        task = git_world.task()
        await provider.ensure_name(git_world.call(task, repo))
        made = await provider.create_sandbox(git_world.call(task, repo))
        head = git(Path(made.sandbox.cwd), "rev-parse", "HEAD")
        assert head == git(clone, "rev-parse", "main" if mine else "origin/main")
        assert git(clone, "rev-parse", "main") == local
        said = "it begins at origin/main, which has more than your main"
        assert (said in git_world.lines) is not mine


async def test_a_remote_out_of_reach_does_not_fail_the_name(git_world: LocalWorld) -> None:
    git(git_world.repository, "remote", "add", "origin", str(git_world.folder / "nowhere"))
    async with git_world.provider() as provider:
        await provider.ensure_name(git_world.call(git_world.task()))
    assert git_world.logged("fetching failed, going on")


@pytest.mark.parametrize(
    ("branch", "base", "reason"),
    [
        ("taken", None, "the branch taken exists already"),
        ("fix/it", "nowhere", "the base branch nowhere does not exist"),
        ("fix/it", "--output=x", "does not exist"),
    ],
)
async def test_what_git_cannot_do_is_said_and_leaves_nothing(
    git_world: LocalWorld, branch: str, base: str | None, reason: str
) -> None:
    git(git_world.repository, "branch", "taken")
    async with git_world.provider() as provider:
        task = git_world.task(branch, base_branch=base)
        with pytest.raises(GitError, match=reason) as caught:
            await provider.create_sandbox(git_world.call(task))
        assert not caught.value.retryable
        assert branches(git_world) == ["main", "taken"]
        assert not worktree(git_world, task).exists()


async def test_a_repository_without_a_commit(git_world: LocalWorld) -> None:
    empty = git_world.folder / "empty"
    empty.mkdir()
    git(empty, "init", "--quiet", "--initial-branch=main")
    repo = Repo(repo_id="r4", label="empty", path=str(empty), default_branch="main")
    async with git_world.provider() as provider:
        with pytest.raises(GitError, match="has no commit yet"):
            await provider.create_sandbox(git_world.call(git_world.task(), repo))


async def test_a_branch_name_never_meets_a_shell(git_world: LocalWorld) -> None:
    name = "fix/$(touch${IFS}pwned);`x`'\"&|"
    async with git_world.provider() as provider:
        task = git_world.task(name)
        made = await provider.create_sandbox(git_world.call(task))
        assert git(Path(made.sandbox.cwd), "branch", "--show-current").strip() == name
        assert not list(git_world.folder.rglob("pwned"))
        await provider.destroy_sandbox(git_world.call(task), Release(delete_branch=True))
        assert branches(git_world) == ["main"]


async def test_somebody_elses_folder_is_refused_and_left(git_world: LocalWorld) -> None:
    task = git_world.task()
    folder = worktree(git_world, task)
    folder.mkdir(parents=True)
    (folder / "precious.txt").write_text("theirs")
    async with git_world.provider() as provider:
        with pytest.raises(ProviderError, match="was not made for this task"):
            await provider.create_sandbox(git_world.call(task))
        await provider.destroy_sandbox(git_world.call(task), Release(force=True))
        await provider.release_sandbox(git_world.call(task), Release(force=True))
    assert (folder / "precious.txt").read_text() == "theirs"
    assert branches(git_world) == ["main"]


async def test_a_record_that_leads_elsewhere_is_no_proof(git_world: LocalWorld) -> None:
    victim = git_world.folder / "victim"
    victim.mkdir()
    (victim / "precious.txt").write_text("theirs")
    async with git_world.provider() as provider:
        task = git_world.task()
        await provider.create_sandbox(git_world.call(task))
        path = git_world.data / "sandboxes" / task.task_id / "record.json"
        record = msgspec.structs.replace(record_of(git_world, task), worktree=str(victim))
        path.write_bytes(msgspec.json.encode(record))
        await provider.destroy_sandbox(git_world.call(task), Release(force=True))
        path.write_bytes(msgspec.json.encode(msgspec.structs.replace(record, worktree=f"{path.parent}/work/../../..")))
        await provider.destroy_sandbox(git_world.call(task), Release(force=True))
    assert (victim / "precious.txt").exists()
    assert git_world.data.exists()


async def test_a_link_in_the_place_of_the_worktree_is_not_followed(git_world: LocalWorld) -> None:
    victim = git_world.folder / "victim"
    victim.mkdir()
    (victim / "precious.txt").write_text("theirs")
    async with git_world.provider() as provider:
        task = git_world.task()
        made = await provider.create_sandbox(git_world.call(task))
        shutil.rmtree(made.sandbox.cwd)
        Path(made.sandbox.cwd).symlink_to(victim)
        with pytest.raises(ProviderError, match="symbolic link"):
            await provider.destroy_sandbox(git_world.call(task), Release(force=True))
    assert (victim / "precious.txt").exists()


HALF_MADE = ["record", "branch", "folder", "locked", "no setup"]


@pytest.mark.parametrize("stage", HALF_MADE)
async def test_what_was_left_half_made_is_completed(git_world: LocalWorld, stage: str) -> None:
    task = git_world.task()
    folder = worktree(git_world, task)
    async with git_world.provider() as provider:
        await provider.create_sandbox(git_world.call(task))
        record = record_of(git_world, task)
        if stage != "no setup":
            Records(git_world.data).save(msgspec.structs.replace(record, made=Made.MAKING))
        if stage in ("record", "branch"):
            git(git_world.repository, "worktree", "remove", "--force", str(folder))
        if stage == "record":
            git(git_world.repository, "branch", "-D", "fix/it")
        if stage in ("folder", "locked"):
            (folder / "a.txt").unlink()
        if stage == "locked":
            git(git_world.repository, "worktree", "lock", "--reason=initializing", str(folder))
        if stage == "no setup":
            Records(git_world.data).save(msgspec.structs.replace(record, made=Made.MADE))
    async with git_world.provider() as provider:
        made = await provider.create_sandbox(git_world.call(task))
        assert made.resumed == (stage == "no setup")
        assert (folder / "a.txt").exists()
        assert git(folder, "status", "--porcelain") == ""
        assert record_of(git_world, task).made is Made.READY
        assert git(git_world.repository, "worktree", "list", "--porcelain").count("worktree ") == 2


async def test_the_record_stays_as_long_as_anything_of_the_worktree_is_left(git_world: LocalWorld) -> None:
    task = git_world.task()
    async with git_world.provider() as provider:
        await provider.create_sandbox(git_world.call(task))
    records, folder = Records(git_world.data), worktree(git_world, task)
    folder.rename(records.removed(task.task_id))
    with pytest.raises(OSError, match="not empty"):
        records.forget(task.task_id)
    assert records.load(task.task_id) is not None
    async with git_world.provider() as provider:
        await provider.destroy_sandbox(git_world.call(task), Release(force=True))
    assert not records.folder(task.task_id).exists()


async def test_a_branch_that_somebody_made_meanwhile_is_not_taken_over(git_world: LocalWorld) -> None:
    task = git_world.task()
    async with git_world.provider() as provider:
        await provider.create_sandbox(git_world.call(task))
        Records(git_world.data).save(msgspec.structs.replace(record_of(git_world, task), made=Made.MAKING))
        git(git_world.repository, "worktree", "remove", "--force", str(worktree(git_world, task)))
        git(git_world.repository, "branch", "--force", "fix/it", "main~1")
        with pytest.raises(GitError, match="made by somebody else"):
            await provider.create_sandbox(git_world.call(task))


async def test_a_worktree_that_vanished_comes_back_on_its_branch(git_world: LocalWorld) -> None:
    task = git_world.task()
    async with git_world.provider() as provider:
        made = await provider.create_sandbox(git_world.call(task))
        folder = Path(made.sandbox.cwd)
        (folder / "a.txt").write_text("changed\n")
        git(folder, "commit", "--quiet", "--all", "--message=work")
        shutil.rmtree(folder)
        again = await provider.create_sandbox(git_world.call(task))
        assert not again.resumed
        assert (folder / "a.txt").read_text() == "changed\n"


@pytest.mark.slow
async def test_many_at_once_in_one_repository(git_world: LocalWorld) -> None:
    tasks = [git_world.task(f"fix/{number}") for number in range(12)]
    async with git_world.provider() as provider, anyio.create_task_group() as group:
        for task in tasks:
            group.start_soon(provider.create_sandbox, git_world.call(task))
    async with git_world.provider() as provider:
        for task in tasks:
            assert (await provider.create_sandbox(git_world.call(task))).resumed
    assert len(branches(git_world)) == 13


# Letting go


async def test_archive_keeps_the_branch_and_kill_removes_it_when_asked(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        kept, gone = git_world.task("kept"), git_world.task("gone")
        for task in (kept, gone):
            await provider.create_sandbox(git_world.call(task))
        for _ in range(2):
            await provider.release_sandbox(git_world.call(kept), Release())
            await provider.destroy_sandbox(git_world.call(gone), Release(delete_branch=True))
        assert branches(git_world) == ["kept", "main"]
        assert len(git(git_world.repository, "worktree", "list").splitlines()) == 1
        assert not (git_world.data / "sandboxes" / gone.task_id).exists()
        assert not worktree(git_world, kept).exists()


@pytest.mark.parametrize("call", ["release", "destroy"])
async def test_work_is_kept_unless_forced(git_world: LocalWorld, call: str) -> None:
    async with git_world.provider() as provider:
        task = git_world.task()
        made = await provider.create_sandbox(git_world.call(task))
        (Path(made.sandbox.cwd) / "new.txt").write_text("work")
        go = provider.release_sandbox if call == "release" else provider.destroy_sandbox
        with pytest.raises(ProviderError, match=r"1 uncommitted file: new\.txt"):
            await go(git_world.call(task), Release())
        assert (Path(made.sandbox.cwd) / "new.txt").exists()
        await go(git_world.call(task), Release(force=True))
        assert not Path(made.sandbox.cwd).exists()
        assert "fix/it" in branches(git_world)


async def test_what_git_cannot_remove_is_removed_when_forced(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task = git_world.task()
        made = await provider.create_sandbox(git_world.call(task))
        folder = Path(made.sandbox.cwd) / "readonly"
        folder.mkdir()
        (folder / "file").write_text("x")
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
        await provider.destroy_sandbox(git_world.call(task), Release(force=True))
        assert not Path(made.sandbox.cwd).exists()


async def test_killing_works_when_the_repository_is_gone(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task = git_world.task()
        await provider.create_sandbox(git_world.call(task))
        shutil.rmtree(git_world.repository)
        await provider.destroy_sandbox(git_world.call(task), Release(force=True))
        assert not (git_world.data / "sandboxes" / task.task_id).exists()


async def test_what_the_disk_refuses_is_said(git_world: LocalWorld) -> None:
    git_world.data.mkdir()
    (git_world.data / "sandboxes").write_text("a file in the place of the folder")
    async with git_world.provider() as provider:
        with pytest.raises(ProviderError, match="the sandbox cannot be made"):
            await provider.create_sandbox(git_world.call(git_world.task()))
