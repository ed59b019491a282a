"""Operations on real worktrees, with real git and a bare repository as `origin`."""

import errno
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from backend_stub.domain.errors import GitError
from backend_stub.domain.way_home import Done
from backend_stub.providers.local import LocalProvider
from backend_stub.providers.local.way_home.journal import Journal
from foundry_tui.contract.records import Operation, OperationKind, OperationState, OperationStep, TaskDetail
from foundry_tui.contract.replace import replace
from tests.git import git
from tests.local.gate import Gate
from tests.local.power_cut import end_all
from tests.local.world import LocalWorld

pytestmark = pytest.mark.anyio


class Told:
    """Progress that a test reads; it keeps notes as the task's rows do."""

    def __init__(self, words: str | None = "I fixed it.") -> None:
        self.notes: Mapping[str, str] = {}
        self.steps: list[str] = []
        self._words = words

    async def last_words(self) -> str | None:
        return self._words

    async def prompt(self, prompt_id: str | None) -> str:
        return "fix it\nplease" if prompt_id is not None else ""

    async def step(self, name: str) -> None:
        self.steps.append(name)

    async def tell(self, detail: str) -> None:
        """Nobody reads it here."""

    async def note(self, name: str, value: str) -> None:
        self.notes = {**self.notes, name: value}


async def operate(
    world: LocalWorld, provider: LocalProvider, task: TaskDetail, kind: str, told: Told | None = None, **request: object
) -> Done:
    return await provider.way_home.operate(world.call(task), operation_of(task, kind, **request), told or Told())


def operation_of(task: TaskDetail, kind: str, **request: object) -> Operation:
    return Operation(
        operation_id=f"{kind}-{task.task_id}",
        task_id=task.task_id,
        kind=OperationKind(kind),
        request=request,
        state=OperationState.RUNNING,
        at=1,
        revision=1,
    )


def change(folder: Path, name: str, text: str, *, commit: bool = False) -> None:
    (folder / name).write_text(text)
    if commit:
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", f"change {name}")


def identify(repository: Path) -> None:
    git(repository, "config", "user.name", "A Person")
    git(repository, "config", "user.email", "person@example.org")


def add_origin(world: LocalWorld) -> Path:
    remote = world.folder / "remote.git"
    git(world.repository, "clone", "--quiet", "--bare", ".", str(remote))
    git(world.repository, "remote", "add", "origin", str(remote))
    git(world.repository, "fetch", "--quiet", "origin")
    return remote


async def sandbox(world: LocalWorld, provider: LocalProvider, branch: str = "fix/it") -> tuple[TaskDetail, Path]:
    identify(world.repository)
    task = await world.with_sandbox(provider, world.task(branch, title="Fix the login"))
    assert task.sandbox is not None
    return task, Path(task.sandbox.cwd)


async def test_a_commit_takes_all_but_ignored_files_and_the_agent_s_words(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "a.txt", "ours\n")
        change(folder, "new ü.txt", "x\n")
        change(folder, ".env", "SECRET=1\n")
        done = await operate(git_world, provider, task, "commit")
        assert git(folder, "rev-parse", "HEAD") == done.result["sha"]
        assert git(folder, "log", "-1", "--format=%B").strip() == "Fix the login\n\nI fixed it."
        assert git(folder, "status", "--porcelain") == ""
        assert ".env" not in git(folder, "ls-files")
        with pytest.raises(GitError, match="nothing to commit"):
            await operate(git_world, provider, task, "commit")


