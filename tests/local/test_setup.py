"""A repository's own set-up: run once it is trusted, ended when it has ended, and said in words when it cannot be."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import anyio
import pytest

from backend_stub.domain.errors import ProviderError
from backend_stub.machine.processes import MARK
from backend_stub.providers.local import LocalSettings
from backend_stub.repository.trust import NotThatError, Trust
from foundry_tui.contract.records import TaskDetail
from tests.git import git
from tests.local.world import LocalWorld, ended

pytestmark = pytest.mark.anyio


def worktree(world: LocalWorld, task: TaskDetail) -> Path:
    return world.data / "sandboxes" / task.task_id / "work" / "code"


def with_setup(world: LocalWorld, script: str | bytes, *, executable: bool = True) -> None:
    folder = world.repository / ".foundry"
    folder.mkdir(exist_ok=True)
    (folder / "setup").write_bytes(script if isinstance(script, bytes) else script.encode())
    (folder / "setup").chmod(0o755 if executable else 0o644)
    git(world.repository, "add", "--all")
    git(world.repository, "commit", "--quiet", "--message=setup")


async def test_the_repositorys_set_up_is_run_and_logged(git_world: LocalWorld) -> None:
    with_setup(
        git_world,
        "#!/bin/sh\necho making ready\necho oops >&2\npwd > where\n"
        'echo "$FOUNDRY_SANDBOX_ID $FOUNDRY_REPOSITORY" > names\nprintf "10%%\\r100%%\\n"\nprintf last\n',
    )
    async with git_world.provider() as provider:
        task = git_world.task()
        made = await provider.create_sandbox(git_world.call(task, trust=True))
        assert made.notice == ""
        folder = Path(made.sandbox.cwd)
        assert (folder / "where").read_text().strip() == str(folder)
        assert (folder / "names").read_text().split() == [task.task_id, str(git_world.repository)]
        for line in ("making ready", "oops", "100%", "last"):
            assert line in git_world.lines
        assert any(line.startswith(".foundry/setup ended with exit code 0 after") for line in git_world.lines)
        (folder / "where").unlink()
        await provider.create_sandbox(git_world.call(task))
        assert not (folder / "where").exists()


async def test_a_set_up_that_the_agent_wrote_is_not_run_when_the_worktree_is_made_again(git_world: LocalWorld) -> None:
    with_setup(git_world, "#!/bin/sh\necho asked for\n")
    async with git_world.provider() as provider:
        task = git_world.task()
        made = await provider.create_sandbox(git_world.call(task, trust=True))
        folder = Path(made.sandbox.cwd)
        (folder / ".foundry" / "setup").write_text("#!/bin/sh\necho nobody saw this\n")
        git(folder, "commit", "--quiet", "--all", "--message=another set-up")
        shutil.rmtree(folder)
        assert await provider.restore_sandbox(git_world.call(task, trust=True))
        assert (folder / ".foundry" / "setup").exists()
        assert "nobody saw this" not in git_world.lines
        assert git_world.logged("skipped")
        task = git_world.task("fix/other", base_branch="fix/it")
        await provider.create_sandbox(git_world.call(task))
        assert "nobody saw this" not in git_world.lines


async def test_a_set_up_that_nobody_trusts_is_skipped_and_said(git_world: LocalWorld) -> None:
    with_setup(git_world, "#!/bin/sh\ntouch ran\n")
    async with git_world.provider() as provider:
        task = git_world.task()
        made = await provider.create_sandbox(git_world.call(task))
        assert not (Path(made.sandbox.cwd) / "ran").exists()
        assert git_world.logged(".foundry/setup of code skipped: this content of it was not trusted")
        assert "foundry trust" in made.notice
        assert made.repo is not None
        assert made.repo.trust is not None
        assert not made.repo.trust.trusted
        Trust(git_world.data).give(git_world.repo(), made.repo.trust.digest)
        later = await provider.create_sandbox(git_world.call(git_world.task("fix/two")))
        assert (Path(later.sandbox.cwd) / "ran").exists()


async def test_trust_is_of_one_content(git_world: LocalWorld) -> None:
    with_setup(git_world, "#!/bin/sh\ntouch ran\n")
    async with git_world.provider() as provider:
        await provider.create_sandbox(git_world.call(git_world.task("fix/one"), trust=True))
        with_setup(git_world, "#!/bin/sh\ntouch ran\nrm -rf everything\n")
        changed = await provider.create_sandbox(git_world.call(git_world.task("fix/two")))
        assert not (Path(changed.sandbox.cwd) / "ran").exists()
        git(git_world.repository, "revert", "--no-edit", "HEAD")
        again = await provider.create_sandbox(git_world.call(git_world.task("fix/three")))
        assert (Path(again.sandbox.cwd) / "ran").exists()


async def test_trust_is_of_one_repository_and_all_its_worktrees(git_world: LocalWorld) -> None:
    with_setup(git_world, "#!/bin/sh\ntouch ran\n")
    git(git_world.repository, "worktree", "add", "--quiet", "-b", "mine", str(git_world.folder / "linked"))
    git(git_world.folder, "clone", "--quiet", str(git_world.repository), str(git_world.folder / "copy"))
    trust, repo = Trust(git_world.data), git_world.repo()
    trust.give_now(repo)
    for name, trusted in (("linked", True), ("copy", False)):
        other = type(repo)(repo_id=name, label=name, path=str(git_world.folder / name))
        told = trust.of(other)
        assert told is not None
        assert told.trusted is trusted


async def test_what_a_task_got_is_what_is_judged_and_shown(git_world: LocalWorld) -> None:
    """The person's own folder has another content than the branch that the task starts from."""
    with_setup(git_world, "#!/bin/sh\ntouch ran\n")
    trust = Trust(git_world.data)
    trust.give_now(git_world.repo())
    git(git_world.repository, "checkout", "--quiet", "-b", "other")
    with_setup(git_world, "#!/bin/sh\ntouch harm\n")
    git(git_world.repository, "checkout", "--quiet", "main")
    async with git_world.provider() as provider:
        made = await provider.create_sandbox(git_world.call(git_world.task(base_branch="other")))
        assert not (Path(made.sandbox.cwd) / "harm").exists()
        shown = trust.whole(git_world.repo())
        assert not shown.trusted
        assert [file.text for file in shown.files] == ["#!/bin/sh\ntouch harm\n"]
        trust.give(git_world.repo(), str(shown.digest))
        later = await provider.create_sandbox(git_world.call(git_world.task("fix/two", base_branch="other")))
        assert (Path(later.sandbox.cwd) / "harm").exists()
        told = trust.of(git_world.repo())
        assert told is not None
        assert told.trusted


