"""Any ACP command that the config names is an agent, started in the person's own environment."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from backend_stub.agents.sandbox_agent.server import OWN_VARIABLES
from backend_stub.domain.errors import AgentError, SettingError
from backend_stub.providers.local import LocalSettings
from foundry_tui.contract.agents import AGENTS, CONFIGURED, AgentCommand, installed_agents
from foundry_tui.contract.records import SessionStatus, SessionSummary
from tests.local.world import AGENT, LocalWorld, Told, prompt, turn

pytestmark = pytest.mark.anyio

HOSTILE = "it's $(touch made) `touch made` \"\\ \n ü"


def environment_of(pid: int) -> Mapping[str, str]:
    parts = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(part.split("=", 1) for part in parts if part)


def arguments_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]


def agent_in(folder: Path) -> str:
    """The scripted agent, under a name that sandbox-agent does not know."""
    folder.mkdir(exist_ok=True)
    program = folder / "own agent"
    # Not by env: a python3 that is a shim has a PATH of its own.
    program.write_text(f"#!{sys.executable}\n{AGENT.read_text()}")
    program.chmod(0o755)
    return str(program)


async def test_a_command_of_the_config_is_an_agent_in_the_persons_own_environment(world: LocalWorld) -> None:
    command = AgentCommand(command=(agent_in(world.folder / "b"), HOSTILE), env={"MORE": HOSTILE})
    world.environ |= {"RUST_LOG": "mine", "FOUNDRY_SECRET": "x"}
    async with world.provider(LocalSettings(agents={"own": command})) as provider:
        task = await world.with_session(provider, world.task(agent="own"))
        assert (await turn(provider, world, task, "say hi")).text == "hi"
        [pid] = world.living_agents()
        seen = environment_of(pid)
        assert {name: seen.get(name) for name in ("PATH", *OWN_VARIABLES)} == {
            name: world.environ.get(name) for name in ("PATH", *OWN_VARIABLES)
        }
        assert seen["MORE"] == HOSTILE
        assert "FOUNDRY_SECRET" not in seen
        assert HOSTILE in arguments_of(pid)
        assert task.sandbox is not None
        assert not (Path(task.sandbox.cwd) / "made").exists()
        [launcher] = (world.data / "sandboxes" / task.task_id / "agent" / "launchers").iterdir()
        assert launcher.stat().st_mode & 0o077 == 0


async def test_agents_of_the_config_and_known_ones_work_side_by_side(world: LocalWorld) -> None:
    own = AgentCommand(command=(agent_in(world.folder / "b"), "one"))
    other = AgentCommand(command=(agent_in(world.folder / "b"), "other"))
    async with world.provider(LocalSettings(agents={"own": own, "other": other})) as provider:
        task = await world.with_session(provider, world.task(agent="own"))
        more = [
            SessionSummary(
                session_id=f"{task.task_id}-{agent}",
                task_id=task.task_id,
                name=agent,
                agent=agent,
                status=SessionStatus.READY,
                created_at=1,
                updated_at=1,
                revision=1,
            )
            for agent in ("other", "pi")
        ]
        task = msgspec.structs.replace(task, sessions=(*task.sessions, *more))
        for session in more:
            await provider.agents.create_session(world.call(task), session)
        for number in range(3):
            told, said = Told(), prompt(task, f"say from {number}", f"p{number}", session=number)
            await provider.agents.deliver(world.call(task), said, told)
            await provider.agents.follow(world.call(task), said, told)
            assert told.text == f"from {number}"
        ends = [arguments_of(pid)[-1] for pid in world.agent_pids()]
        assert ends[:2] == ["one", "other"]
        assert ends[2].endswith("pi-acp")


async def test_a_command_that_is_not_there_is_named(world: LocalWorld) -> None:
    settings = LocalSettings(agents={"own": AgentCommand(command=("no-such-agent",))})
    async with world.provider(settings) as provider:
        task = await world.with_sandbox(provider, world.task(agent="own"))
        with pytest.raises(AgentError, match=r"there is no no-such-agent.*\[agents\.own\]") as caught:
            await provider.agents.ensure_agent(world.call(task))
        assert not caught.value.retryable


async def test_where_all_names_are_taken_it_is_said(world: LocalWorld) -> None:
    folder = world.folder / "b"
    settings = LocalSettings(agents={"own": AgentCommand(command=(agent_in(folder),))})
    for needs in AGENTS.values():
        shutil.copy(AGENT, folder / needs.launcher)
    world.environ["PATH"] = f"{folder}{os.pathsep}{world.environ['PATH']}"
    async with world.provider(settings) as provider:
        task = await world.with_sandbox(provider, world.task(agent="own"))
        with pytest.raises(AgentError, match="no name left for own"):
            await provider.agents.ensure_agent(world.call(task))


def test_a_command_of_the_config_counts_as_installed_where_its_program_is(tmp_path: Path) -> None:
    own = {"command": [agent_in(tmp_path / "b")]}
    told = {"own": own, "codex": own, "away": {"command": ["no-such-agent"]}}
    environ = {"PATH": "", "HOME": str(tmp_path), CONFIGURED: msgspec.json.encode(told).decode()}
    assert list(installed_agents(tmp_path / "none", environ, shutil.which)) == ["own", "codex"]


@pytest.mark.parametrize(
    "told",
    [
        "{",
        '{"own": {}}',
        '{"own": {"command": []}}',
        '{"own": {"command": ["./agent"]}}',
        '{"own": {"command": ["bin/agent"]}}',
        '{"own": {"command": [""]}}',
        '{"own": {"command": ["a\\u0000b"]}}',
        '{"own": {"command": ["a"], "env": {"A-B": ""}}}',
        '{"../own": {"command": ["a"]}}',
        '{"own": {"command": ["a"], "shell": true}}',
    ],
)
def test_what_cannot_be_an_agent_is_refused(told: str) -> None:
    with pytest.raises(SettingError, match=CONFIGURED):
        LocalSettings.from_environ({CONFIGURED: told})


@pytest.mark.usefixtures("bubblewrap")
async def test_a_command_of_the_config_works_under_bubblewrap(world: LocalWorld) -> None:
    command = AgentCommand(command=(agent_in(world.folder / "b"),))
    settings = LocalSettings(bubblewrap=True, writable=(str(world.folder), sys.prefix), agents={"own": command})
    async with world.provider(settings) as provider:
        task = await world.with_session(provider, world.task(agent="own"))
        assert (await turn(provider, world, task, "say hi")).text == "hi"