async def test_a_hook_that_refuses_is_quoted_and_the_index_is_as_it_was(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        hook = git_world.repository / ".git/hooks/pre-commit"
        hook.write_text("#!/bin/sh\necho 'no tabs here' >&2\nexit 1\n")
        hook.chmod(0o755)
        change(folder, "staged.txt", "1\n")
        git(folder, "add", "staged.txt")
        change(folder, "other.txt", "2\n")
        before, head = git(folder, "status", "--porcelain"), git(folder, "rev-parse", "HEAD")
        with pytest.raises(GitError, match="no tabs here"):
            await operate(git_world, provider, task, "commit")
        assert git(folder, "status", "--porcelain") == before
        assert git(folder, "rev-parse", "HEAD") == head


async def test_a_commit_that_was_made_before_a_kill_is_found(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "a.txt", "ours\n")
        told = Told()
        first = await operate(git_world, provider, task, "commit", told)
        again = await operate(git_world, provider, task, "commit", told)
        assert again.result == first.result
        assert git(folder, "rev-list", "--count", "main..HEAD") == "1"


async def test_a_push_goes_to_origin_and_a_refused_one_says_what_to_do(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "a.txt", "ours\n", commit=True)
        with pytest.raises(GitError, match="git remote add origin"):
            await operate(git_world, provider, task, "push")
        remote = add_origin(git_world)
        done = await operate(git_world, provider, task, "push")
        assert git(remote, "rev-parse", f"refs/heads/{task.branch}") == done.result["sha"]
        assert not done.pushed, "the remote had it all"
        git(folder, "commit", "--quiet", "--amend", "--message=other")
        with pytest.raises(GitError, match="force-with-lease"):
            await operate(git_world, provider, task, "push")
        assert (await operate(git_world, provider, task, "push", force_with_lease=True)).pushed
        hook = remote / "hooks/pre-receive"
        hook.write_text("#!/bin/sh\necho 'main is protected' >&2\nexit 1\n")
        hook.chmod(0o755)
        change(folder, "b.txt", "more\n", commit=True)
        with pytest.raises(GitError, match="main is protected"):
            await operate(git_world, provider, task, "push")


@pytest.mark.parametrize("how", ["rebase", "merge"])
async def test_an_update_brings_the_remote_s_base_and_conflicts_change_nothing(git_world: LocalWorld, how: str) -> None:
    remote = add_origin(git_world)
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "ours.txt", "x\n", commit=True)
        change(folder, "dirty.txt", "x\n")
        with pytest.raises(GitError, match="Commit first"):
            await operate(git_world, provider, task, "update", how=how)
        (folder / "dirty.txt").unlink()
        elsewhere = git_world.folder / "elsewhere"
        git(git_world.folder, "clone", "--quiet", str(remote), str(elsewhere))
        change(elsewhere, "theirs.txt", "y\n", commit=True)
        git(elsewhere, "push", "--quiet", "origin", "main")
        await operate(git_world, provider, task, "update", how=how)
        assert (folder / "theirs.txt").exists()
        assert git(folder, "rev-list", "--count", "HEAD..origin/main") == "0"
        change(elsewhere, "ours.txt", "theirs\n", commit=True)
        git(elsewhere, "push", "--quiet", "origin", "main")
        head = git(folder, "rev-parse", "HEAD")
        with pytest.raises(GitError, match=r"ours\.txt"):
            await operate(git_world, provider, task, "update", how=how)
        assert git(folder, "rev-parse", "HEAD") == head
        assert git(folder, "status", "--porcelain=v1", "--branch").splitlines()[0].startswith(f"## {task.branch}")
        handed = await operate(git_world, provider, task, "update", how=how, resolve="agent")
        assert handed.prompt is not None
        assert "ours.txt" in handed.prompt
        assert git(folder, "rev-parse", "HEAD") == head


async def test_an_update_that_goes_on_after_a_restart_loses_nothing_that_was_done_meanwhile(
    git_world: LocalWorld,
) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        told = Told()
        told.notes = {"head": git(folder, "rev-parse", "HEAD")}
        change(git_world.repository, "theirs.txt", "y\n", commit=True)
        change(folder, "mine.txt", "committed since\n", commit=True)
        change(folder, "a.txt", "not committed\n")
        with pytest.raises(GitError, match="refused"):
            await operate(git_world, provider, task, "update", told, how="rebase")
        assert (folder / "a.txt").read_text() == "not committed\n"
        git(folder, "checkout", "--quiet", "a.txt")
        done = await operate(git_world, provider, task, "update", told, how="rebase")
        assert (folder / "mine.txt").read_text() == "committed since\n"
        assert (folder / "theirs.txt").exists()
        again = await operate(git_world, provider, task, "update", told, how="rebase")
        assert again.result["sha"] == done.result["sha"]