@pytest.mark.parametrize("where", ["setup", "folder"])
async def test_a_link_is_trusted_by_nobody(git_world: LocalWorld, where: str) -> None:
    outside = git_world.folder / "outside"
    outside.mkdir()
    (outside / "setup").write_text("#!/bin/sh\ntouch ran\n")
    (outside / "setup").chmod(0o755)
    if where == "folder":
        (git_world.repository / ".foundry").symlink_to(outside)
    else:
        (git_world.repository / ".foundry").mkdir()
        (git_world.repository / ".foundry/setup").symlink_to(outside / "setup")
    git(git_world.repository, "add", "--all")
    git(git_world.repository, "commit", "--quiet", "--message=link")
    async with git_world.provider() as provider:
        made = await provider.create_sandbox(git_world.call(git_world.task(), trust=True))
        assert not (Path(made.sandbox.cwd) / "ran").exists()
        assert "is a symbolic link" in made.notice
    trust = Trust(git_world.data)
    told = trust.of(git_world.repo())
    assert told is not None
    with pytest.raises(NotThatError, match="is a symbolic link"):
        trust.give(git_world.repo(), told.digest)


@pytest.mark.parametrize("kind", ["fifo", "endless", "large"])
async def test_what_is_no_small_plain_file_hangs_nobody(git_world: LocalWorld, kind: str) -> None:
    folder = git_world.repository / ".foundry"
    folder.mkdir()
    if kind == "fifo":
        os.mkfifo(folder / "setup")
    elif kind == "endless":
        (folder / "setup").symlink_to("/dev/zero")
    else:
        (folder / "setup").write_bytes(b"#!/bin/sh\n" + b"#" * 100_000)
    told = Trust(git_world.data).of(git_world.repo())
    assert told is not None
    assert not told.trusted


