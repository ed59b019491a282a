"""What a task changed and would lose: computed behind a request, against real git."""

import os
import shutil
import subprocess
from itertools import count
from pathlib import Path

import anyio
import pytest

from backend_stub.domain.provider import Release
from backend_stub.providers.local import LocalProvider, changes, comparison
from backend_stub.providers.local.comparison import Compared
from backend_stub.providers.local.sandbox_record import Record
from foundry_tui.contract.records import FileDiff, TaskDetail
from tests.git import git
from tests.local.world import LIMIT, LocalWorld
from tests.waiting import seen_at_last

pytestmark = pytest.mark.anyio


async def computed(world: LocalWorld, provider: LocalProvider, task: TaskDetail) -> dict[str, FileDiff]:
    provider.changes.refresh(task.task_id)
    with anyio.fail_after(LIMIT):
        await provider.changes.settled()
    diff = await provider.diff(task)
    assert diff is not None
    return {file.path: file for file in diff.files}


async def test_the_diff_has_every_kind_of_change(git_world: LocalWorld) -> None:
    git_world.repository.joinpath("gone.txt").write_text("x\ny\n")
    git_world.repository.joinpath("moved.txt").write_text("\n".join(map(str, range(20))))
    git_world.repository.joinpath("picture.bin").write_bytes(b"\0\1")
    git(git_world.repository, "add", "--all")
    git(git_world.repository, "commit", "--quiet", "--message=more")
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        folder = Path(task.sandbox.cwd)
        assert await computed(git_world, provider, task) == {}
        (folder / "a.txt").write_text("one\nTWO\nthree\n")
        git(folder, "commit", "--quiet", "--all", "--message=committed")
        (folder / "gone.txt").unlink()
        git(folder, "mv", "moved.txt", "dïr 名.txt")
        (folder / "picture.bin").write_bytes(b"\0\2\3")
        (folder / "new.bin").write_bytes(b"\0" * 5)
        (folder / "new.txt").write_text("diff --git a/x b/x\nlast")
        (folder / ".env").write_text("ignored")
        files = await computed(git_world, provider, task)
        assert {path: (file.status, file.added, file.removed) for path, file in files.items()} == {
            "a.txt": ("M", 2, 1),
            "gone.txt": ("D", 0, 2),
            "dïr 名.txt": ("R", 0, 0),
            "picture.bin": ("M", None, None),
            "new.bin": ("?", None, None),
            "new.txt": ("?", 2, 0),
        }
        assert "-two\n+TWO\n+three\n" in files["a.txt"].patch
        assert "Binary files" in files["picture.bin"].patch
        assert (files["picture.bin"].size_before, files["picture.bin"].size) == (2, 3)
        assert (files["new.bin"].size_before, files["new.bin"].size) == (None, 5)
        assert "+diff --git a/x b/x\n+last\n\\ No newline" in files["new.txt"].patch
        assert all(file.patch.startswith("diff --git ") for file in files.values())


async def test_what_was_moved_without_git_being_told_is_a_rename_too(git_world: LocalWorld) -> None:
    lines = "\n".join(map(str, range(20)))
    for name in ("moved.txt", "edited.txt", "gone.txt"):
        git_world.repository.joinpath(name).write_text(f"{name}\n{lines}\n" * (1 + len(name)))
    git(git_world.repository, "add", "--all")
    git(git_world.repository, "commit", "--quiet", "--message=more")
    git(git_world.repository, "config", "diff.renameLimit", "1")
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        folder = Path(task.sandbox.cwd)
        (folder / "to").mkdir()
        (folder / "moved.txt").rename(folder / "to" / "dïr 名.txt")
        (folder / "edited.txt").rename(folder / "to" / "edited.txt")
        with (folder / "to" / "edited.txt").open("a") as edited:
            edited.write("more\n")
        (folder / "gone.txt").unlink()
        (folder / "new.txt").write_text("nothing of the kind\n")
        files = await computed(git_world, provider, task)
        assert {path: (file.status, file.added, file.removed) for path, file in files.items()} == {
            "to/dïr 名.txt": ("R", 0, 0),
            "to/edited.txt": ("R", 1, 0),
            "gone.txt": ("D", 0, 21 * 9),
            "new.txt": ("?", 1, 0),
        }
        assert "rename from edited.txt\n" in files["to/edited.txt"].patch
        assert git(folder, "status", "--porcelain", "--untracked-files=all").count("??") == 3