@pytest.mark.parametrize("how", ["rebase", "merge"])
async def test_an_update_that_was_cut_while_git_wrote_files_is_begun_again_and_keeps_what_was_there(
    git_world: LocalWorld, how: str
) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "one.txt", "1\n", commit=True)
        change(folder, "two.txt", "2\n" * 20, commit=True)
        change(git_world.repository, "theirs.txt", "y\n" * 20, commit=True)
        told = Told()
        told.notes = {"head": git(folder, "rev-parse", "HEAD"), "branch": str(task.branch)}
        if how == "rebase":
            git(folder, "-c", "sequence.editor=sed -i 1abreak", "rebase", "--quiet", "--interactive", "main")
            change(folder, "two.txt", "2\n")
        else:
            change(folder, "theirs.txt", "y\n")
        done = await operate(git_world, provider, task, "update", told, how=how)
        assert git(folder, "symbolic-ref", "--short", "HEAD") == task.branch
        assert git(folder, "rev-parse", str(task.branch)) == done.result["sha"]
        assert git(folder, "status", "--porcelain") == ""
        written = {name: (folder / name).read_text() for name in ("one.txt", "two.txt", "theirs.txt")}
        assert written == {"one.txt": "1\n", "two.txt": "2\n" * 20, "theirs.txt": "y\n" * 20}
        (kept,) = await provider.checkpoints.all(task, git_world.repo())
        half = "two.txt" if how == "rebase" else "theirs.txt"
        ref = git(folder, "for-each-ref", "--format=%(refname)", "refs/foundry")
        assert kept.checkpoint_id in ref
        assert len(git(folder, "show", f"{ref}:{half}")) == 1


async def test_an_update_that_was_cut_as_git_forgot_its_rebase_has_files_and_branch_agree(
    git_world: LocalWorld,
) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "ours.txt", "x\n", commit=True)
        change(git_world.repository, "theirs.txt", "y\n", commit=True)
        before = git(folder, "rev-parse", "HEAD")
        git(folder, "rebase", "--quiet", "main")
        # All was done, and of what git notes of a rebase only a part was removed.
        noted = Path(git(folder, "rev-parse", "--absolute-git-dir"), "rebase-merge")
        noted.mkdir()
        (noted / "done").touch()
        told = Told()
        told.notes = {"head": before, "branch": task.branch or ""}
        done = await operate(git_world, provider, task, "update", told)
        assert git(folder, "status", "--porcelain") == ""
        assert (folder / "theirs.txt").exists() and (folder / "ours.txt").exists()
        assert done.result["sha"] == git(folder, "rev-parse", "HEAD", task.branch or "").split()[1]
        assert git(folder, "rev-list", "--count", "HEAD..main") == "0"


async def test_what_a_link_in_the_worktree_leads_to_is_not_taken_back_with_an_update(
    git_world: LocalWorld, tmp_path: Path
) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        change(elsewhere, "theirs.txt", "a person's own\n")
        (folder / "deep").symlink_to(elsewhere)
        change(folder, "one.txt", "1\n", commit=True)
        (git_world.repository / "deep").mkdir()
        change(git_world.repository, "deep/theirs.txt", "y\n")
        change(git_world.repository, "theirs.txt", "y\n", commit=True)
        told = Told()
        told.notes = {"head": git(folder, "rev-parse", "HEAD"), "branch": str(task.branch)}
        change(folder, "theirs.txt", "")
        with pytest.raises(GitError, match="deep"):
            await operate(git_world, provider, task, "update", told, how="merge")
        assert (elsewhere / "theirs.txt").read_text() == "a person's own\n"


