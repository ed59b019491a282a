"""Launchers for agents that sandbox-agent would not find or does not know: its own PATH begins with their folder.

What `foundry agent install` got has a launcher under the agent's own name. For an ACP command, as the config has them,
sandbox-agent knows no name: one of its own that is not installed here is lent to it. A launcher gives its agent the
person's own environment back.
"""

import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from backend_stub.agents.sandbox_agent.server import OWN_VARIABLES
from backend_stub.domain.errors import AgentError
from foundry_tui.contract.agents import (
    ACP_COMMANDS,
    AGENTS,
    AgentCommand,
    find_agent,
    how_to_correct,
    how_to_get,
    installed_agents,
)


def path_with(launchers: Path, environ: Mapping[str, str]) -> str:
    """The PATH of a server that finds launchers in this folder, which is made."""
    launchers.mkdir(parents=True, exist_ok=True, mode=0o700)
    return f"{launchers}{os.pathsep}{environ.get('PATH', os.defpath)}"


def show_installed(agent: str, launchers: Path, data_dir: Path, environ: Mapping[str, str]) -> None:
    """Have sandbox-agent find what `foundry agent install` got of this agent of its own, if that is what is to be used.

    Blocks for some small files.
    """
    found = find_agent(agent, data_dir, environ, shutil.which)
    for name in AGENTS[agent].programs:
        if found is not None and found.source == "data folder":
            program = found.path.with_name(name).absolute()
            _write(launchers / name, _script([str(program)], {}, environ, passing=True))
        else:
            (launchers / name).unlink(missing_ok=True)


def lend_name(agent: str, command: AgentCommand, launchers: Path, data_dir: Path, environ: Mapping[str, str]) -> str:
    """Write the agent's launcher, in place of that of another one; the name by which sandbox-agent starts it.

    Raises `AgentError` when the command is not there, or all names are taken. Blocks for some small files.
    """
    program = command.program(data_dir, environ, shutil.which)
    if program is None:
        raise AgentError(
            f"the agent {agent} cannot be run: there is no {command.command[0]}; "
            + (how_to_get(agent) if ACP_COMMANDS.get(agent) == command else how_to_correct(agent)),
            retryable=False,
        )
    taken = installed_agents(data_dir, environ, shutil.which)
    free = [(name, needs.launcher) for name, needs in AGENTS.items() if needs.program is None and name not in taken]
    if not free:
        raise AgentError(
            f"sandbox-agent has no name left for {agent}: amp, cursor and pi are all installed; it needs one of them",
            retryable=False,
        )
    name, launcher = free[-1]
    _write(launchers / launcher, _script([str(program.absolute()), *command.command[1:]], command.env, environ))
    return name


def _write(launcher: Path, script: str) -> None:
    new = launcher.with_name(f"{launcher.name}.new")
    new.touch(mode=0o700)
    new.write_text(script)
    new.replace(launcher)


def _script(argv: list[str], variables: Mapping[str, str], environ: Mapping[str, str], *, passing: bool = False) -> str:
    """Literal words only: whatever is in them, the shell reads them as they are.

    `passing`: the arguments that sandbox-agent gives are handed on.
    """
    restored = {name: environ.get(name) for name in ("PATH", *OWN_VARIABLES)}
    lines = ["#!/bin/sh"]
    for name, value in {**restored, **variables}.items():
        lines.append(f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}")
    return "\n".join([*lines, f"exec {shlex.join(argv)}" + (' "$@"' if passing else ""), ""])
