"""An ACP command of the config as an agent of sandbox-agent, which knows its own names only.

It takes a launcher that stands on its PATH under one of these names: one that is not installed here is lent to the
command. The launcher gives the command the person's own environment back.
"""

import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from backend_stub.agents.sandbox_agent.server import OWN_VARIABLES
from backend_stub.domain.errors import AgentError
from foundry_tui.contract.agents import AGENTS, AgentCommand, installed_agents


def path_with(launchers: Path, environ: Mapping[str, str]) -> str:
    """The PATH of a server that finds launchers in this folder, which is made."""
    launchers.mkdir(parents=True, exist_ok=True, mode=0o700)
    return f"{launchers}{os.pathsep}{environ.get('PATH', os.defpath)}"


def lend_name(agent: str, command: AgentCommand, launchers: Path, environ: Mapping[str, str]) -> str:
    """Write the agent's launcher, in place of that of another one; the name by which sandbox-agent starts it.

    Raises `AgentError` when the command is not there, or all names are taken. Blocks for some small files.
    """
    program = command.program(environ, shutil.which)
    if program is None:
        raise AgentError(
            f"the agent {agent} cannot be run: there is no {command.command[0]}; install it, or correct the command "
            f"of [agents.{agent}] in the config file",
            retryable=False,
        )
    taken = installed_agents(environ, shutil.which)
    free = [(name, needs.launcher) for name, needs in AGENTS.items() if needs.program is None and name not in taken]
    if not free:
        raise AgentError(
            f"sandbox-agent has no name left for {agent}: amp, cursor and pi are all installed; it needs one of them",
            retryable=False,
        )
    name, launcher = free[-1]
    new = launchers / f"{launcher}.new"
    new.touch(mode=0o700)
    new.write_text(_script([str(program.absolute()), *command.command[1:]], command.env, environ))
    new.replace(launchers / launcher)
    return name


def _script(argv: list[str], variables: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """Literal words only: whatever is in them, the shell reads them as they are."""
    restored = {name: environ.get(name) for name in ("PATH", *OWN_VARIABLES)}
    lines = ["#!/bin/sh"]
    for name, value in {**restored, **variables}.items():
        lines.append(f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}")
    return "\n".join([*lines, f"exec {shlex.join(argv)}", ""])