@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
async def test_landing_moves_the_local_base_and_its_clean_checkout(git_world: LocalWorld, how: str) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "one.txt", "1\n", commit=True)
        change(folder, "two.txt", "2\n", commit=True)
        change(git_world.repository, "theirs.txt", "y\n", commit=True)
        change(git_world.repository, "unsaved.txt", "mine\n")
        before = git(git_world.repository, "rev-parse", "main")
        with pytest.raises(GitError, match=r"unsaved\.txt"):
            await operate(git_world, provider, task, "land", how=how)
        assert git(git_world.repository, "rev-parse", "main") == before
        (git_world.repository / "unsaved.txt").unlink()
        done = await operate(git_world, provider, task, "land", how=how, archive=True)
        assert done.archive
        assert git(git_world.repository, "rev-parse", "main") == done.result["sha"]
        assert git(git_world.repository, "status", "--porcelain") == ""
        assert all((git_world.repository / name).exists() for name in ("one.txt", "two.txt", "theirs.txt"))
        commits = int(git(git_world.repository, "rev-list", "--count", f"{before}..main"))
        assert commits == {"merge": 3, "squash": 1, "rebase": 2}[how]
        assert "apart" not in git(git_world.repository, "worktree", "list")
        git(git_world.repository, "fsck", "--no-dangling")


@pytest.mark.parametrize("own", ["", "mine.txt"])
@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
async def test_what_others_pushed_meanwhile_lands_as_their_commits(git_world: LocalWorld, how: str, own: str) -> None:
    remote = add_origin(git_world)
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "one.txt", "1\n", commit=True)
        git(git_world.folder, "clone", "--quiet", str(remote), "other")
        change(git_world.folder / "other", "theirs.txt", "y\n", commit=True)
        git(git_world.folder / "other", "push", "--quiet", "origin", "main")
        if own:
            change(git_world.repository, own, "m\n", commit=True)
        await operate(git_world, provider, task, "update")
        work = await provider.work(git_world.call(task))
        assert work is not None
        assert (work.ahead, work.behind, work.files) == (1, 0, 1), "theirs is no change of the task's"
        done = await operate(git_world, provider, task, "land", how=how)
        landed = str(done.result["sha"])
        assert git(git_world.repository, "rev-list", "--count", f"{landed}..origin/main") == "0"
        if how != "merge":
            assert git(git_world.repository, "show", "--format=", "--name-only", landed) == "one.txt"
        assert all((git_world.repository / name).exists() for name in ("one.txt", "theirs.txt", own))
        assert git(git_world.repository, "status", "--porcelain") == ""


async def test_what_has_landed_as_one_commit_is_not_landed_again(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "one.txt", "1\n", commit=True)
        done = await operate(git_world, provider, task, "land", how="squash")
        with pytest.raises(GitError, match=r"main has all that the branch .* it has landed"):
            await operate(git_world, provider, task, "land", how="squash")
        assert git(git_world.repository, "rev-parse", "main") == done.result["sha"]


async def test_what_was_landed_before_a_kill_is_found_below_what_came_since(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "one.txt", "1\n", commit=True)
        told = Told()
        landed = await operate(git_world, provider, task, "land", told, how="squash")
        change(git_world.repository, "one.txt", "2\n", commit=True)
        again = await operate(git_world, provider, task, "land", told, how="squash")
        assert again.result == landed.result
        assert git(git_world.repository, "show", "main:one.txt") == "2"


async def test_landing_with_conflicts_touches_nothing(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "a.txt", "ours\n", commit=True)
        change(git_world.repository, "a.txt", "theirs\n", commit=True)
        before = git(git_world.repository, "rev-parse", "main")
        for how in ("merge", "squash", "rebase"):
            with pytest.raises(GitError, match=r"a\.txt"):
                await operate(git_world, provider, task, "land", how=how)
        assert git(git_world.repository, "rev-parse", "main") == before
        assert git(git_world.repository, "status", "--porcelain") == ""
        git(git_world.repository, "switch", "--quiet", "--create", "elsewhere")
        git(folder, "rebase", "--quiet", "--strategy-option=theirs", "main")
        done = await operate(git_world, provider, task, "land")
        assert git(git_world.repository, "rev-parse", "main") == done.result["sha"]


