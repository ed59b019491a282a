"""Checkpoints on real worktrees: equal to the byte, gone where nothing was changed, and undone over kills."""

import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread

from backend_stub.domain.call import Call
from backend_stub.domain.checkpoints import UnknownCheckpointError
from backend_stub.domain.errors import GitError
from backend_stub.providers.local import LocalProvider, files_on_disk, snapshot
from backend_stub.providers.local.comparison import diff_of, files_of_side, write_patch
from backend_stub.providers.local.sandbox_record import Records
from backend_stub.providers.local.snapshot import Between
from backend_stub.repository.git import Output, run_git
from foundry_tui.contract.records import FileDiff, Operation, OperationKind, OperationState, TaskDetail
from tests.git import git
from tests.local.hostile_trees import change, fill, seen
from tests.local.test_way_home import Told, identify, operate
from tests.local.world import LocalWorld

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def sandbox(world: LocalWorld) -> AsyncIterator[tuple[LocalProvider, TaskDetail, Path]]:
    async with world.provider() as provider:
        task = await world.with_sandbox(provider, world.task())
        assert task.sandbox is not None
        yield provider, task, Path(task.sandbox.cwd)


def of_the_person(world: LocalWorld, folder: Path) -> list[str | bytes]:
    """What nobody but the person and their agent may change."""
    index = Path(git(folder, "rev-parse", "--path-format=absolute", "--git-path", "index"))
    hooks = [each.name.encode() + each.read_bytes() for each in sorted((world.repository / ".git/hooks").iterdir())]
    refs = git(folder, "for-each-ref", "refs/heads", "refs/stash", "refs/tags")
    return [index.read_bytes(), git(folder, "rev-parse", "HEAD"), git(folder, "symbolic-ref", "HEAD"), refs, *hooks]


def in_each(folders: Sequence[bytes], do: Callable[[bytes, random.Random], None], chance: random.Random) -> None:
    for folder in folders:
        do(folder, chance)


async def hostile(world: LocalWorld, seed: int, trees: int) -> None:
    """Many trees in one repository, each in a folder of its own, whose rules are for it alone."""
    chance = random.Random(seed)
    for name in ("clean", "smudge"):
        git(world.repository, "config", f"filter.bad.{name}", f"touch {world.folder}/ran; cat")
    git(world.repository, "config", "core.autocrlf", "true")
    async with sandbox(world) as (provider, task, folder):
        (folder / "stashed").write_text("x\n")
        git(folder, "stash", "push", "--quiet", "--include-untracked")
        (folder / "a.txt").write_text("staged\n")
        git(folder, "add", "a.txt")
        before = of_the_person(world, folder)
        tops = [os.fsencode(folder / f"t{number}") for number in range(trees)]
        call, where = world.call(task), os.fsencode(folder)
        await to_thread.run_sync(in_each, tops, fill, chance)
        first = await to_thread.run_sync(seen, where)
        await provider.checkpoints.begin(call, "p1")
        await to_thread.run_sync(in_each, tops, change, chance)
        second = await to_thread.run_sync(seen, where)
        begun, ended = await provider.checkpoints.end(call, ["p1"])
        of = await provider.checkpoints.open(call)
        assert of is not None
        assert (begun.when, ended.when) == ("before", "after")
        undone = await operate(world, provider, task, "undo")
        kept = of.target(begun.checkpoint_id)
        assert kept is not None
        names = await of.snapshot.git("ls-tree", "-r", "-z", "--name-only", kept.tree)
        ours = {name for name in names.stdout.split(b"\0") if name in first}
        assert len(ours) > trees
        now = await to_thread.run_sync(seen, where)
        assert {name: now.get(name) for name in ours} == {name: first[name] for name in ours}
        # What was ignored all the time has been left alone.
        assert {name: each for name, each in now.items() if name not in ours}.items() <= {**first, **second}.items()
        again = await provider.way_home.operate(
            call, operation("again", checkpoint_id=undone.result["checkpoint_id"]), Told()
        )
        assert await to_thread.run_sync(seen, where) == second
        assert again.result["files"] == undone.result["files"]
        assert of_the_person(world, folder) == before
        assert not (world.folder / "ran").exists()


