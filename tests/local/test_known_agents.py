"""What is known of agents without running one: where they are, and whether they can have a login."""

import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest

from backend_stub.domain.agent import WantedLogin
from backend_stub.known_agents import KnownAgents
from backend_stub.providers.local.known_agents import look_for_agents
from backend_stub.providers.local.logins import lacks_login
from foundry_tui.contract.agents import (
    SANDBOX_AGENT,
    AgentCommand,
    find_agent,
    installed_programs,
)
from foundry_tui.contract.known_agents import AgentInfo, AgentState
from tests.local.world import LocalWorld


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home"), "PATH": str(tmp_path / "path")}


def test_what_foundry_installed_goes_before_the_path(tmp_path: Path, environ: dict[str, str]) -> None:
    program(tmp_path / "path/gemini")
    found = find_agent("gemini", tmp_path, environ, shutil.which)
    assert found == (tmp_path / "path/gemini", "PATH")
    own = program(installed_programs("gemini", tmp_path) / "gemini")
    assert find_agent("gemini", tmp_path, environ, shutil.which) == (own, "data folder")
    program(installed_programs("codex", tmp_path) / "codex-acp")
    assert find_agent("codex", tmp_path, environ, shutil.which) is None, "half of it is nothing"


def test_each_state_has_its_command(tmp_path: Path, environ: dict[str, str]) -> None:
    own = {"own": AgentCommand(command=("own-agent",)), "away": AgentCommand(command=("no-such-agent",))}
    for name in ("codex-acp", "codex", "opencode", "own-agent"):
        program(tmp_path / "path" / name)

    def told() -> Mapping[str, tuple[str, str]]:
        return {each.name: (each.state, each.how) for each in look_for_agents(tmp_path, environ, own)}

    # Without what runs agents, none is ready.
    assert told()["opencode"] == (AgentState.MISSING, "foundry agent install")
    program(tmp_path / "bin" / SANDBOX_AGENT)
    states = told()
    assert states["opencode"] == (AgentState.READY, "")
    assert states["own"] == (AgentState.READY, "")
    assert states["claude"] == (AgentState.MISSING, "foundry agent install claude")
    assert states["codex"] == (AgentState.NEEDS_LOGIN, "foundry agent login codex")
    assert states["away"][0] is AgentState.MISSING
    assert "[agents.away]" in states["away"][1]
    assert list(states)[-2:] == ["own", "away"]


@pytest.mark.parametrize(
    ("agent", "file", "text"),
    [
        ("claude", ".claude/.credentials.json", "{}"),
        ("claude", ".claude/settings.json", '{"env": {"ANTHROPIC_API_KEY": "k"}}'),
        ("claude", ".claude/settings.json", '{"apiKeyHelper": "pass show key"}'),
        ("codex", ".codex/auth.json", "{}"),
        ("codex", ".codex/config.toml", 'model_provider = "own"'),
        ("gemini", ".gemini/oauth_creds.json", "{}"),
        ("gemini", ".gemini/.env", "GEMINI_API_KEY=k"),
        ("gemini", ".gemini/settings.json", '{"security": {"auth": {"selectedType": "vertex-ai"}}}'),
    ],
)
@pytest.mark.parametrize("broken", [False, True])
def test_a_login_is_known_by_where_the_agent_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agent: str, file: str, text: str, broken: bool
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    environ = {"HOME": str(tmp_path)}
    assert lacks_login(agent, environ)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text)
    assert not lacks_login(agent, environ)
    if broken and file.endswith("settings.json"):
        (tmp_path / file).write_text("{")
        assert lacks_login(agent, environ)


@pytest.mark.parametrize(
    ("agent", "variable"),
    [("claude", "ANTHROPIC_AUTH_TOKEN"), ("claude", "CLAUDE_CODE_USE_BEDROCK"), ("codex", "OPENAI_API_KEY"),
     ("gemini", "GEMINI_API_KEY")],
)  # fmt: skip
def test_a_login_may_come_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agent: str, variable: str
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert lacks_login(agent, {"HOME": str(tmp_path), variable: ""})
    assert not lacks_login(agent, {"HOME": str(tmp_path), variable: "k"})


@pytest.mark.parametrize("file", [".codex/auth.json", "agents/codex.login"], ids=["kept", "begun by foundry"])
def test_a_login_that_the_agent_asked_for_is_wanted_until_one_is_kept(
    tmp_path: Path, environ: dict[str, str], file: str
) -> None:
    environ |= {"HOME": str(tmp_path), "OPENAI_API_KEY": "an old one"}
    for name in ("path/codex-acp", "path/codex", f"bin/{SANDBOX_AGENT}"):
        program(tmp_path / name)
    wanted = WantedLogin(1_000.0, "foundry agent login codex")

    def told() -> tuple[str, str]:
        found = look_for_agents(tmp_path, environ, {}, {"codex": wanted}.get)
        return next((each.state, each.how) for each in found if each.name == "codex")

    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).touch()
    os.utime(tmp_path / file, (900, 900))
    assert told() == (AgentState.NEEDS_LOGIN, "foundry agent login codex")
    os.utime(tmp_path / file, (1_100, 1_100))
    assert told() == (AgentState.READY, "")


@pytest.mark.parametrize("agent", ["opencode", "amp", "own"])
def test_nothing_is_claimed_of_agents_that_are_not_looked_at(tmp_path: Path, agent: str) -> None:
    assert not lacks_login(agent, {"HOME": str(tmp_path)})


@pytest.mark.anyio
async def test_a_disk_that_does_not_answer_holds_up_nobody(
    git_world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend_stub.known_agents.ANSWER_SECONDS", 0.05)
    hanging, release = threading.Event(), threading.Event()
    found = [AgentInfo(name="pi", provider="local", state=AgentState.READY, how="")]
    async with git_world.provider() as provider:

        def look() -> list[AgentInfo]:
            if hanging.is_set():
                release.wait()
            return found

        monkeypatch.setattr(provider, "agents_here", look)
        hanging.set()
        agents = KnownAgents({"local": provider})
        with anyio.fail_after(5):
            assert (await agents.all()).agents == ()
            assert await agents.why_not("local", "nonsense") is None, "what is not known stands in no way"
        hanging.clear()
        release.set()
        assert await agents.why_not("local", "nonsense") is not None
        hanging.set()
        release.clear()
        with anyio.fail_after(5):
            assert (await agents.all()).agents == tuple(found), "what was known before"
            assert await agents.why_not("local", "pi") is None
        release.set()