async def test_applying_is_whole_or_not_at_all_and_nothing_is_committed(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "a.txt", "ours\n", commit=True)
        (folder / "picture.bin").write_bytes(bytes(range(256)))
        change(git_world.repository, "picture.bin", "in the way\n")
        with pytest.raises(GitError, match=r"picture\.bin"):
            await operate(git_world, provider, task, "apply")
        assert (git_world.repository / "a.txt").read_text() == "one\ntwo\n"
        (git_world.repository / "picture.bin").unlink()
        head = git(git_world.repository, "rev-parse", "HEAD")
        told = Told()
        await operate(git_world, provider, task, "apply", told)
        assert (git_world.repository / "a.txt").read_text() == "ours\n"
        assert (git_world.repository / "picture.bin").read_bytes() == bytes(range(256))
        assert git(git_world.repository, "rev-parse", "HEAD") == head
        again = await operate(git_world, provider, task, "apply", told)
        assert again.result == {"checkout": str(git_world.repository)}
        change(git_world.repository, "a.txt", "gone on with\n")
        again = await operate(git_world, provider, task, "apply", told)
        assert again.result == {"checkout": str(git_world.repository)}
        assert (git_world.repository / "a.txt").read_text() == "gone on with\n"


@pytest.mark.parametrize("kind", ["push", "update"])
async def test_a_remote_that_is_away_is_said_and_nothing_is_changed(git_world: LocalWorld, kind: str) -> None:
    remote = add_origin(git_world)
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "a.txt", "ours\n", commit=True)
        head = git(folder, "rev-parse", "HEAD")
        remote.rename(git_world.folder / "away.git")
        with pytest.raises(GitError) as failed:
            await operate(git_world, provider, task, kind)
        assert "by hand" in failed.value.message or "remote" in failed.value.message.lower()
        assert (git(folder, "rev-parse", "HEAD"), git(folder, "status", "--porcelain")) == (head, "")
        (git_world.folder / "away.git").rename(remote)
        await operate(git_world, provider, task, kind)


async def test_landing_goes_on_where_a_kill_left_git_knowing_of_a_worktree_that_is_gone(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "a.txt", "ours\n", commit=True)
        change(git_world.repository, "theirs.txt", "y\n", commit=True)
        own = folder.parents[1] / "operation"
        for place in (own / "apart", git_world.folder / "on a disk that is away"):
            git(git_world.repository, "worktree", "add", "--quiet", "--detach", str(place), "main")
            shutil.rmtree(place)
        await operate(git_world, provider, task, "land")
        listed = git(git_world.repository, "worktree", "list")
        assert "apart" not in listed
        assert "on a disk that is away" in listed, "other people's worktrees are left alone"


async def cancel_at(
    gate: Gate, world: LocalWorld, provider: LocalProvider, task: TaskDetail, kind: str, *, goes_on: bool = False
) -> None:
    """Cancel the operation while something of it waits at the gate, which then is opened if that is to go on."""
    with gate:
        async with anyio.create_task_group() as group:
            group.start_soon(operate, world, provider, task, kind)
            await anyio.to_thread.run_sync(gate.await_arrival)
            group.cancel_scope.cancel()
            if goes_on:
                gate.open()


@pytest.mark.parametrize("kind", ["apply", "land"])
async def test_what_is_cancelled_while_files_are_made_apart_leaves_the_checkout(
    git_world: LocalWorld, kind: str
) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "a.txt", "ours\n")
        change(folder, "z.txt", "new\n", commit=True)
        (git_world.repository / ".git/info/attributes").write_text("* filter=held\n")
        gate = Gate(git_world.folder)
        git(git_world.repository, "config", "filter.held.smudge", f"{gate.words}; cat")
        await cancel_at(gate, git_world, provider, task, kind)
        assert git(git_world.repository, "status", "--porcelain") == ""
        assert (git_world.repository / "a.txt").read_text() == "one\ntwo\n"
        await operate(git_world, provider, task, kind)
        assert (git_world.repository / "z.txt").read_text() == "new\n"


async def test_landing_that_is_cancelled_as_the_branch_moves_is_done_to_its_end(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "a.txt", "ours\n", commit=True)
        hook = git_world.repository / ".git/hooks/reference-transaction"
        gate = Gate(git_world.folder)
        hook.write_text(f"#!/bin/sh\n[ $1 = prepared ] || exit 0\n{gate.words}\ncat\n")
        hook.chmod(0o755)
        await cancel_at(gate, git_world, provider, task, "land", goes_on=True)
        assert git(git_world.repository, "status", "--porcelain") == ""
        assert git(git_world.repository, "show", "main:a.txt") == "ours"
        assert not list((git_world.repository / ".git").rglob("*.lock"))