def operation(operation_id: str, **request: object) -> Operation:
    return Operation(
        operation_id=operation_id,
        task_id="t",
        kind=OperationKind.UNDO,
        request=request,
        state=OperationState.RUNNING,
        at=1,
        revision=1,
    )


@pytest.mark.slow
async def test_two_hundred_hostile_trees_come_back_to_the_byte(git_world: LocalWorld) -> None:
    await hostile(git_world, 1, 200)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
async def test_many_more_hostile_trees(git_world: LocalWorld, seed: int) -> None:
    await hostile(git_world, seed, 200)


async def test_a_turn_that_changes_nothing_leaves_nothing_and_its_own_state_is_known(git_world: LocalWorld) -> None:
    async with sandbox(git_world) as (provider, task, folder):
        call, keeper = git_world.call(task), provider.checkpoints
        (folder / "mine.txt").write_text("by hand\n")
        await keeper.begin(call, "p1")
        assert await keeper.end(call, ["p1"]) == []
        assert git(folder, "for-each-ref", "refs/foundry") == ""
        assert list(await keeper.diff(call, "last")) == []
        with pytest.raises(UnknownCheckpointError):
            await keeper.diff(call, "before-nothing")
        await keeper.begin(call, "p2")
        await keeper.begin(call, "p2")
        (folder / "b.txt").write_text("b\nc\n")
        (folder / ".env").write_text("SECRET\n")
        before, after = await keeper.end(call, ["p2"])
        assert await keeper.end(call, ["p2"]) == []
        assert [each.checkpoint_id for each in await keeper.all(task, git_world.repo())] == [
            before.checkpoint_id,
            after.checkpoint_id,
        ]
        assert (after.files, after.added, after.removed, after.prompt_id) == (1, 1, 0, "p2")
        ref = f"refs/foundry/{task.task_id}/{after.checkpoint_id}"
        assert git(folder, "ls-tree", "-r", "--name-only", ref).split() == [".gitignore", "a.txt", "b.txt", "mine.txt"]
        assert git(folder, "rev-parse", f"{ref}^") == git(folder, "rev-parse", "HEAD")
        (file,) = await keeper.diff(call, "last")
        assert (file.path, file.status, file.added, file.removed) == ("b.txt", "M", 1, 0)
        with (git_world.folder / "patch").open("w+b") as patch:
            await keeper.write_patch(call, before.checkpoint_id, patch)
        assert b"+c" in (git_world.folder / "patch").read_bytes()
        # Comparing leaves no object behind.
        assert len(git(folder, "for-each-ref", "refs/foundry").splitlines()) == 2
    async with git_world.provider() as provider:
        assert len(await provider.checkpoints.all(task, git_world.repo())) == 2
        await git_world.kill(provider, task)
        assert len(await provider.checkpoints.all(task, git_world.repo())) == 2
        await provider.checkpoints.forget(task.task_id)
        assert git(git_world.repository, "for-each-ref", "refs/foundry") == ""
        assert not (git_world.data / "checkpoints" / task.task_id).exists()


class Cut(BaseException):
    """A kill of the backend."""


