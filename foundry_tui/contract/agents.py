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

    def program(self, data_dir: Path, environ: Mapping[str, str], which: Which) -> Path | None:
        """The program that is run, if it is there: on the PATH, or else among what `foundry agent install` got."""
        path = self.env.get("PATH", environ.get("PATH", os.defpath))
        places = (path, *(str(installed_programs(agent, data_dir).absolute()) for agent in INSTALLABLE))
        found = which(str(Path(self.command[0]).expanduser()), path=os.pathsep.join(places))
        return None if found is None else Path(found)


class AgentPrograms(NamedTuple):
    """What an agent needs to be run: its launcher's name on the PATH, and its own program if that too."""

    launcher: str
    program: str | None = None

    @property
    def programs(self) -> tuple[str, ...]:
        """All of these names, each once."""
        return (self.launcher,) if self.program in (None, self.launcher) else (self.launcher, str(self.program))


AGENTS: Mapping[str, AgentPrograms] = {
    "claude": AgentPrograms("claude-agent-acp", "claude"),
    "codex": AgentPrograms("codex-acp", "codex"),
    "opencode": AgentPrograms("opencode", "opencode"),
    "amp": AgentPrograms("amp-acp"),
    "cursor": AgentPrograms("cursor-agent-acp"),
    "pi": AgentPrograms("pi-acp"),
}
"""The agents that sandbox-agent speaks to, in the order in which one is chosen when a task names none."""

ACP_COMMANDS: Mapping[str, AgentCommand] = {"gemini": AgentCommand(command=("gemini", "--experimental-acp"))}
"""Further agents that everybody knows, each by the command that the config would name; the config may name another."""

INSTALLABLE = ("claude", "codex", "opencode", "gemini")
"""The agents that `foundry agent install` gets."""

KNOWN = tuple(dict.fromkeys((*INSTALLABLE, *AGENTS, *ACP_COMMANDS)))
"""Every agent that is known without the config."""


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


def installed_programs(agent: str, data_dir: Path) -> Path:
    """The folder in which `foundry agent install` puts the programs of an agent, by the names that they are run by."""
    return data_dir / "agents" / agent / "bin"


def login_begun(agent: str, data_dir: Path) -> Path:
    """The file that is as old as the last `foundry agent login` of an agent."""
    return data_dir / "agents" / f"{agent}.login"


def find_agent(agent: str, data_dir: Path, environ: Mapping[str, str], which: Which) -> Binary | None:
    """What starts a known agent: what `foundry agent install` got, else what sandbox-agent or the PATH has."""
    needed = AGENTS.get(agent) or AgentPrograms(ACP_COMMANDS[agent].command[0])
    path = environ.get("PATH", os.defpath)
    own = installed_programs(agent, data_dir).absolute()
    theirs = data_home(environ) / SANDBOX_AGENT / "bin"

    def on_the_path(place: Path, name: str) -> str | None:
        return which(str(place), path=path) or which(name, path=path)

    found = which(str(own / needed.launcher), path=path)
    if found is not None and all(which(str(own / name), path=path) for name in needed.programs):
        return Binary(Path(found), "data folder")
    found = on_the_path(theirs / "agent_processes" / f"{agent}-acp", needed.launcher)
    if found is not None and (needed.program is None or on_the_path(theirs / needed.program, needed.program)):
        return Binary(Path(found), "PATH")
    return None


def installed_agents(data_dir: Path, environ: Mapping[str, str], which: Which) -> Mapping[str, Path]:
    """What starts each agent that is there, the known ones first; nothing is run.

    Raises `msgspec.DecodeError` when the variable that holds those of the config cannot be read.
    """
    configured = configured_agents(environ)
    found: dict[str, Path] = {}
    for name in KNOWN:
        if name not in configured and (binary := find_agent(name, data_dir, environ, which)) is not None:
            found[name] = binary.path
    for name, each in configured.items():
        if (program := each.program(data_dir, environ, which)) is not None:
            found[name] = program
    return found


def how_to_get(agent: str, sandbox_agent: Path | str = SANDBOX_AGENT) -> str:
    """The command that installs a known agent; `sandbox_agent` is the binary where there is one."""
    if agent in INSTALLABLE:
        return f"foundry agent install {agent}"
    if agent not in AGENTS:
        return f"{ACP_COMMANDS[agent].command[0]} on the PATH"
    return f"{sandbox_agent} install-agent {agent} (or {AGENTS[agent].launcher} on the PATH)"


def how_to_correct(agent: str) -> str:
    """What to do about an agent of the config whose command is not there."""
    return f"install it, or correct the command of [agents.{agent}] in the config file"


HOW_TO_RUN_ONE = "foundry agent install"
"""What to do where an agent is installed, and not what runs it."""
HOW_TO_GET_ONE = f"foundry agent install {INSTALLABLE[0]} (or {', '.join(INSTALLABLE[1:])})"
"""What to do where no agent is installed."""


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
