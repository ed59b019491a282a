"""Agents under bubblewrap: they work, see no secrets, write nowhere else, and end with their sandbox."""

import subprocess
from pathlib import Path

import pytest

from backend_stub.machine import processes
from backend_stub.providers.local import LocalSettings
from backend_stub.providers.local.bubblewrap import wrapped
from tests.git import git
from tests.local.world import LocalWorld, turn

pytestmark = pytest.mark.anyio


@pytest.mark.usefixtures("bubblewrap")
async def test_an_agent_works_under_bubblewrap_and_is_found_again(world: LocalWorld) -> None:
    settings = LocalSettings(bubblewrap=True, writable=(str(world.folder),))
    async with world.provider(settings) as provider:
        task = await world.with_session(provider, world.task())
        assert (await turn(provider, world, task, "edit new.txt hello\nsay one")).text == "one"
        assert task.sandbox is not None
        assert (Path(task.sandbox.cwd) / "new.txt").read_text() == "hello\n"
    async with world.provider(settings) as provider:
        await provider.agents.attach(world.call(task))
        assert (await turn(provider, world, task, "say two", "p2")).text == "two"
        assert len(world.agent_saw("start")) == 1
        await world.kill(provider, task)
    assert processes.end_marked(task.task_id) == 0


@pytest.mark.usefixtures("bubblewrap")
async def test_what_is_writable_and_what_is_hidden(git_world: LocalWorld) -> None:
    (git_world.home / ".ssh").mkdir()
    (git_world.home / ".ssh" / "id").write_text("secret")
    (git_world.data / "database").parent.mkdir(parents=True, exist_ok=True)
    (git_world.data / "database").write_text("secret")
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        cwd = Path(task.sandbox.cwd)

        def run(script: str) -> int:
            command = wrapped(["/bin/sh", "-c", script], cwd, git_world.data, (), git_world.environ)
            return subprocess.run(command, check=False, capture_output=True, env=git_world.environ).returncode

        assert run("echo x > mine.txt && git status --short | grep -q mine.txt") == 0
        assert (cwd / "mine.txt").read_text() == "x\n"
        assert run(f"cat {git_world.home}/.ssh/id") != 0
        assert run(f"cat {git_world.data}/database") != 0
        assert run("echo x > /usr/local/foundry-test") != 0
        assert run("git -c user.name=a -c user.email=a@b commit --quiet --allow-empty -m work") == 0
        assert git(cwd, "log", "-1", "--format=%s").strip() == "work"


PLANTED = {
    "configuration": "git config core.fsmonitor /planted",
    "a new configuration": "mv {common}/config {common}/old; printf '[core]\nfsmonitor = /planted\n' > {common}/config",
    "another common folder": "cp -r {common} /tmp/other; echo /tmp/other > {common}/commondir",
    "another common folder of the worktree": "cp -r {common} {cwd}/other; echo {cwd}/other > {git_dir}/commondir",
    "another .git": "cp -r {common} {cwd}/other; rm -f .git; echo gitdir: {cwd}/other > .git",
    "a configuration of the worktree": "printf '[core]\nfsmonitor = /planted\n' > {git_dir}/config.worktree",
    "a hook": "echo /planted > {common}/hooks/pre-commit; chmod +x {common}/hooks/pre-commit",
    "attributes": "echo '* filter=planted' > {common}/info/attributes",
    "another worktree's folder": "mkdir {common}/worktrees/other; echo x > {common}/worktrees/other/commondir",
    "a submodule's": "mkdir -p {common}/modules/sub; echo x > {common}/modules/sub/config",
    "in place of a folder": "mv {common}/hooks {common}/old; mkdir {common}/hooks; echo x > {common}/hooks/pre-commit",
}
"""Where an agent could have the person's own git find a program to run, or a repository that names one."""


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("bubblewrap")
async def test_nothing_can_be_planted_that_the_persons_own_git_would_run(git_world: LocalWorld) -> None:
    common = git_world.repository / ".git"
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
    assert task.sandbox is not None
    cwd, git_dir = Path(task.sandbox.cwd), common / "worktrees" / Path(task.sandbox.cwd).name
    places = {"common": common, "cwd": cwd, "git_dir": git_dir}
    wrapped(["true"], cwd, git_world.data, (), git_world.environ)
    before = _files(common)
    for what, script in PLANTED.items():
        command = wrapped(["/bin/sh", "-c", script.format(**places)], cwd, git_world.data, (), git_world.environ)
        subprocess.run(command, check=False, capture_output=True, env=git_world.environ)
        assert _files(common) == before, what
        assert (cwd / ".git").read_text() == f"gitdir: {git_dir}\n", what


WORK = """
set -e
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_EDITOR=true
git branch -q other && echo 1 > a.txt && git commit -qam one && git tag t && git commit -q --amend -m one-again
git checkout -q other && echo 2 > a.txt && git commit -qam two
git checkout -q fix/it && ! git rebase other && echo 3 > a.txt && git add a.txt && git rebase --continue
! git cherry-pick t && echo 4 > a.txt && git add a.txt && git cherry-pick --continue
git revert --no-edit HEAD && echo 5 > a.txt && git stash -q && git stash pop -q && git commit -qam three
test "$(git status)" = "On branch fix/it
nothing to commit, working tree clean"
"""
"""An agent's day with git, its conflicts included."""


@pytest.mark.usefixtures("bubblewrap")
async def test_git_works_under_bubblewrap_beside_a_person_who_packs_and_configures(git_world: LocalWorld) -> None:
    repository = git_world.repository
    git(repository, "pack-refs", "--all")
    async with git_world.provider() as provider:
        task = await git_world.with_sandbox(provider, git_world.task())
        assert task.sandbox is not None
        cwd = Path(task.sandbox.cwd)
        command = wrapped(["/bin/sh", "-s"], cwd, git_world.data, (), git_world.environ)
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=git_world.environ,
        ) as shell:  # fmt: skip
            assert shell.stdin is not None
            assert shell.stdout is not None
            shell.stdin.write(f"({WORK}) && echo DONE || echo FAILED\n")
            shell.stdin.flush()
            said = []
            for line in shell.stdout:
                said.append(line)
                if line in ("DONE\n", "FAILED\n"):
                    break
            assert said[-1] == "DONE\n", "".join(said)
            # What git outside replaces is replaced inside too, and no more writable than before.
            git(repository, "gc", "--quiet")
            git(repository, "config", "user.name", "Somebody")
            rest, _ = shell.communicate(
                "git config core.fsmonitor /planted; git config user.name; git log -1 --format=%s HEAD; git log -1 t\n"
            )
        assert "Somebody\nthree\ncommit " in rest
        assert "planted" not in (repository / ".git" / "config").read_text()
        assert git(cwd, "log", "-1", "--format=%s") == "three"
        git(repository, "fsck", "--strict")
