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
