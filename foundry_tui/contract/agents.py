"""The agents that both sides know by name, and where they and sandbox-agent, which runs them, are looked for.

Nothing here looks at a file: whoever asks passes `shutil.which`, so that both sides go by the same rules.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple, Protocol

from msgspec import Meta, Struct

from foundry_tui.contract.codec import decode

SANDBOX_AGENT = "sandbox-agent"
VARIABLE = "FOUNDRY_SANDBOX_AGENT"
CONFIGURED = "FOUNDRY_AGENTS"
"""The variable that tells the backend of the agents that the config names: their `AgentCommand`s by name, in JSON."""

AgentName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
_Word = Annotated[str, Meta(pattern=r"^[^\x00]*$")]
_Variable = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Which(Protocol):
    """Finds a program, as `shutil.which` does: a name on the `path`, or a path itself; None where none can be run."""

    def __call__(self, cmd: str, *, path: str) -> str | None: ...


class AgentCommand(Struct, frozen=True, forbid_unknown_fields=True):
    """An ACP agent that the config names: the words of its command, and variables on top of the person's own.

    The first word is a name on the PATH or an absolute path: a relative one would run what a repository holds.
    """

    command: Annotated[tuple[_Word, ...], Meta(min_length=1)]
    env: dict[_Variable, _Word] = {}

    def __post_init__(self) -> None:
        program = self.command[0]
        if not program or ("/" in program and not program.startswith(("/", "~/"))):
            raise ValueError(f"the command begins with {program!r}, not with a name on the PATH or an absolute path")

    def program(self, environ: Mapping[str, str], which: Which) -> Path | None:
        """The program that is run, if it is there."""
        path = self.env.get("PATH", environ.get("PATH", os.defpath))
        found = which(str(Path(self.command[0]).expanduser()), path=path)
        return None if found is None else Path(found)


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


class Binary(NamedTuple):
    """A program file; `source` is `data folder`, `PATH`, or the variable that names it."""

    path: Path
    source: str


def find_sandbox_agent(data_dir: Path, environ: Mapping[str, str], which: Which) -> Binary | None:
    """The binary that the variable names, else the one in the data folder, else the one on the PATH.

    A named binary that is not there is None: something else must not take its place unseen.
    """
    named = environ.get(VARIABLE)
    path = environ.get("PATH", os.defpath)
    if named:
        places = {VARIABLE: str(Path(named).expanduser().absolute())}
    else:
        places = {"data folder": str((data_dir / "bin" / SANDBOX_AGENT).absolute()), "PATH": SANDBOX_AGENT}
    for source, place in places.items():
        if (found := which(place, path=path)) is not None:
            return Binary(Path(found).absolute(), source)
    return None


def installed_agents(environ: Mapping[str, str], which: Which) -> Mapping[str, Path]:
    """The launchers of the agents that sandbox-agent would find where `which` looks, without starting anything.

    Launchers and programs may be on the PATH or in sandbox-agent's own data folder. Those of the config come last;
    raises `msgspec.DecodeError` when the variable that holds them cannot be read.
    """
    folder = data_home(environ) / SANDBOX_AGENT / "bin"
    path = environ.get("PATH", os.defpath)

    def find(place: Path, name: str) -> Path | None:
        found = which(str(place), path=path) or which(name, path=path)
        return None if found is None else Path(found)

    found: dict[str, Path] = {}
    for agent, needs in AGENTS.items():
        launcher = find(folder / "agent_processes" / f"{agent}-acp", needs.launcher)
        whole = needs.program is None or find(folder / needs.program, needs.program) is not None
        if launcher is not None and whole:
            found[agent] = launcher
    for name, each in configured_agents(environ).items():
        found.pop(name, None)
        program = each.program(environ, which)
        if program is not None:
            found[name] = program
    return found


def how_to_get_an_agent(sandbox_agent: Path | str = SANDBOX_AGENT) -> str:
    """What to do where no agent is installed; `sandbox_agent` is the binary where there is one."""
    return f"{sandbox_agent} install-agent claude (or codex, opencode, …), then log in to it once"


def configured_agents(environ: Mapping[str, str]) -> Mapping[str, AgentCommand]:
    """The agents that the config names, as the backend is told of them; raises `msgspec.DecodeError`."""
    return decode((environ.get(CONFIGURED) or "{}").encode(), dict[AgentName, AgentCommand])


def data_home(environ: Mapping[str, str]) -> Path:
    """Where programs keep their data, as sandbox-agent sees it."""
    named = environ.get("XDG_DATA_HOME", "")
    home = Path(environ.get("HOME", "~")).expanduser()
    if sys.platform == "darwin":
        return home / "Library/Application Support"
    return Path(named) if named.startswith("/") else home / ".local/share"
