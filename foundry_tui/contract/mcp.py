"""The MCP servers that agents are told of: those of the config, and those of a repository's `.foundry/mcp.json`."""

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

from foundry_tui.contract.codec import decode

VARIABLE = "FOUNDRY_MCP"
"""The variable that tells the backend of the servers that the config names, by name, in JSON."""
FILE = ".foundry/mcp.json"

McpName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_Text = Annotated[str, Meta(pattern=r"^[^\x00]*$")]


class McpServer(Struct, frozen=True, omit_defaults=True):
    """One server: a program that is run (`command`, `args`, `env`), or an address (`url`, `headers`).

    `command` is a program, or all of its words. `type` is needed only where an address is one of sse.
    """

    command: _Text | tuple[_Text, ...] = ()
    args: tuple[_Text, ...] = ()
    env: dict[str, _Text] = {}
    type: Literal["stdio", "http", "sse"] | None = None
    url: _Text | None = None
    headers: dict[str, _Text] = {}

    def __post_init__(self) -> None:
        if bool(self.words and self.words[0]) is (self.url is not None):
            raise ValueError("it has either a command or a url")
        if self.type is not None and (self.type == "stdio") is (self.url is not None):
            raise ValueError(f"its type {self.type} does not fit its {'command' if self.url is None else 'url'}")

    @property
    def words(self) -> tuple[str, ...]:
        """The command with all of its words; empty for an address."""
        command = (self.command,) if isinstance(self.command, str) else self.command
        return (*command, *self.args)

    @property
    def transport(self) -> str:
        """`stdio`, `http` or `sse`."""
        return self.type or ("stdio" if self.url is None else "http")


class ConfiguredServer(McpServer, frozen=True, forbid_unknown_fields=True):
    """One of the config, in which nothing is written in vain."""


class McpFile(Struct, frozen=True, rename="camel"):
    """What `.foundry/mcp.json` holds, as other tools have it too; what else is in it is for them."""

    mcp_servers: dict[McpName, McpServer] = {}


def configured_servers(environ: Mapping[str, str]) -> Mapping[str, ConfiguredServer]:
    """The servers that the config names, as the backend is told of them; raises `msgspec.DecodeError`."""
    return decode((environ.get(VARIABLE) or "{}").encode(), dict[McpName, ConfiguredServer])