class Waiting(Told):
    """Knows when what it is told of waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = anyio.Event()
        self.why: list[str] = []

    async def tell(self, detail: str) -> None:
        if self.steps[-1] == "wait":
            self.why.append(detail)
            self.waits.set()


@pytest.mark.parametrize(("kind", "elsewhere"), [("land", True), ("apply", False)])
async def test_what_another_task_is_bringing_into_a_checkout_is_waited_for(
    git_world: LocalWorld, kind: str, elsewhere: bool
) -> None:
    async with git_world.provider() as provider, git_world.provider(data=git_world.folder / "other") as other:
        one, first = await sandbox(git_world, provider, "fix/one")
        side = other if elsewhere else provider
        two, second = await sandbox(git_world, side, "fix/two")
        change(first, "one.txt", "1\n", commit=True)
        change(second, "two.txt", "2\n", commit=True)
        hook = git_world.repository / ".git/hooks/reference-transaction"
        gate, told = Gate(git_world.folder), Waiting()
        hook.write_text(f"#!/bin/sh\n[ $1 = prepared ] || exit 0\n{gate.words}\ncat\n")
        hook.chmod(0o755)
        async with anyio.create_task_group() as group:
            # Whatever fails, it is open before the group waits for what stands before it.
            with gate:
                group.start_soon(operate, git_world, provider, one, "land")
                await anyio.to_thread.run_sync(gate.await_arrival)
                group.start_soon(operate, git_world, side, two, kind, told)
                with anyio.fail_after(30):
                    await told.waits.wait()
                gate.open()
        assert told.why == [f"another task is being brought into {git_world.repository}"]
        assert (git_world.repository / "one.txt").exists() and (git_world.repository / "two.txt").exists()
        assert git(git_world.repository, "status", "--porcelain") == ("" if kind == "land" else "?? two.txt")


@pytest.mark.parametrize("kind", ["land", "apply"])
async def test_a_checkout_in_which_a_landing_was_cut_is_left_to_that_one(
    git_world: LocalWorld, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend_stub.providers.local.way_home.CUT_SECONDS", 0)
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "z.txt", "new\n", commit=True)
        lock = git_world.repository / ".git/index.lock"
        lock.write_text("foundry lands the task 0193 here, and goes on as its backend starts again\n")
        (git_world.repository / "a.txt").write_text("half\n")
        told = Waiting()
        with pytest.raises(GitError, match=r"landing of the task 0193 was cut in .*foundry history 0193.*index\.lock"):
            await operate(git_world, provider, task, kind, told)
        assert len(told.why) > 1
        assert lock.exists() and (git_world.repository / "a.txt").read_text() == "half\n"
        lock.unlink()
        git(git_world.repository, "checkout", "--quiet", "a.txt")
        await operate(git_world, provider, task, kind)
        assert (git_world.repository / "z.txt").read_text() == "new\n"


async def test_a_branch_that_moves_while_a_task_is_landed_is_said_to_have_moved(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "a.txt", "ours\n", commit=True)
        old = git(git_world.repository, "rev-parse", "main")
        moved = git(git_world.repository, "commit-tree", "-p", old, "-m", "theirs", f"{old}^{{tree}}")
        (git_world.repository / ".git/info/attributes").write_text("* filter=held\n")
        gate = Gate(git_world.folder)
        git(git_world.repository, "config", "filter.held.smudge", f"{gate.words}; cat")
        async with anyio.create_task_group() as group:
            # Whatever fails, it is open before the group waits for what stands before it.
            with gate:

                async def land() -> None:
                    with pytest.raises(GitError, match=r"main has moved .*Nothing was changed\. Land again"):
                        await operate(git_world, provider, task, "land")

                group.start_soon(land)
                await anyio.to_thread.run_sync(gate.await_arrival)
                git(git_world.repository, "update-ref", "refs/heads/main", moved)
                gate.open()
        assert git(git_world.repository, "rev-parse", "main") == moved
        assert git(git_world.repository, "status", "--porcelain") == ""
        await operate(git_world, provider, task, "land")


async def test_a_lock_is_taken_away_only_when_no_git_of_a_person_is_at_work(
    git_world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend_stub.providers.local.way_home.place.LOCK_SECONDS", 0.1)
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "a.txt", "ours\n", commit=True)
        lock = git_world.repository / ".git/refs/heads/main.lock"
        # No child of ours, as the backend's own gits are.
        words = ["sh", "-c", "git update-ref --stdin; true"]
        async with await anyio.open_process(words, cwd=git_world.repository, stderr=None) as person:
            assert person.stdin is not None and person.stdout is not None
            await person.stdin.send(b"start\nupdate refs/heads/main HEAD\n")
            await person.stdin.send(b"prepare\n")
            said = b""
            while b"prepare: ok" not in said:
                said += await person.stdout.receive()
            told = Told()
            for _ in range(2):
                with pytest.raises(GitError, match=f"it has left {lock}: remove"):
                    await go_on(git_world, provider, task, told)
            assert lock.exists()
            end_all(person.pid)
        await go_on(git_world, provider, task, told)
        assert not lock.exists()
        assert git(git_world.repository, "show", "main:a.txt") == "ours"


async def go_on(world: LocalWorld, provider: LocalProvider, task: TaskDetail, told: Told) -> Done:
    """Land what was being landed when the backend was killed."""
    step = OperationStep(name="check", state=OperationState.RUNNING, started_at=1)
    return await provider.way_home.operate(world.call(task), replace(operation_of(task, "land"), steps=(step,)), told)


async def test_a_task_that_is_killed_after_operations_leaves_nothing(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "a.txt", "ours\n")
        await operate(git_world, provider, task, "commit")
        await git_world.kill(provider, task)
        assert not folder.parents[1].exists()


async def test_the_person_s_filters_line_ends_and_hooks_count_in_their_checkout(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, ".gitattributes", "*.crlf eol=crlf\n")
        change(folder, "new.crlf", "1\n2\n", commit=True)
        (git_world.repository / "a.txt").chmod(0o755)
        git(git_world.repository, "commit", "-q", "-am", "executable")
        hook = git_world.repository / ".git/hooks/post-merge"
        hook.write_text('#!/bin/sh\necho "$@" > ../merged\n')
        hook.chmod(0o755)
        await operate(git_world, provider, task, "land")
        assert (git_world.repository / "new.crlf").read_bytes() == b"1\r\n2\r\n"
        assert git(git_world.repository, "status", "--porcelain") == ""
        assert (git_world.folder / "merged").read_text() == "0\n"
        change(folder, "b.crlf", "3\n")
        await operate(git_world, provider, task, "apply")
        assert (git_world.repository / "b.crlf").read_bytes() == b"3\r\n"


async def test_an_ignored_file_in_the_way_is_named_and_stays(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        (folder / ".env").write_text("theirs\n")
        git(folder, "add", "--force", ".env")
        git(folder, "commit", "-q", "-m", "env")
        (git_world.repository / ".env").write_text("mine\n")
        with pytest.raises(GitError, match=r"\.env.*in the way"):
            await operate(git_world, provider, task, "land")
        assert (git_world.repository / ".env").read_text() == "mine\n"
        (git_world.repository / ".env").unlink()
        await operate(git_world, provider, task, "land")
        assert (git_world.repository / ".env").read_text() == "theirs\n"


JOURNAL = {
    "cut": b'{"checkout": "L2hvbWU=", "chan',
    "garbage": b"\xff\x00\xfe",
    "of another sort": b"[1, 2]",
    "out of the checkout": b'{"checkout": "Lw==", "folders": [], '
    b'"changes": [{"name": "Li4veA==", "before": {}, "after": {}}]}',
    "a folder above": b'{"checkout": "Lw==", "changes": [], "folders": ["L2V0Yw=="]}',
}
"""What may stand in a journal after a disk has failed."""


@pytest.mark.parametrize("what", JOURNAL)
async def test_a_journal_that_cannot_be_gone_by_harms_nothing_and_says_where_to_look(
    git_world: LocalWorld, what: str
) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "a.txt", "ours\n")
        await operate(git_world, provider, task, "apply")
        own = folder.parents[1] / "operation"
        (own / "made").unlink()
        (own / "journal.json").write_bytes(JOURNAL[what])
        before = git(git_world.repository, "status", "--porcelain")
        for kind in ("apply", "commit", "land"):
            with pytest.raises(GitError, match="git status, remove the folder") as refused:
                await operate(git_world, provider, task, kind)
            assert str(own) in refused.value.message
            assert not refused.value.retryable
        assert git(git_world.repository, "status", "--porcelain") == before
        shutil.rmtree(own)
        await operate(git_world, provider, task, "commit")
        own.mkdir(exist_ok=True)
        (own / "journal.json").write_bytes(JOURNAL[what])
        operation = Operation(
            operation_id="o",
            task_id=task.task_id,
            kind=OperationKind.APPLY,
            request={},
            state=OperationState.RUNNING,
            at=1,
            revision=1,
        )
        with pytest.raises(GitError, match="git status, remove the folder"):
            await git_world.kill(provider, replace(task, operations=(operation,)))
        assert folder.exists(), "what is kept of the checkout is kept"
        shutil.rmtree(own)
        await git_world.kill(provider, replace(task, operations=(operation,)))
        assert not folder.exists()
        assert git(git_world.repository, "status", "--porcelain") == before


@pytest.mark.parametrize("kind", ["apply", "land"])
async def test_a_sandbox_stays_while_the_checkout_cannot_be_put_back(
    git_world: LocalWorld, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "a.txt", "ours\n", commit=kind == "land")
        before = git(git_world.repository, "status", "--porcelain")

        def cut(self: Journal) -> None:
            self._become("after")
            raise RuntimeError("the power is cut")

        with monkeypatch.context() as power, pytest.raises(RuntimeError, match="the power"):
            power.setattr(Journal, "make", cut)
            await operate(git_world, provider, task, kind)
        assert git(git_world.repository, "status", "--porcelain") != before
        killed = replace(task, operations=(operation_of(task, kind),))

        def refuse(self: Journal, side: str, but: object = ()) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with (
            monkeypatch.context() as full,
            pytest.raises(GitError, match=r"taken back: No space left.*kept in .*before"),
        ):
            full.setattr(Journal, "_become", refuse)
            await git_world.kill(provider, killed)
        assert folder.exists()
        await git_world.kill(provider, killed)
        assert not folder.exists()
        assert git(git_world.repository, "status", "--porcelain") == before


async def test_a_sandbox_that_git_knows_nothing_of_any_more_goes(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        shutil.rmtree(folder)
        git(git_world.repository, "worktree", "prune")
        await git_world.kill(provider, replace(task, operations=(operation_of(task, "land"),)))
        assert not folder.parents[1].exists()


async def test_an_update_by_merge_is_named_as_people_say_it(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        add_origin(git_world)
        task, folder = await sandbox(git_world, provider)
        change(folder, "b.txt", "ours\n", commit=True)
        change(git_world.repository, "theirs.txt", "theirs\n", commit=True)
        git(git_world.repository, "push", "--quiet", "origin", "main")
        await operate(git_world, provider, task, "update", how="merge")
        assert git(folder, "log", "-1", "--format=%s").strip() == f"Merge origin/main into {task.branch}"


@pytest.mark.parametrize("kind", ["commit", "update", "land"])
async def test_looking_for_changes_takes_no_lock_that_a_kill_would_leave(git_world: LocalWorld, kind: str) -> None:
    async with git_world.provider() as provider:
        task, folder = await sandbox(git_world, provider)
        change(folder, "b.txt", "ours\n", commit=True)
        if kind != "commit":
            change(folder, "half.txt", "half\n")
        for each in (folder, git_world.repository):
            # Git would note the new time of a file that is as it was.
            os.utime(each / "a.txt", (1, 1))
        indexes = [git_world.repository / ".git" / place for place in ("index", f"worktrees/{folder.name}/index")]
        before = [index.stat().st_mtime_ns for index in indexes]
        with pytest.raises(GitError, match=r"nothing to commit|not committed"):
            await operate(git_world, provider, task, kind)
        assert [index.stat().st_mtime_ns for index in indexes] == before
