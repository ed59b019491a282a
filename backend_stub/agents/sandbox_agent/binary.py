"""Where the sandbox-agent binary is, and what to do when it is nowhere."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

NAME = "sandbox-agent"
VARIABLE = "FOUNDRY_SANDBOX_AGENT"
HOW_TO_GET = "run `foundry agent install`, or name the binary in FOUNDRY_SANDBOX_AGENT"


class Needs(NamedTuple):
    """What an agent needs to be run: its launcher's name on the PATH, and its own program if that too."""

    launcher: str
    program: str | None = None


AGENTS: Mapping[str, Needs] = {
    "claude": Needs("claude-agent-acp", "claude"),
    "codex": Needs("codex-acp", "codex"),
    "opencode": Needs("opencode", "opencode"),
    "amp": Needs("amp-acp"),
    "cursor": Needs("cursor-agent-acp"),
    "pi": Needs("pi-acp"),
}
"""The agents that sandbox-agent speaks to, in the order in which one is chosen when a task names none."""


def find_binary(data_dir: Path, environ: Mapping[str, str]) -> Path | None:
    """The binary that FOUNDRY_SANDBOX_AGENT names, else the one in the data folder, else the one on the PATH.

    A named binary that is not there is None: something else must not take its place unseen.
    """
    named = environ.get(VARIABLE)
    if named:
        return _executable(Path(named).expanduser())
    return _executable(data_dir / "bin" / NAME) or _on_path(environ)


def _on_path(environ: Mapping[str, str]) -> Path | None:
    found = shutil.which(NAME, path=environ.get("PATH", os.defpath))
    return Path(found).absolute() if found else None


def _executable(path: Path) -> Path | None:
    return path.absolute() if path.is_file() and os.access(path, os.X_OK) else None


def data_home(environ: Mapping[str, str]) -> Path:
    """Where programs keep their data, as sandbox-agent sees it."""
    named = environ.get("XDG_DATA_HOME", "")
    home = Path(environ.get("HOME", "~")).expanduser()
    if sys.platform == "darwin":
        return home / "Library/Application Support"
    return Path(named) if named.startswith("/") else home / ".local/share"


def installed_agents(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The agents that sandbox-agent would find on this machine, without starting anything.

    Launchers and programs may be on the PATH or in sandbox-agent's own data folder.
    """
    folder = data_home(environ) / NAME / "bin"
    path = environ.get("PATH", os.defpath)

    def there(place: Path, name: str) -> bool:
        return place.exists() or shutil.which(name, path=path) is not None

    return tuple(
        agent
        for agent, needs in AGENTS.items()
        if there(folder / "agent_processes" / f"{agent}-acp", needs.launcher)
        and (needs.program is None or there(folder / needs.program, needs.program))
    )
