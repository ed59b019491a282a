"""`foundry agent`: seeing which coding agents there are, installing them and what runs them, logging in to them."""

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

import click

from foundry_tui.cli.context import Context
from foundry_tui.cli.output import is_terminal, paint, say, say_json, say_row, table, tell
from foundry_tui.cli.parameters import json_option, pass_context
from foundry_tui.cli.problems import CommandError
from foundry_tui.contract.agents import (
    INSTALLABLE,
    SANDBOX_AGENT,
    find_sandbox_agent,
    installed_programs,
    login_begun,
)
from foundry_tui.contract.known_agents import AgentInfo, AgentState
from foundry_tui.contract.providers import SIMULATED
from foundry_tui.contract.requests import AgentList
from foundry_tui.process import agent_binary, agent_packages
from foundry_tui.process.npm import InstallError
from foundry_tui.settings import config

LOGINS = {
    "claude": ("claude", "auth", "login"),
    "codex": ("codex", "login"),
    "opencode": ("opencode", "auth", "login"),
    "gemini": ("gemini",),
    "amp": ("amp", "login"),
    "cursor": ("cursor-agent", "login"),
}
"""The agents' own commands that log in; gemini asks for a login when it is started."""
CODEX_CLI = "codex-cli"
"""The package that logs in to codex where codex itself is not on the PATH."""


@click.group()
def agent() -> None:
    """Coding agents: see which there are, install them, log in to them."""


@agent.command("list")
@json_option
@pass_context
def list_agents(context: Context, as_json: bool) -> None:
    """List the agents that tasks can have, and what each still needs.

    That is a command where one is missing or wants a login.

    It is the backend that looks. Ready is also an agent of which nobody can tell whether it is logged in. In a pipe,
    one a line, tab-separated: name, provider, `ready`, `missing` or `needs_login`, what to do.

    \b
    Examples:
      foundry agent list
      foundry agent list | awk -F'\\t' '$3 == "ready" {print $1}'
    """
    document, found = context.read("/v1/agents", AgentList)
    if as_json:
        say_json(document)
    elif not is_terminal():
        for each in found.agents:
            say_row((each.name, each.provider, each.state, each.how))
    else:
        _table(found.agents)


def _table(agents: tuple[AgentInfo, ...]) -> None:
    words = {AgentState.READY: "ready", AgentState.MISSING: "missing", AgentState.NEEDS_LOGIN: "wants a login"}
    real = [each for each in agents if each.provider != SIMULATED]
    rows = [(each.name, each.provider, words.get(each.state, str(each.state)), each.how) for each in real]
    if rows:
        table(("AGENT", "PROVIDER", "STATE", "WHAT TO DO"), rows, stretch=(3,))
    if len(real) < len(agents):
        say(paint(f"The provider {SIMULATED} simulates each of them.", "dim"))


@agent.command()
@click.argument("names", metavar="[claude|codex|opencode|gemini]…", nargs=-1, type=click.Choice(INSTALLABLE))
@json_option
@pass_context
def install(context: Context, names: tuple[str, ...], as_json: bool) -> None:
    """Install agents, and the binary that runs them.

    Agents and sandbox-agent, which runs them, go into the data folder.

    They come from npm, in versions whose hashes are known; no code of the packages is run while installing, and root is
    not needed. What is there already is kept. They go before what is on the PATH. Without a name only sandbox-agent is
    installed.

    \b
    Examples:
      foundry agent install claude
      foundry agent install codex opencode
    """
    data_dir = _data_dir(context)
    try:
        # Of the binary another may be chosen; without an agent it is what was asked for.
        found = find_sandbox_agent(data_dir, os.environ | config.as_environ(context.settings), shutil.which)
        binary = agent_binary.install(data_dir, tell=tell) if found is None or not names else found.path
        done = [agent_packages.install(name, data_dir, tell=tell) for name in dict.fromkeys(names)]
    except InstallError as error:
        raise CommandError(error.message, hint=error.hint) from None
    if as_json and not names:
        say_json({"path": str(binary), "version": agent_binary.VERSION})
    elif as_json:
        agents = [{"name": each.name, "version": each.version, "path": str(each.programs)} for each in done]
        say_json({"sandbox_agent": str(binary), "agents": agents})
    elif not names:
        say(f"{binary}  ({SANDBOX_AGENT} {agent_binary.VERSION})" if is_terminal() else str(binary))
    else:
        for each in done:
            if is_terminal():
                say(f"{each.name} {each.version}  {each.programs}")
            else:
                say_row((each.name, each.version, each.programs))
        tell(f"log in where that is still to be done: foundry agent login {done[0].name}")


@agent.command()
@click.argument("name", metavar="AGENT")
@click.option("--json", "as_json", is_flag=True, help="Print what would be run, as JSON, and run nothing.")
@pass_context
def login(context: Context, name: str, as_json: bool) -> None:
    """Log in to an agent, in its own way.

    Its own command for that is run in this terminal.

    \b
    Examples:
      foundry agent login claude
    """
    target, own = context.target
    if not own:
        raise CommandError(
            f"the agents of the backend at {target} are where it runs", hint=f"log in there: foundry agent login {name}"
        )
    if name not in LOGINS:
        hint = f"log in with its own command; Foundry knows those of {', '.join(LOGINS)}"
        raise CommandError(f"how to log in to {name!r} is not known", hint=hint)
    program, *rest = LOGINS[name]
    if as_json:
        say_json({"agent": name, "command": [_login_program(name, _data_dir(context)) or program, *rest]})
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandError(f"to log in to {name} takes a terminal", hint=f"run there: foundry agent login {name}")
    found = _login_program(name, _data_dir(context)) or _fetch_login_program(name, _data_dir(context))
    begun = login_begun(name, _data_dir(context))
    with suppress(OSError):
        # Where the login is kept nobody may be able to look; that it was begun says enough to ask the agent again.
        begun.parent.mkdir(parents=True, exist_ok=True)
        begun.touch()
    try:
        os.execv(found, [found, *rest])
    except OSError as error:
        raise CommandError(f"{found} cannot be run: {error.strerror}") from None


def _login_program(name: str, data_dir: Path) -> str | None:
    """The program that logs in to an agent: of the agent that tasks use, where there are several."""
    program = LOGINS[name][0]
    if name == "codex":
        # What is installed of it is a launcher alone, which cannot log in.
        return shutil.which(program) or shutil.which(str(installed_programs(CODEX_CLI, data_dir) / program))
    return shutil.which(str(installed_programs(name, data_dir) / program)) or shutil.which(program)


def _fetch_login_program(name: str, data_dir: Path) -> str:
    if name != "codex":
        how = f"install it: foundry agent install {name}" if name in INSTALLABLE else "install it first"
        raise CommandError(f"{name} is not installed", hint=how)
    try:
        agent_packages.install(CODEX_CLI, data_dir, tell=tell)
    except InstallError as error:
        raise CommandError(error.message, hint=error.hint) from None
    return str(installed_programs(CODEX_CLI, data_dir) / LOGINS[name][0])


def _data_dir(context: Context) -> Path:
    return config.data_dir(context.settings)
