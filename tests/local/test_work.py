"""How a branch stands to its base and its remote, against real git."""

from pathlib import Path

import pytest

from backend_stub.providers.local import LocalProvider
from foundry_tui.contract.records import TaskDetail
from foundry_tui.contract.work import Work
from tests.backend.process import BackendProcess
from tests.git import git
from tests.local.world import LocalWorld


async def work_of(world: LocalWorld, provider: LocalProvider, task: TaskDetail) -> Work:
    work = await provider.work(world.call(task))
    assert work is not None
    return work


def commit(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", f"change {name}")


def objects(repository: Path) -> list[str]:
    return sorted(str(path) for path in (repository / ".git/objects").rglob("*"))


@pytest.mark.anyio
async def test_a_branch_is_told_as_it_stands_and_conflicts_before_anybody_tries(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        folder = Path(task.sandbox.cwd)
        new = await work_of(git_world, provider, task)
        assert (new.base, new.ahead, new.behind, new.files, new.uncommitted) == ("main", 0, 0, 0, 0)
        assert (new.pushed, new.upstream, new.conflicts) == (False, None, ())
        commit(folder, "a.txt", "one\nOURS\n")
        (folder / "new.txt").write_text("x\ny\n")
        mine = await work_of(git_world, provider, task)
        assert (mine.ahead, mine.behind, mine.uncommitted) == (1, 0, 1)
        assert (mine.files, mine.added, mine.removed) == (2, 3, 1)
        commit(git_world.repository, "a.txt", "one\nTHEIRS\n")
        commit(git_world.repository, "b.txt", "other\n")
        before = objects(git_world.repository)
        both = await work_of(git_world, provider, task)
        assert (both.ahead, both.behind, both.conflicts) == (1, 2, ("a.txt",))
        assert objects(git_world.repository) == before, "looking writes nothing into the person's repository"
        assert git(git_world.repository, "status", "--porcelain") == ""


@pytest.mark.anyio
async def test_a_file_that_was_moved_is_one_file_that_is_not_committed(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        folder = Path(task.sandbox.cwd)
        git(folder, "mv", "a.txt", "moved\t.txt")
        (folder / "b.txt").rename(folder / "bé.txt")
        moved = await work_of(git_world, provider, task)
        assert (moved.files, moved.uncommitted) == (2, 2)
        git(folder, "commit", "--quiet", "--message=moved")
        (folder / "new.txt").write_text("x\n")
        half = await work_of(git_world, provider, task)
        assert (half.files, half.uncommitted) == (3, 2)


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["--ff-only", "--squash"])
async def test_what_the_local_base_has_of_a_branch_has_landed_until_more_is_committed(
    git_world: LocalWorld, how: str
) -> None:
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        folder = Path(task.sandbox.cwd)
        assert not (await work_of(git_world, provider, task)).landed
        commit(folder, "new.txt", "x\n")
        assert not (await work_of(git_world, provider, task)).landed
        assert task.branch is not None
        git(git_world.repository, "merge", "--quiet", how, task.branch)
        if how == "--squash":
            git(git_world.repository, "commit", "--quiet", "-m", "as one")
        commit(git_world.repository, "other.txt", "x\n")
        assert (await work_of(git_world, provider, task)).landed
        commit(folder, "new.txt", "x\ny\n")
        assert not (await work_of(git_world, provider, task)).landed


@pytest.mark.anyio
async def test_what_a_remote_has_is_told_of_its_branch_and_it_is_the_base(git_world: LocalWorld) -> None:
    remote = git_world.folder / "remote.git"
    git(git_world.repository, "clone", "--quiet", "--bare", ".", str(remote))
    git(git_world.repository, "remote", "add", "origin", str(remote))
    git(git_world.repository, "fetch", "--quiet", "origin")
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        folder = Path(task.sandbox.cwd)
        commit(folder, "ours.txt", "x\n")
        local = await work_of(git_world, provider, task)
        assert (local.base, local.ahead, local.pushed, local.upstream) == ("origin/main", 1, False, None)
        git(folder, "push", "--quiet", "--set-upstream", "origin", "HEAD")
        pushed = await work_of(git_world, provider, task)
        assert (pushed.ahead, pushed.pushed, pushed.upstream) == (1, True, f"origin/{task.branch}")
        commit(folder, "more.txt", "x\n")
        assert not (await work_of(git_world, provider, task)).pushed


def test_a_task_says_what_its_turns_made_and_reading_it_changes_no_time(
    world: LocalWorld, backend: BackendProcess
) -> None:
    task_id = backend.create("write made.txt")["task_id"]
    made = backend.wait_task(task_id, lambda task: task["status"] == "idle" and task["work"] is not None)
    assert made["work"]["base"] == "main"
    folder = Path(made["sandbox"]["cwd"])
    commit(folder, "later.txt", "x\n")
    # Whoever looks has it looked at.
    seen = backend.wait_task(task_id, lambda task: task["work"]["ahead"] == 1)
    assert seen["updated_at"] == made["updated_at"]
    assert seen["revision"] > made["revision"]
