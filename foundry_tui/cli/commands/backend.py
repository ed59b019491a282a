"""`foundry backend`: running, starting, stopping and explaining the backend process."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from foundry_tui.cli import problems
from foundry_tui.cli.context import Context
from foundry_tui.cli.output import clock_time, is_terminal, say, say_json, say_row, tell
from foundry_tui.cli.parameters import json_option, pass_context
from foundry_tui.cli.problems import CommandError
from foundry_tui.client.errors import RequestError
from foundry_tui.process import backend as daemon
from foundry_tui.settings import config
from foundry_tui.settings.paths import config_file

F = TypeVar("F", bound=Callable[..., Any])


def _serve_options(command: F) -> F:
    for option in (
        click.option(
            "--insecure",
            is_flag=True,
            default=None,
            help="Let other machines in without TLS: all goes in the clear.",
        ),
        click.option("--tls-key", metavar="FILE", help="Key of the certificate, if it is not in the same file."),
        click.option("--tls-cert", metavar="FILE", help="Certificate to show: TLS on TCP."),
        click.option(
            "--allow-remote",
            metavar="NAME",
            multiple=True,
            help="Listen beyond loopback, asked for by this name; may be given again. Wants TLS.",
        ),
        click.option("--max-provisioning", type=int, metavar="N", help="How many stages may run at once."),
        click.option("--host", metavar="NAME", help="What this machine is called; its own name if absent."),
        click.option(
            "--database",
            metavar="URL",
            help="PostgreSQL to keep tasks in, which several backends may share; SQLite in the data folder if absent.",
        ),
        click.option("--token-file", metavar="FILE", help="File with the token that clients on TCP must give."),
        click.option("--listen", metavar="ADDRESS", help="unix:PATH or HOST:PORT; a socket of our own if absent."),
        click.option("--data-dir", metavar="DIR", help="Folder of database and sandboxes; the platform's if absent."),
    ):
        command = option(command)
    return command


def _plan(context: Context, flags: dict[str, object]) -> daemon.Plan:
    given = {f"backend.{name}": value for name, value in flags.items() if value not in (None, ())}
    try:
        return daemon.plan(context.with_flags(given).settings)
    except config.FileError as error:
        raise CommandError(str(error)) from None


@click.group()
def backend() -> None:
    """The process that owns the tasks. It goes on when the app is left, and stops only when told to."""


@backend.command()
@_serve_options
@json_option
@pass_context
def serve(context: Context, /, as_json: bool, **flags: object) -> None:
    """Run the backend in the foreground. Prints one JSON line {"listening", "pid"} when it is ready, always.

    On TCP it needs a token, and listens on loopback only, unless it is allowed by name; then it wants TLS.

    \b
    Examples:
      foundry backend serve
      foundry backend serve --data-dir /tmp/foundry --listen unix:/tmp/foundry/backend.sock
      foundry backend serve --listen 127.0.0.1:8420 --token-file ~/.config/foundry/token
      foundry backend serve --database postgresql://foundry@db.example.org/foundry
      foundry backend serve --listen 0.0.0.0:8420 --token-file token --allow-remote foundry.example.org \\
        --tls-cert cert.pem --tls-key key.pem
    """
    how = _plan(context, flags)
    try:
        daemon.prepare(how)
    except daemon.DaemonError as error:
        raise CommandError(error.message, hint=error.hint) from None
    words = how.arguments()
    sys.stdout.flush()
    os.execve(words[0], words, dict(how.environ))


@backend.command()
@_serve_options
@json_option
@pass_context
def start(context: Context, /, as_json: bool, **flags: object) -> None:
    """Start the backend in the background, unless it runs already. Its log is backend.log in the data folder.

    \b
    Examples:
      foundry backend start
    """
    how = _plan(context, flags)
    try:
        running = daemon.start(how)
    except daemon.DaemonError as error:
        raise CommandError(error.message, hint=error.hint) from None
    health, started = running.health, running.started
    if running.news:
        tell(f"foundry: {running.news}")
    if as_json:
        say_json({"listening": how.listen, "pid": health.pid, "started": started})
    elif is_terminal():
        say(f"the backend {'is started' if started else 'runs already'} at {how.listen} (pid {health.pid})")
    else:
        say_row((how.listen, health.pid, "started" if started else "running"))


@backend.command()
@click.option("--listen", metavar="ADDRESS", help="Where it listens, if not where the settings say.")
@json_option
@pass_context
def stop(context: Context, listen: str | None, as_json: bool) -> None:
    """Stop the backend and wait for its end. Tasks stay; what was being prepared goes on at the next start.

    \b
    Examples:
      foundry backend stop && foundry backend start
    """
    how = _named(context, listen)
    try:
        pid = daemon.stop(how)
    except daemon.DaemonError as error:
        raise CommandError(error.message, hint=error.hint) from None
    if as_json:
        say_json({"listening": how.listen, "pid": pid, "stopped": pid is not None})
    elif is_terminal():
        say(f"the backend (pid {pid}) is stopped" if pid is not None else f"no backend runs at {how.listen}")
    else:
        say_row((how.listen, pid, "stopped" if pid is not None else "not running"))


def _named(context: Context, listen: str | None) -> daemon.Plan:
    """The plan of the backend that is meant: the one of --listen, the one that the settings name, or our own."""
    how = daemon.plan(context.with_flags({"backend.listen": listen}).settings)
    target, own = context.target
    return how if own or listen is not None else replace(how, target=target, listen=str(target))


@backend.command()
@click.option("--listen", metavar="ADDRESS", help="Where it listens, if not where the settings say.")
@json_option
@pass_context
def status(context: Context, listen: str | None, as_json: bool) -> None:
    """Say whether the backend runs, and all about it. Exit code 6 when it does not.

    \b
    Examples:
      foundry backend status --json | jq .pid
    """
    how = _named(context, listen)
    facts: dict[str, object] = {"running": False, "listening": how.listen, "pid": None}
    own = context.settings.backend.address is None and listen is None
    trouble = ""
    try:
        health = daemon.find(how.target)
    except RequestError as error:
        health, trouble = None, str(error)
    if health is not None:
        facts |= {
            "running": True,
            "pid": health.pid,
            "status": health.status,
            **({"reason": health.reason} if health.reason is not None else {}),
            "version": health.version,
            "started_at": health.started_at,
            "providers": health.providers,
        }
        if own:
            facts["not_taken"] = list(daemon.untaken(how, health))
    elif trouble:
        facts |= {"pid": daemon.listener(how.target), "trouble": trouble}
    if own:
        facts |= {"data_dir": str(how.data_dir), "log": str(how.log)}
    if as_json:
        say_json(facts)
    else:
        _print_facts(facts)
    if health is None:
        hint = "start it: foundry backend start" if not trouble else "end it: foundry backend stop"
        raise CommandError(
            trouble or f"no backend runs at {how.listen}", hint=hint if own else "", exit_code=problems.UNREACHABLE
        )


@backend.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@json_option
@pass_context
def copy(context: Context, source: str, target: str, as_json: bool) -> None:
    """Copy a whole database into an empty one, and check it. Either is a data folder or a postgresql:// URL.

    Stop the backends first: what they do meanwhile is not copied. Sandboxes stay where they are.

    \b
    Examples:
      foundry backend copy ~/.local/share/foundry postgresql://foundry@db.example.org/foundry
      foundry backend copy postgresql://foundry@db.example.org/foundry /tmp/copy
    """
    try:
        tables = daemon.copy(source, target)
    except daemon.DaemonError as error:
        raise CommandError(error.message, hint=error.hint) from None
    if as_json:
        say_json({"tables": tables})
        return
    for name, table in tables.items():
        say_row((name, table["rows"], table["digest"][:16]))


def _print_facts(facts: dict[str, object]) -> None:
    for name, value in facts.items():
        if isinstance(value, dict):
            for part, state in value.items():
                _print_fact(f"{name}.{part}", state)
        elif isinstance(value, list):
            if value:
                _print_fact(name, ", ".join(value))
        else:
            _print_fact(name, value)


def _print_fact(name: str, value: object) -> None:
    if isinstance(value, bool):
        value = "yes" if value else "no"
    if not is_terminal():
        say_row((name, value))
    elif value is not None:
        shown = clock_time(value) if name == "started_at" and isinstance(value, int) else value
        say(f"{name:<18} {shown}")


@backend.command()
@click.option(
    "--for",
    "manager",
    type=click.Choice(["systemd", "launchd"]),
    default="launchd" if sys.platform == "darwin" else "systemd",
    show_default=True,
    help="Service manager.",
)
@json_option
@pass_context
def unit(context: Context, manager: str, as_json: bool) -> None:
    """Print what has systemd or launchd run the backend.

    It is a user unit or a plist, and the backend runs from login on.

    \b
    Examples:
      foundry backend unit > ~/.config/systemd/user/foundry.service
      systemctl --user enable --now foundry
    """
    from foundry_tui.cli.units import launchd_plist, systemd_unit

    how = daemon.plan(context.settings)
    program = Path(sys.argv[0]).resolve()
    words = [str(program), "backend", "serve"] if program.name == "foundry" else how.arguments()
    text = (systemd_unit if manager == "systemd" else launchd_plist)(words, config_file())
    if as_json:
        say_json({"manager": manager, "unit": text})
    else:
        say(text.rstrip("\n"))
