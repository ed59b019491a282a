"""MCP servers in the protocol's words, as far as an agent takes them."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from foundry_tui.contract.codec import decode
from foundry_tui.contract.mcp import FILE, McpFile, McpServer


class Servers(Struct, frozen=True):
    """The servers of a session, by name, and what a person is to know of those that are not among them.

    `programs` has the paths of the programs that are run by their names.
    """

    by_name: Mapping[str, McpServer] = {}
    programs: Mapping[str, str] = {}
    notices: tuple[str, ...] = ()


NO_SERVERS = Servers()


class McpCapabilities(Struct, frozen=True):
    """What an agent takes beside programs, which every agent does."""

    http: bool | None = None
    sse: bool | None = None


def servers_of(configured: Mapping[str, McpServer], trusted_file: Path, path: str) -> Servers:
    """The config's servers and the repository's; of two of one name the config's counts.

    `trusted_file` holds what was trusted, if there is anything; `path` is where programs are looked for. Touches the
    disk, so call it in a thread.
    """
    notices: tuple[str, ...] = ()
    servers = dict(configured)
    try:
        servers = {**decode(trusted_file.read_bytes(), McpFile).mcp_servers, **configured}
    except FileNotFoundError:
        pass
    except (OSError, msgspec.DecodeError) as error:
        notices = (f"The MCP servers of {FILE} are left out: {error}.",)
    names = {each.words[0] for each in servers.values() if each.url is None and "/" not in each.words[0]}
    programs = {name: found for name in names if (found := shutil.which(name, path=path))}
    return Servers(servers, programs, notices)


def in_words_of_the_protocol(
    servers: Servers, takes: McpCapabilities, agent: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """What `session/new` and `session/load` are given, and notices of what is left out."""
    told: list[dict[str, Any]] = []
    notices = list(servers.notices)
    for name, each in servers.by_name.items():
        if each.url is None:
            program, *arguments = each.words
            command = servers.programs.get(program, program)
            told.append({"name": name, "command": command, "args": arguments, "env": _pairs(each.env)})
        elif takes.sse if each.transport == "sse" else takes.http:
            told.append({"type": each.transport, "name": name, "url": each.url, "headers": _pairs(each.headers)})
        else:
            notices.append(f"The MCP server {name} is left out: {agent} takes none by {each.transport}.")
    return told, notices


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]