async def test_what_others_did_and_was_merged_is_no_change_of_the_task(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        folder = Path(task.sandbox.cwd)
        (git_world.repository / "theirs.txt").write_text("x\n")
        git(git_world.repository, "add", "--all")
        git(git_world.repository, "commit", "--quiet", "--message=theirs")
        (folder / "ours.txt").write_text("y\n")
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message=ours")
        git(folder, "merge", "--quiet", "--no-edit", "main")
        assert list(await computed(git_world, provider, task)) == ["ours.txt"]


async def test_the_users_diff_configuration_changes_nothing(git_world: LocalWorld) -> None:
    for name, value in (("noprefix", "true"), ("mnemonicPrefix", "true"), ("external", "false"), ("renames", "false")):
        git(git_world.repository, "config", f"diff.{name}", value)
    git(git_world.repository, "config", "color.ui", "always")
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        (Path(task.sandbox.cwd) / "a.txt").write_text("one\n")
        [file] = (await computed(git_world, provider, task)).values()
        assert file.patch.startswith("diff --git a/a.txt b/a.txt\n")
        assert "\x1b" not in file.patch


async def test_comparing_runs_no_program_of_the_repository_but_what_makes_its_content(git_world: LocalWorld) -> None:
    ran = git_world.folder / "ran"
    program = git_world.folder / "program"
    program.write_text(f"#!/bin/sh\necho $0 >>'{ran}'\ncat\n")
    program.chmod(0o755)
    upper = git_world.folder / "upper"
    upper.write_text("#!/bin/sh\ntr a-z A-Z\n")
    upper.chmod(0o755)
    (git_world.repository / ".gitattributes").write_text("*.txt diff=shown\nb.txt filter=upper\n")
    git(git_world.repository, "config", "filter.upper.clean", str(upper))
    git(git_world.repository, "config", "filter.upper.smudge", "tr A-Z a-z")
    git(git_world.repository, "add", "--all")
    git(git_world.repository, "add", "--renormalize", ".")
    git(git_world.repository, "commit", "--quiet", "--message=attributes")
    (git_world.folder / "hooks").mkdir()
    shutil.copy2(program, git_world.folder / "hooks" / "post-index-change")
    for name in ("core.fsmonitor", "diff.shown.textconv", "diff.shown.command", "diff.external"):
        git(git_world.repository, "config", name, str(program))
    git(git_world.repository, "config", "core.hooksPath", str(git_world.folder / "hooks"))
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        folder = Path(task.sandbox.cwd)
        assert (folder / "b.txt").read_text() == "b\n"
        (folder / "a.txt").write_text("one\n")
        os.utime(folder / "b.txt", (1, 1))
        files = await computed(git_world, provider, task)
        # Its content is what the filter makes of the file, and that is no other.
        assert list(files) == ["a.txt"]
        assert "-two" in files["a.txt"].patch
        assert not ran.exists()


async def test_losses_are_uncommitted_files_and_unpushed_commits(git_world: LocalWorld) -> None:
    remote = git_world.folder / "remote.git"
    git(git_world.folder, "init", "--quiet", "--bare", str(remote))
    git(git_world.repository, "remote", "add", "origin", str(remote))
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        folder = Path(task.sandbox.cwd)
        assert list(provider.would_lose(task, delete_branch=True)) == []
        for number in range(7):
            (folder / f"{number}.txt").write_text("x")
        await computed(git_world, provider, task)
        assert list(provider.would_lose(task, delete_branch=True)) == [
            "7 uncommitted files: 0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 2 more"
        ]
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message=work")
        await computed(git_world, provider, task)
        assert list(provider.would_lose(task, delete_branch=True)) == ["1 unpushed commit on fix/it"]
        git(folder, "push", "--quiet", "origin", "fix/it")
        await computed(git_world, provider, task)
        assert list(provider.would_lose(task, delete_branch=True)) == []


async def test_losses_are_known_again_after_a_restart(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        (Path(task.sandbox.cwd) / "new.txt").write_text("x")
        await computed(git_world, provider, task)
    async with git_world.provider() as provider:
        assert list(provider.would_lose(task, delete_branch=True)) == ["1 uncommitted file: new.txt"]
        await git_world.kill(provider, task)
        assert list(provider.would_lose(task, delete_branch=True)) == []
    assert not (git_world.data / "sandboxes" / task.task_id).exists()


async def test_a_request_starts_nothing_that_it_waits_for(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        await provider.changes.settled()
        before = await provider.diff(task)
        assert task.sandbox is not None
        (Path(task.sandbox.cwd) / "new.txt").write_text("x")
        assert await provider.diff(task) == before
        await provider.changes.settled()
        after = await provider.diff(task)
        assert after is not None
        assert [file.path for file in after.files] == ["new.txt"]


async def test_what_would_be_lost_is_looked_at_again_once_it_was_told(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        (Path(task.sandbox.cwd) / "new.txt").write_text("x")
        await computed(git_world, provider, task)
        await provider.changes.settled()
        (Path(task.sandbox.cwd) / "new.txt").unlink()
        assert list(provider.would_lose(task, delete_branch=False)) == ["1 uncommitted file: new.txt"]
        with anyio.fail_after(LIMIT):
            await provider.changes.settled()
        assert list(provider.would_lose(task, delete_branch=False)) == []


async def test_what_changes_during_a_computation_is_computed_too(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        provider.changes.refresh(task.task_id)
        await anyio.wait_all_tasks_blocked()
        (Path(task.sandbox.cwd) / "late.txt").write_text("x")
        provider.changes.refresh(task.task_id)
        with anyio.fail_after(LIMIT):
            await provider.changes.settled()
        assert list(provider.would_lose(task, delete_branch=True)) == ["1 uncommitted file: late.txt"]


async def test_what_changed_before_one_asks_is_in_what_is_newer_also_where_an_older_look_has_just_ended(
    git_world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`foundry kill` asks what is known, then for newer: a look that began before is newer too, and knows less."""
    looked, gates = [anyio.Event(), anyio.Event()], [anyio.Event(), anyio.Event()]
    numbers = count()
    compare = comparison.diff_of

    async def held(record: Record, known: Compared | None) -> Compared:
        compared = await compare(record, known)
        number = next(numbers)
        looked[number].set()
        await gates[number].wait()
        return compared

    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        await provider.changes.settled()
        monkeypatch.setattr(changes, "diff_of", held)
        provider.changes.refresh(task.task_id)
        await looked[0].wait()
        (Path(task.sandbox.cwd) / "late.txt").write_text("x")
        before = await provider.diff(task)
        assert before is not None and before.computed_at is not None
        gates[0].set()
        await looked[1].wait()
        assert provider.changes.diff(task.task_id) != before, "the older look is newer than what was known"
        async with anyio.create_task_group() as group:
            group.start_soon(_open_when_all_waits, gates[1])
            after = await provider.diff(task, before.computed_at)
        assert after is not None
        assert [file.path for file in after.files] == ["late.txt"]


async def _open_when_all_waits(gate: anyio.Event) -> None:
    await anyio.wait_all_tasks_blocked()
    gate.set()


async def test_a_task_without_a_sandbox_has_no_diff(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        assert await provider.diff(git_world.task()) is None
        assert list(provider.would_lose(git_world.task(), delete_branch=True)) == []


async def test_the_last_diff_of_an_archived_task_is_kept_over_restarts(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        (Path(task.sandbox.cwd) / "new.txt").write_text("x")
        before = await computed(git_world, provider, task)
        await provider.release_sandbox(git_world.call(task), Release(force=True))
    async with git_world.provider() as provider:
        assert await provider.diff(task) is None
        assert await computed(git_world, provider, task) == before
        provider.forget(task.task_id)
        await seen_at_last(lambda: not (git_world.data / "sandboxes" / task.task_id).exists())
        assert provider.changes.diff(task.task_id) is None


async def test_a_pruned_task_whose_work_was_kept_keeps_it(git_world: LocalWorld) -> None:
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        provider.forget(task.task_id)
    # The provider ends only when it has done what it began.
    assert (Path(task.sandbox.cwd) / "a.txt").exists()
    async with git_world.provider() as provider:
        await git_world.kill(provider, task, force=False)
    assert not (git_world.data / "sandboxes" / task.task_id).exists()


async def test_diffs_take_bounded_memory_and_what_was_let_go_comes_back(
    git_world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "DIFFS_LIMIT", 2_500)
    async with git_world.provider() as provider:
        known = provider.changes

        async def compute(task: TaskDetail) -> None:
            known.refresh(task.task_id)
            with anyio.fail_after(LIMIT):
                await known.settled()

        tasks = [await git_world.with_sandbox(provider, git_world.task(f"fix/{number}")) for number in range(3)]
        first, second, third = tasks
        for task in tasks:
            assert task.sandbox is not None
            (Path(task.sandbox.cwd) / "new.txt").write_text("x" * 600)
        # What making them has asked for comes in any order.
        await known.settled()
        await compute(first)
        await compute(second)
        whole = known.diff(first.task_id)
        assert whole is not None
        await compute(third)
        assert [known.diff(task.task_id) is not None for task in tasks] == [True, False, True]
        await provider.release_sandbox(git_world.call(first), Release(force=True))
        await compute(second)
        await compute(third)
        assert known.diff(first.task_id) is None
        await compute(first)
        kept = known.diff(first.task_id)
        assert kept is not None
        # It is written down when the files change, not whenever it is computed.
        assert kept.files == whole.files


async def test_new_files_share_what_the_patches_of_a_task_may_take(
    git_world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "PATCHES_LIMIT", 3_000)
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        for number in range(5):
            (Path(task.sandbox.cwd) / f"{number}.txt").write_text("x" * 1_000)
        files = await computed(git_world, provider, task)
        assert ["xxx" in file.patch for file in files.values()] == [True, True, False, False, False]
        assert [file.cut for file in files.values()] == [False, False, True, True, True]
        assert {(file.added, file.removed) for file in files.values()} == {(1, 0)}


async def test_what_only_the_index_gave_up_is_no_change_and_hides_none(git_world: LocalWorld) -> None:
    """As after an undo of a turn in which the agent renamed a file by git, or a conflict solved as the base has it."""
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        folder = Path(task.sandbox.cwd)
        git(folder, "rm", "--quiet", "--cached", "b.txt")
        (folder / "a.txt").write_text("changed\n")
        (found,) = (await computed(git_world, provider, task)).values()
        assert (found.path, found.added, found.removed, found.cut) == ("a.txt", 1, 2, False)
        assert "+changed\n" in found.patch
        base = git(folder, "rev-parse", "HEAD:a.txt")
        stages = "".join(f"100644 {base} {stage}\ta.txt\n" for stage in (1, 2, 3))
        subprocess.run(
            ["git", "update-index", "--index-info"],
            cwd=folder,
            input=f"0 {'0' * 40}\ta.txt\n{stages}".encode(),
            check=True,
        )
        (folder / "a.txt").write_text("one\ntwo\n")
        (folder / "c.txt").write_text("new\n")
        (found,) = (await computed(git_world, provider, task)).values()
        assert (found.path, found.added) == ("c.txt", 1)