class Cutting:
    """Lets so many calls of git pass, and cuts the backend at the next one; below 0 it lets all pass.

    Calls are counted of what is to be cut, not of what is read behind meanwhile.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = -1
        self._within = ContextVar("within", default=False)
        for name in ("snapshot", "restoring", "checkpoints", "comparison", "binary_sizes"):
            monkeypatch.setattr(f"backend_stub.providers.local.{name}.run_git", self._run)

    async def _run(self, folder: str, *words: str, **more: Any) -> Output:
        if not self._within.get():
            return await run_git(folder, *words, **more)
        self.left -= 1
        if self.left == -1:
            if words[:2] == ("read-tree", "-m"):
                # It had begun: a part of the files is done, and its lock is there.
                (Path(folder) / "mine.txt").unlink()
                Path(f"{more['environment']['GIT_INDEX_FILE']}.lock").touch()
            raise Cut
        return await run_git(folder, *words, **more)

    async def cuts(self, left: int, do: Awaitable[object]) -> bool:
        """Whether it was cut before it was done."""
        self.left = left
        within = self._within.set(True)
        try:
            await do
        except (Cut, BaseExceptionGroup):
            return True
        finally:
            self._within.reset(within)
            self.left = -1
        return False


@asynccontextmanager
async def prepared(world: LocalWorld) -> AsyncIterator[tuple[LocalProvider, TaskDetail, Path, Call]]:
    """A sandbox behind which all is read that is, so that nothing but what a test does calls git any more."""
    async with sandbox(world) as (provider, task, folder):
        call = world.call(task)
        await provider.checkpoints.open(call)
        await anyio.wait_all_tasks_blocked()
        yield provider, task, folder, call


@pytest.fixture
def cutting(monkeypatch: pytest.MonkeyPatch) -> Cutting:
    return Cutting(monkeypatch)


@pytest.mark.slow
async def test_an_undo_cut_before_any_call_of_git_is_completed_or_taken_back(
    git_world: LocalWorld, cutting: Cutting
) -> None:
    async with prepared(git_world) as (provider, task, folder, call):
        for number in range(40):
            (folder / "a.txt").write_text("one\n")
            (folder / "mine.txt").write_text("by hand\n")
            await provider.checkpoints.begin(call, f"p{number}")
            (folder / "a.txt").unlink()
            (folder / "a.txt").mkdir()
            (folder / "a.txt" / "x").write_text("x\n")
            (folder / "mine.txt").write_text("changed\n")
            told, undoing = Told(), operation(f"cut{number}")
            was_cut = await cutting.cuts(number, provider.way_home.operate(call, undoing, told))
            # The next run of the backend knows nothing but what is on the disk.
            provider.checkpoints.leave(task.task_id)
            if number % 3 == 2:
                await provider.way_home.abandon(call, undoing, told)
                await provider.checkpoints.end(call, [f"p{number}"])
                assert (folder / "a.txt" / "x").read_text() == "x\n"
                assert (folder / "mine.txt").read_text() == "changed\n"
                (folder / "a.txt" / "x").unlink()
                (folder / "a.txt").rmdir()
            else:
                await provider.way_home.operate(call, undoing, told)
                assert (folder / "a.txt").read_text() == "one\n"
                assert (folder / "mine.txt").read_text() == "by hand\n"
                of = await provider.checkpoints.open(call)
                assert of is not None
                before, after, undo = of.known[-3:]
                assert [each.checkpoint.when for each in (before, after, undo)] == ["before", "after", "undo"]
                assert undo.tree == after.tree != before.tree
            if not was_cut:
                break
        assert number > 15


async def test_checkpoints_cut_before_any_call_of_git_are_made_once(git_world: LocalWorld, cutting: Cutting) -> None:
    async with prepared(git_world) as (provider, task, folder, call):
        keeper = provider.checkpoints
        for number in range(20):
            was_cut = await cutting.cuts(number, keeper.begin(call, f"p{number}"))
            keeper.leave(task.task_id)
            await keeper.begin(call, f"p{number}")
            (folder / "a.txt").write_text(f"{number}\n")
            was_cut |= await cutting.cuts(number, keeper.end(call, [f"p{number}"]))
            keeper.leave(task.task_id)
            await keeper.end(call, [f"p{number}"])
            kept = await keeper.all(task, git_world.repo())
            assert [each.when for each in kept] == ["before", "after"] * (number + 1)
            assert kept[-1].prompt_id == kept[-2].prompt_id == f"p{number}"
            if not was_cut:
                break
        assert number > 5


@pytest.mark.slow
async def test_a_comparison_cut_before_any_call_of_git_leaves_nothing_wrong(
    git_world: LocalWorld, cutting: Cutting
) -> None:
    async with prepared(git_world) as (provider, task, folder, call):
        keeper = provider.checkpoints
        await provider.changes.settled()
        await keeper.begin(call, "p1")
        (folder / "a.txt").write_text("staged\n")
        git(folder, "add", "a.txt")
        (folder / "new.bin").write_bytes(b"\0" * 900)
        record = await to_thread.run_sync(Records(git_world.data).load, task.task_id)
        assert record is not None
        patch = (git_world.folder / "patch").open("w+b")

        async def compare() -> list[list[FileDiff]]:
            patch.seek(0)
            patch.truncate()
            found = [list((await diff_of(record)).files), list(await keeper.diff(call, "last"))]
            await write_patch(record, patch)
            await keeper.write_patch(call, "last", patch)
            return found

        with patch:
            before, whole, bytes_of_patch = (
                of_the_person(git_world, folder),
                await compare(),
                os.fstat(patch.fileno()).st_size,
            )
            for number in range(0, 60, 3):
                was_cut = await cutting.cuts(number, compare())
                keeper.leave(task.task_id)
                assert of_the_person(git_world, folder) == before
                assert await compare() == whole
                assert os.fstat(patch.fileno()).st_size == bytes_of_patch
                if not was_cut:
                    break
        assert number > 15
        assert [(file.path, file.size) for file in whole[1]] == [("a.txt", None), ("new.bin", 900)]


async def test_what_was_compared_is_kept_while_the_trees_are_the_same(
    git_world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []

    async def counted(side: Between) -> list[FileDiff]:
        compared.append(side.new)
        return await files_of_side(side)

    monkeypatch.setattr("backend_stub.providers.local.checkpoints.files_of_side", counted)
    async with sandbox(git_world) as (provider, task, folder):
        call, keeper = git_world.call(task), provider.checkpoints
        await keeper.begin(call, "p1")
        for text in ("one\n", "one\n", "two\n"):
            (folder / "a.txt").write_text(text)
            assert [file.path for file in await keeper.diff(call, "last")] == ["a.txt"]
            assert [file.path for file in await keeper.diff(call, "last")] == ["a.txt"]
        assert len(compared) == 2


async def test_a_renamed_file_counts_once_as_in_the_diff(git_world: LocalWorld) -> None:
    async with sandbox(git_world) as (provider, task, folder):
        call, keeper = git_world.call(task), provider.checkpoints
        (folder / "long.txt").write_text("".join(f"line {number}\n" for number in range(50)))
        await keeper.begin(call, "p1")
        (folder / "long.txt").rename(folder / "moved.txt")
        with (folder / "moved.txt").open("a") as file:
            file.write("more\n")
        _, after = await keeper.end(call, ["p1"])
        (file_of_diff,) = await keeper.diff(call, "last")
        assert (after.files, after.added, after.removed) == (1, file_of_diff.added, file_of_diff.removed) == (1, 1, 0)
        undone = await provider.way_home.operate(call, operation("1"), Told())
        assert undone.result["files"] == 1


async def test_a_name_of_which_only_the_case_was_changed_is_kept_told_and_committed(git_world: LocalWorld) -> None:
    git(git_world.repository, "config", "core.ignorecase", "true")
    async with sandbox(git_world) as (provider, task, folder):
        call = git_world.call(task)
        await provider.checkpoints.begin(call, "p1")
        (folder / "a.txt").rename(folder / "A.txt")
        (folder / "B.txt").write_text("beside b.txt\n")
        _, ended = await provider.checkpoints.end(call, ["p1"])
        record = await to_thread.run_sync(Records(git_world.data).load, task.task_id)
        assert record is not None
        told = {(file.path, file.status) for file in (await diff_of(record)).files}
        assert told == {("A.txt", "R"), ("B.txt", "?")}
        of = await provider.checkpoints.open(call)
        kept = of.target(ended.checkpoint_id) if of is not None else None
        assert of is not None and kept is not None
        names = (await of.snapshot.git("ls-tree", "-r", "--name-only", kept.tree)).text.split("\n")
        assert "A.txt" in names and "a.txt" not in names and "B.txt" in names
        identify(git_world.repository)
        await operate(git_world, provider, task, "commit")
        listed = git(folder, "-c", "core.ignorecase=false", "ls-tree", "--name-only", "HEAD").split()
        assert listed == [".gitignore", "A.txt", "B.txt", "b.txt"]


async def test_commits_stay_and_are_named_and_what_stands_in_the_way_is_kept(git_world: LocalWorld) -> None:
    async with sandbox(git_world) as (provider, task, folder):
        call = git_world.call(task)
        (folder / "notes").write_text("notes\n")
        await provider.checkpoints.begin(call, "p1")
        git(folder, "commit", "--quiet", "--allow-empty", "--message=more")
        head = git(folder, "rev-parse", "HEAD")
        (folder / "notes").unlink()
        (folder / ".gitignore").write_text(".env\nnotes\n")
        (folder / "notes").mkdir()
        (folder / "notes" / "deep").write_text("ignored\n")
        changed = await to_thread.run_sync(seen, os.fsencode(folder))
        done = await provider.way_home.operate(call, operation("1"), Told())
        assert done.result["commits"] == [head] == [git(folder, "rev-parse", "HEAD")]
        assert done.notice is not None and "1 commit made since stays." in done.notice
        assert done.notice.startswith("The files are again what they were before “fix it”. 3 files were changed back.")
        assert done.result["checkpoint_id"] not in done.notice
        assert (folder / "notes").read_text() == "notes\n"
        await provider.way_home.operate(call, operation("2", checkpoint_id=done.result["checkpoint_id"]), Told())
        assert await to_thread.run_sync(seen, os.fsencode(folder)) == changed
        (folder / "notes" / "deep").unlink()
        git(folder / "notes", "init", "--quiet")
        with pytest.raises(GitError, match="a repository of its own"):
            await provider.way_home.operate(call, operation("3"), Told())
        with pytest.raises(GitError, match="no checkpoint nothing"):
            await provider.way_home.operate(call, operation("4", checkpoint_id="nothing"), Told())


async def test_repositories_inside_are_left_alone_and_nothing_of_theirs_is_run(git_world: LocalWorld) -> None:
    async with sandbox(git_world) as (provider, task, folder):
        call = git_world.call(task)
        for name in ("sub", "own"):
            git(folder, "init", "--quiet", name)
            (folder / name / "file").write_text("1\n")
            git(folder / name, "config", "filter.bad.clean", f"touch {git_world.folder}/ran; cat")
            git(folder / name, "config", "core.fsmonitor", f"touch {git_world.folder}/ran")
            (folder / name / ".gitattributes").write_text("* filter=bad\n")
            git(folder / name, "commit", "--quiet", "--allow-empty", "--message=1")
        sub = git(folder / "sub", "rev-parse", "HEAD")
        git(folder, "update-index", "--add", "--cacheinfo", f"160000,{sub},sub")
        (folder / ".gitmodules").write_text('[submodule "sub"]\n\tpath = sub\n\turl = ../sub\n')
        await provider.checkpoints.begin(call, "p1")
        for name in ("sub", "own"):
            (folder / name / "file").write_text("2\n")
            git(folder / name, "commit", "--quiet", "--allow-empty", "--message=2")
        (folder / "a.txt").write_text("changed\n")
        heads = [git(folder / name, "rev-parse", "HEAD") for name in ("sub", "own")]
        _, after = await provider.checkpoints.end(call, ["p1"])
        # The submodule's commit and a.txt; a repository that git does not know is nothing of this one's.
        assert after.files == 2
        listed = git(folder, "ls-tree", f"refs/foundry/{task.task_id}/{after.checkpoint_id}")
        assert f"160000 commit {heads[0]}\tsub" in listed
        assert "own" not in listed
        (ran := git_world.folder / "ran").unlink(missing_ok=True)
        undone = await provider.way_home.operate(call, operation("1"), Told())
        assert "sub is a repository of its own, which an undo leaves alone." in (undone.notice or "")
        assert (folder / "a.txt").read_text() == "one\ntwo\n"
        assert [git(folder / name, "rev-parse", "HEAD") for name in ("sub", "own")] == heads
        assert [(folder / name / "file").read_text() for name in ("sub", "own")] == ["2\n", "2\n"]
        assert not ran.exists()


async def test_what_cannot_be_read_is_left_out_and_named(
    git_world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root everything can be read: so git is given a file that it refuses, as one that changes while it is read."""
    sorted_out = snapshot._sorted_out

    def with_one_more(folder: str, names: Collection[str]) -> tuple[list[str], list[str], list[str]]:
        there, gone, closed = sorted_out(folder, names)
        return ["link/inside", *there], gone, [*closed, "secret\n"]

    async with sandbox(git_world) as (provider, task, folder):
        (folder / "link").symlink_to("/etc")
        monkeypatch.setattr(snapshot, "_sorted_out", with_one_more)
        await provider.checkpoints.begin(git_world.call(task), "p1")
        assert git_world.logged("leaves out what cannot be read: secret\n, link/inside")
        (before,) = await provider.checkpoints.all(task, git_world.repo())
        listed = git(folder, "ls-tree", "--name-only", f"refs/foundry/{task.task_id}/{before.checkpoint_id}")
        assert listed.split() == [".gitignore", "a.txt", "b.txt", "link"]


