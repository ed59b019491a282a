"""The parts of the config that our own backend alone obeys, each in a variable: agents, MCP servers, rules.

Every function raises `ConfigError`, which says where what is wrong.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from foundry_tui.contract import mcp, rules
from foundry_tui.contract.agents import CONFIGURED, AgentCommand, AgentName, configured_agents
from foundry_tui.contract.mcp import ConfiguredServer
from foundry_tui.contract.rules import ConfiguredRule, configured_rules
from foundry_tui.settings.errors import ConfigError

_AGENTS = '{"gemini": {"command": ["gemini", "--experimental-acp"]}}'
_RULE = 'allow = "pytest *", or deny = "git push*"; see: foundry help config'
LARGEST = 100_000
"""Bytes that a variable of the environment may surely have."""


def agent_of(where: str, name: str, value: object) -> AgentCommand:
    """What `[agents.NAME]` says; `where` is its place in the file."""
    try:
        return msgspec.convert({name: value}, dict[AgentName, AgentCommand])[name]
    except msgspec.ValidationError as error:
        example = 'command = ["gemini", "--experimental-acp"]'
        raise ConfigError(f"{where}: agents.{name}: {_reason(error)}; write [agents.{name}] with {example}") from None


def server_of(where: str, name: str, value: object) -> ConfiguredServer:
    """What `[mcp.NAME]` says."""
    try:
        return msgspec.convert({name: value}, dict[mcp.McpName, ConfiguredServer])[name]
    except msgspec.ValidationError as error:
        example = 'command = ["npx", "some-mcp-server"], or url = "https://…"'
        raise ConfigError(f"{where}: mcp.{name}: {_reason(error)}; write [mcp.{name}] with {example}") from None


def rules_of(file: Path, text: str, values: object) -> tuple[ConfiguredRule, ...]:
    """What all `[[rules]]` of a file say, in their order."""
    lines = [number for number, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\[\[\s*rules\s*\]\]", line)]
    if not isinstance(values, list):
        found = next((n for n, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\[?\s*rules\b", line)), 1)
        raise ConfigError(f"{file}:{found}: rules are a list: write [[rules]] with {_RULE}")
    told = []
    for number, value in enumerate(values):
        try:
            told.append(msgspec.convert(value, ConfiguredRule))
        except msgspec.ValidationError as error:
            line = lines[number] if number < len(lines) else 1
            key = re.search(r" - at `\$\.(\w+)`", str(error))
            at = f"rules.{key[1]}" if key is not None else "rules"
            raise ConfigError(f"{file}:{line}: {at}: {_reason(error)}; write [[rules]] with {_RULE}") from None
    if len(told) > rules.MOST or len(msgspec.json.encode(told)) > LARGEST:
        raise ConfigError(f"{file}: there are too many [[rules]]: {rules.MOST} are the limit, and {LARGEST:,} bytes")
    return tuple(told)


def agents_of_environ(environ: Mapping[str, str]) -> dict[str, AgentCommand]:
    """The agents that the variable holds."""
    try:
        return dict(configured_agents(environ))
    except msgspec.DecodeError as error:
        raise ConfigError(f"{CONFIGURED}: {error}; it takes agents as JSON, such as {_AGENTS}") from None


def servers_of_environ(environ: Mapping[str, str]) -> dict[str, ConfiguredServer]:
    """The MCP servers that the variable holds."""
    try:
        return dict(mcp.configured_servers(environ))
    except msgspec.DecodeError as error:
        raise ConfigError(f"{mcp.VARIABLE}: {error}; it takes MCP servers as JSON, by their names") from None


def rules_of_environ(environ: Mapping[str, str]) -> tuple[ConfiguredRule, ...]:
    """The rules that the variable holds."""
    try:
        return configured_rules(environ)
    except msgspec.DecodeError as error:
        raise ConfigError(f'{rules.VARIABLE}: {error}; it takes rules as JSON, such as [{{"allow": "make"}}]') from None


def _reason(error: msgspec.ValidationError) -> str:
    return str(error).partition(" - at ")[0]
