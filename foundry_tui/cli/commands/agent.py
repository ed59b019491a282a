"""`foundry agent`: getting the sandbox-agent binary, and seeing which coding agents are there."""

import os
import shutil
from pathlib import Path

import click

from foundry_tui.cli import agent_binary
from foundry_tui.cli.context import Context
from foundry_tui.cli.output import is_terminal, say, say_json, say_row, tell
from foundry_tui.cli.parameters import json_option, pass_context
from foundry_tui.cli.problems import CommandError
from foundry_tui.contract.agents import AGENTS, SANDBOX_AGENT, find_sandbox_agent, how_to_get_an_agent, installed_agents
from foundry_tui.settings import config


@click.group()
def agent() -> None:
    """Coding agents: install what runs them, list those that are there."""


@agent.command()
@json_option
@pass_context
def install(context: Context, as_json: bool) -> None:
    """Install the pinned sandbox-agent binary from npm into the data folder, checking its hash.

    No code of the package is run while installing. The agents themselves (claude, codex, …) are installed and logged in
    by you; `foundry agent list` shows which are found.

    \b
    Examples:
      foundry agent install
    """
    try:
        path = agent_binary.install(_data_dir(context), tell=tell)
    except agent_binary.InstallError as error:
        raise CommandError(error.message, hint=error.hint) from None
    if as_json:
        say_json({"path": str(path), "version": agent_binary.VERSION})
    else:
        say(f"{path}  ({SANDBOX_AGENT} {agent_binary.VERSION})" if is_terminal() else str(path))


@agent.command("list")
@json_option
@pass_context
def list_agents(context: Context, as_json: bool) -> None:
    """List sandbox-agent and the coding agents that it speaks to, and where each is.

    In a pipe, one a line, tab-separated: name, `installed` or `missing`, path.

    \b
    Examples:
      foundry agent list
    """
    found = find_sandbox_agent(_data_dir(context), os.environ, shutil.which)
    pinned = found is not None and agent_binary.is_pinned(found.path)
    installed = installed_agents({**os.environ, **config.as_environ(context.settings)}, shutil.which)
    agents = {name: installed.get(name) for name in (*AGENTS, *context.settings.agents)}
    if as_json:
        say_json(
            {
                "sandbox_agent": None
                if found is None
                else {"path": str(found.path), "from": found.source, "pinned": pinned},
                "agents": {name: None if path is None else str(path) for name, path in agents.items()},
            }
        )
        return
    rows = [(SANDBOX_AGENT, None if found is None else found.path), *agents.items()]
    if not is_terminal():
        for name, path in rows:
            say_row((name, "missing" if path is None else "installed", path))
        return
    for name, path in rows:
        say(f"{'✓' if path else '·'} {name:<14} {path or 'not found'}")
    if found is None:
        tell("get sandbox-agent: foundry agent install")
    elif not pinned:
        tell(f"{found.path} ({found.source}) is not the pinned {agent_binary.VERSION}")
    if not any(agents.values()):
        tell(f"get an agent: {how_to_get_an_agent(found.path if found else SANDBOX_AGENT)}")


def _data_dir(context: Context) -> Path:
    return config.data_dir(context.settings)
