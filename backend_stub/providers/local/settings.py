"""What can be configured of the local provider, from FOUNDRY_* variables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from backend_stub.domain.errors import SettingError
from backend_stub.domain.settings import number
from foundry_tui.contract.agents import CONFIGURED, AgentCommand, configured_agents
from foundry_tui.contract.mcp import VARIABLE as MCP
from foundry_tui.contract.mcp import McpServer, configured_servers
from foundry_tui.contract.questions import PermissionPolicy


@dataclass(frozen=True)
class LocalSettings:
    """What holds for all tasks of the provider. Times are in seconds."""

    agent: str | None = None
    """Of tasks that name none; None takes the first that is installed."""
    policy: PermissionPolicy = PermissionPolicy.ASK
    """Of tasks that name none."""
    setup_timeout: float = 150.0
    """Less than its stage may take, whose time-out would say less of what happened."""
    fetch_timeout: float = 10.0
    copy: tuple[str, ...] = ()
    """Untracked files, relative to the repository, that each worktree gets."""
    bubblewrap: bool = False
    writable: tuple[str, ...] = ()
    """Folders besides the worktree and the repository's git folder that an agent under bubblewrap may write to."""
    agents: Mapping[str, AgentCommand] = field(default_factory=dict)
    """Those that the config names, and likewise `mcp`."""
    mcp: Mapping[str, McpServer] = field(default_factory=dict)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "LocalSettings":
        """The settings of FOUNDRY_AGENT, FOUNDRY_PERMISSIONS (ask, reads, all), FOUNDRY_SETUP_TIMEOUT_MS,
        FOUNDRY_FETCH_TIMEOUT_MS, FOUNDRY_COPY_FILES and FOUNDRY_SANDBOX_WRITABLE (separated by commas) and
        FOUNDRY_BUBBLEWRAP (0 or 1), FOUNDRY_AGENTS and FOUNDRY_MCP (see the contract). Raises `SettingError`.
        """
        default = cls()
        policy = PermissionPolicy(environ.get("FOUNDRY_PERMISSIONS") or PermissionPolicy.ASK)
        if not policy.is_known:
            known = ", ".join(PermissionPolicy)
            raise SettingError(f"FOUNDRY_PERMISSIONS is {policy.value!r}, but must be one of {known}")
        bubblewrap = environ.get("FOUNDRY_BUBBLEWRAP") or "0"
        if bubblewrap not in ("0", "1"):
            raise SettingError(f"FOUNDRY_BUBBLEWRAP is {bubblewrap!r}, but must be 0 or 1")
        try:
            agents = configured_agents(environ)
        except msgspec.DecodeError as error:
            raise SettingError(f"{CONFIGURED} cannot be read: {error}") from error
        try:
            servers = configured_servers(environ)
        except msgspec.DecodeError as error:
            raise SettingError(f"{MCP} cannot be read: {error}") from error
        return cls(
            agent=environ.get("FOUNDRY_AGENT") or None,
            policy=policy,
            setup_timeout=_seconds(environ, "FOUNDRY_SETUP_TIMEOUT_MS", default.setup_timeout),
            fetch_timeout=_seconds(environ, "FOUNDRY_FETCH_TIMEOUT_MS", default.fetch_timeout),
            copy=_list(environ, "FOUNDRY_COPY_FILES"),
            bubblewrap=bubblewrap == "1",
            writable=tuple(str(Path(name).expanduser()) for name in _list(environ, "FOUNDRY_SANDBOX_WRITABLE")),
            agents=agents,
            mcp=servers,
        )


def _list(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in environ.get(name, "").split(",") if part.strip())


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    milliseconds = number(environ, name, None)
    return default if milliseconds is None else milliseconds / 1000