async def test_what_cannot_be_read_hides_nothing_else(git_world: LocalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root everything can be read, so that git does not fail where it would."""
    async with sandbox(git_world) as (_, task, folder):
        record = await to_thread.run_sync(Records(git_world.data).load, task.task_id)
        assert record is not None
        for name in ("a.txt", "b.txt", "new.txt", "secret"):
            (folder / name).write_text("changed\n")
        closed = tuple(f"{folder}/{name}" for name in ("a.txt", "secret"))
        monkeypatch.setattr(files_on_disk, "_is_closed", closed.__contains__)
        told = [(file.path, file.status, file.added, file.cut) for file in (await diff_of(record)).files]
        assert told == [
            *(("a.txt", "M", None, True), ("b.txt", "M", 1, False)),
            *(("new.txt", "?", 1, False), ("secret", "?", None, True)),
        ]
        with (git_world.folder / "patch").open("w+b") as patch:
            await write_patch(record, patch)
        assert (git_world.folder / "patch").read_bytes().count(b"diff --git") == 2


async def test_an_undo_begins_nothing_where_a_folder_cannot_be_written_to(
    git_world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sandbox(git_world) as (provider, task, folder):
        call = git_world.call(task)
        await provider.checkpoints.begin(call, "p1")
        (folder / "a.txt").write_text("changed\n")
        (folder / "deep/er").mkdir(parents=True)
        (folder / "deep/er/new").write_text("new\n")
        with monkeypatch.context() as patched:
            patched.setattr(os, "access", lambda path, mode: mode == os.R_OK or "/deep/" not in path)
            with pytest.raises(GitError, match=r"^deep/er cannot be written to.*; nothing was changed\."):
                await provider.way_home.operate(call, operation("1"), Told())
        assert (folder / "a.txt").read_text() == "changed\n"
        await provider.way_home.operate(call, operation("2"), Told())
        assert not (folder / "deep").exists()


async def test_a_file_that_is_written_meanwhile_is_not_lost(
    git_world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def writing(folder: str, *words: str, **more: Any) -> Output:
        if words[:2] == ("read-tree", "-m"):
            (Path(folder) / "a.txt").write_text("written just now\n")
        return await run_git(folder, *words, **more)

    async with sandbox(git_world) as (provider, task, folder):
        call = git_world.call(task)
        await provider.checkpoints.begin(call, "p1")
        (folder / "a.txt").write_text("changed\n")
        (folder / "b.txt").write_text("changed\n")
        with monkeypatch.context() as patched:
            patched.setattr(snapshot, "run_git", writing)
            with pytest.raises(GitError, match=r"nothing was changed: .*a\.txt"):
                await provider.way_home.operate(call, operation("1"), Told())
        assert [(folder / name).read_text() for name in ("a.txt", "b.txt")] == ["written just now\n", "changed\n"]
