"""MCP servers: an agent is told of the config's, and of those of a repository's file that was trusted."""

import json
from pathlib import Path
from typing import Any

import pytest

from backend_stub.agents.sandbox_agent.mcp import McpCapabilities, Servers, in_words_of_the_protocol
from backend_stub.domain.errors import SettingError
from backend_stub.providers.local import LocalSettings
from foundry_tui.contract import mcp
from foundry_tui.contract.mcp import ConfiguredServer, McpServer
from foundry_tui.contract.transcript import TranscriptKind
from tests.git import git
from tests.local.world import LocalWorld, turn

OWN = {"files": ConfiguredServer(command=("sh", "-c", "serve"), env={"TOKEN": "t"})}


def with_file(world: LocalWorld, text: str) -> None:
    (world.repository / ".foundry").mkdir()
    (world.repository / ".foundry/mcp.json").write_text(text)
    git(world.repository, "add", "--all")
    git(world.repository, "commit", "--quiet", "--message=servers")


def told(world: LocalWorld, method: str) -> list[list[Any]]:
    return [entry["params"]["mcpServers"] for entry in world.agent_saw(method)]


@pytest.mark.anyio
@pytest.mark.parametrize("trust", [True, False])
async def test_an_agent_is_told_of_the_configs_and_of_trusted_ones(world: LocalWorld, trust: bool) -> None:
    repos = {"db": {"command": "./serve-db", "args": ["--fast"], "disabled": False}, "files": {"command": "other"}}
    with_file(world, json.dumps({"mcpServers": repos}))
    world.environ["ACP_AGENT_LOADS"] = "1"
    async with world.provider(LocalSettings(mcp=OWN)) as provider:
        task = world.task()
        made = await provider.create_sandbox(world.call(task, trust=trust))
        task = await world.with_session(provider, task)
        assert ("mcp.json" in made.notice) is not trust
        [servers] = told(world, "session/new")
        names = [server["name"] for server in servers]
        assert names == (["db", "files"] if trust else ["files"])
        assert servers[-1] == {
            "name": "files",
            "command": servers[-1]["command"],
            "args": ["-c", "serve"],
            "env": [{"name": "TOKEN", "value": "t"}],
        }
        assert servers[-1]["command"].endswith("/sh"), "found on the PATH"
        # What the agent writes there later is not what was trusted.
        with_more = json.dumps({"mcpServers": {**repos, "evil": {"command": "evil"}}})
        (Path(made.sandbox.cwd) / ".foundry/mcp.json").write_text(with_more)
        await provider.agents.end(world.call(task))
        assert (await turn(provider, world, task, "say hi")).text == "hi"
        assert told(world, "session/load") == [servers]


@pytest.mark.anyio
async def test_what_cannot_be_read_or_taken_is_left_out_and_said(world: LocalWorld) -> None:
    with_file(world, '{"mcpServers": {"db": {}}}')
    own = {"issues": ConfiguredServer(url="https://mcp.example.org")}
    async with world.provider(LocalSettings(mcp=own)) as provider:
        task = world.task()
        await provider.create_sandbox(world.call(task, trust=True))
        task = await world.with_session(provider, task)
        assert told(world, "session/new") == [[]]
        notices = (await turn(provider, world, task, "say hi")).of(TranscriptKind.NOTICE)
        assert any(".foundry/mcp.json are left out: it has either a command or a url" in each for each in notices)
        assert "The MCP server issues is left out: pi takes none by http." in notices


def test_addresses_go_to_agents_that_take_them() -> None:
    servers = Servers(
        {
            "one": McpServer(url="https://a.example.org", headers={"Authorization": "Bearer t"}),
            "two": McpServer(url="https://b.example.org", type="sse"),
        }
    )
    words, notices = in_words_of_the_protocol(servers, McpCapabilities(http=True), "codex")
    assert words == [
        {
            "type": "http",
            "name": "one",
            "url": "https://a.example.org",
            "headers": [{"name": "Authorization", "value": "Bearer t"}],
        }
    ]
    assert notices == ["The MCP server two is left out: codex takes none by sse."]
    assert not in_words_of_the_protocol(servers, McpCapabilities(http=True, sse=True), "claude")[1]


@pytest.mark.parametrize(
    "given",
    ["{", '{"a": {}}', '{"a": {"command": [""]}}', '{"a": {"command": "x", "url": "y"}}', '{"a b": {"command": "x"}}',
     '{"a": {"command": "x", "type": "sse"}}', '{"a": {"url": "x", "type": "stdio"}}',
     '{"a": {"url": "x", "more": 1}}'],
)  # fmt: skip
def test_what_cannot_be_a_server_is_refused(given: str) -> None:
    with pytest.raises(SettingError, match=mcp.VARIABLE):
        LocalSettings.from_environ({mcp.VARIABLE: given})