async def test_it_has_ended_when_the_script_has(git_world: LocalWorld) -> None:
    with_setup(git_world, "#!/bin/sh\nsleep 1000 &\necho $! > child\necho done\n")
    async with git_world.provider() as provider:
        task = git_world.task()
        with anyio.fail_after(20):
            await provider.create_sandbox(git_world.call(task, trust=True))
        assert "done" in git_world.lines
        child = int((worktree(git_world, task) / "child").read_text())
        os.kill(child, 0)
        await git_world.kill(provider, task)
        await ended(child)


async def test_a_set_up_that_fails_says_its_last_words_and_is_run_again(git_world: LocalWorld) -> None:
    with_setup(git_world, "#!/bin/sh\nif [ ! -e again ]; then touch again; echo no disk; exit 7; fi\n")
    async with git_world.provider() as provider:
        task = git_world.task()
        with pytest.raises(ProviderError, match="exit code 7: no disk"):
            await provider.create_sandbox(git_world.call(task, trust=True))
        assert (await provider.create_sandbox(git_world.call(task))).resumed


async def test_a_set_up_that_takes_too_long_is_ended_with_its_children(git_world: LocalWorld) -> None:
    with_setup(git_world, "#!/bin/sh\nsleep 1000 &\necho $! > child\nwait\n")
    async with git_world.provider(LocalSettings(setup_timeout=0.5)) as provider:
        task = git_world.task()
        with pytest.raises(ProviderError, match=r"did not end within 0\.5 s; FOUNDRY_SETUP_TIMEOUT_MS"):
            await provider.create_sandbox(git_world.call(task, trust=True))
        assert git_world.logged(".foundry/setup ended with exit code -9 after")
        await ended(int((worktree(git_world, task) / "child").read_text()))


async def test_a_set_up_that_a_killed_backend_left_running_is_ended_first(git_world: LocalWorld) -> None:
    with_setup(git_world, "#!/bin/sh\necho making ready\n")
    async with git_world.provider() as provider:
        task = git_world.task()
        variables = {**os.environ, MARK: task.task_id}
        with subprocess.Popen(["sleep", "1000"], env=variables, stdin=subprocess.DEVNULL) as left:
            await provider.create_sandbox(git_world.call(task, trust=True))
            assert left.wait(10) == -signal.SIGKILL
        assert git_world.logged("was still running for a backend that is gone")
        assert "making ready" in git_world.lines


@pytest.mark.parametrize(
    ("script", "executable", "words"),
    [
        ("#!/bin/sh\necho hi\n", False, "is not executable: chmod"),
        (b"#!/bin/sh\r\necho hi\r\n", True, r"has Windows line ends \(CRLF\)"),
        (b"#!/usr/bin/env bash\r\necho hi\r\n", True, r"has Windows line ends \(CRLF\)"),
        ("echo hi\n", True, "its first line must name a program"),
        ("#!/opt/nothing/here -x\n", True, "there is no /opt/nothing/here"),
    ],
)
async def test_a_set_up_that_cannot_be_run_says_why(
    git_world: LocalWorld, script: str | bytes, executable: bool, words: str
) -> None:
    with_setup(git_world, script, executable=executable)
    async with git_world.provider() as provider:
        with pytest.raises(ProviderError, match=words):
            await provider.create_sandbox(git_world.call(git_world.task(), trust=True))
