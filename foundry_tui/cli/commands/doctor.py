"""`doctor`: everything that Foundry needs, checked one by one, with what to do about what is missing."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import click
from msgspec import Struct

from foundry_tui.cli import sandboxes
from foundry_tui.cli.context import Context
from foundry_tui.cli.locale import is_utf8
from foundry_tui.cli.older import older_pages
from foundry_tui.cli.output import is_terminal, paint, say, say_json, say_row
from foundry_tui.cli.parameters import json_option, pass_context
from foundry_tui.cli.startup.terminal import WITHOUT_CURSOR
from foundry_tui.client.blocking import BlockingClient
from foundry_tui.client.connection import Target
from foundry_tui.client.errors import ProblemError, UnreachableError
from foundry_tui.contract.agents import HOW_TO_GET_ONE, SANDBOX_AGENT, VARIABLE, find_sandbox_agent, installed_agents
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.hosts import HostList, HostState
from foundry_tui.contract.memory import MemoryReport
from foundry_tui.contract.records import Health
from foundry_tui.contract.requests import TasksSnapshot
from foundry_tui.contract.versions import VERSION, is_older
from foundry_tui.process import agent_binary
from foundry_tui.process import backend as daemon
from foundry_tui.settings import config

State = Literal["ok", "note", "wrong"]
OLDEST_GIT = (2, 36)
"""The first that lists worktrees with any character in their paths."""
_HOST_FIXES = {
    HostState.DRAINING: "its backend is about to stop and takes no new tasks: start it there again when it has",
    HostState.LOST: "start its backend there: its tasks that are bound to it wait for that",
}


class Check(Struct, frozen=True, kw_only=True):
    """One thing looked at: `note` is worth knowing, `wrong` keeps Foundry from working. `fix` says what to do."""

    name: str
    state: State
    found: str
    fix: str = ""


@click.command()
@json_option
@click.pass_context
@pass_context
def doctor(context: Context, ctx: click.Context, as_json: bool) -> None:
    """Check everything that Foundry needs: git, terminal, config, folders, backend, providers. Changes nothing.

    Exit code 1 when something is wrong. In a pipe, one check a line, tab-separated: name, state, found, what to do.

    \b
    Examples:
      foundry doctor
      foundry doctor --json | jq '.checks[] | select(.state != "ok")'
    """
    checks = list(_checks(context))
    wrong = any(check.state == "wrong" for check in checks)
    if as_json:
        say_json({"ok": not wrong, "checks": checks})
    else:
        for check in checks:
            _print(check)
    ctx.exit(1 if wrong else 0)


def _print(check: Check) -> None:
    if not is_terminal():
        say_row((check.name, check.state, check.found, check.fix))
        return
    mark, colour = {"ok": ("✓", "green"), "note": ("!", "yellow"), "wrong": ("✗", "red")}[check.state]
    say(f"{paint(mark, colour)} {check.name:<18} {harmless(check.found)}")
    if check.fix:
        say(f"  {'':<18} {paint(f'→ {harmless(check.fix)}', 'dim')}")


def _checks(context: Context) -> Iterator[Check]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Check(name="foundry", state="ok", found=f"{VERSION} on Python {version}")
    yield _git()
    yield _forge()
    yield _terminal()
    try:
        loaded = context.loaded
        own_plan = daemon.plan(loaded.settings)
        context.target  # noqa: B018 - a wrong address or token file raises here
    except config.ConfigError as error:
        yield Check(name="config", state="wrong", found=str(error), fix="mend it there, see: foundry config show")
        return
    yield Check(name="config", state="ok", found=f"{loaded.file}" if loaded.exists else f"none at {loaded.file}")
    yield _rules(loaded.settings)
    if context.target[1]:
        yield _folder("data folder", own_plan.data_dir)
        yield from _agents(own_plan.data_dir, {**os.environ, **config.as_environ(loaded.settings)})
        yield from _socket_folder(own_plan)
        yield _log(own_plan.log)
    yield from _backend(context, own_plan)


def _rules(settings: config.Settings) -> Check:
    """What is answered in a person's place; the config's rules are all right, or it would be wrong as a whole."""
    allow = sum(rule.word == "allow" for rule in settings.rules)
    found = f"{allow} that allow, {len(settings.rules) - allow} that deny" if settings.rules else "none"
    return Check(name="rules", state="ok", found=found, fix="how they are written: foundry help config")


def _git() -> Check:
    found = shutil.which("git")
    if found is None:
        return Check(
            name="git", state="wrong", found="not found", fix=f"install git {OLDEST_GIT[0]}.{OLDEST_GIT[1]} or newer"
        )
    try:
        said = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check(name="git", state="wrong", found=f"{found} does not run: {error}", fix="install git anew")
    told = said.strip().removeprefix("git version ")
    version = re.match(r"(\d+)\.(\d+)", told)
    if version is not None and (int(version[1]), int(version[2])) < OLDEST_GIT:
        return Check(
            name="git",
            state="wrong",
            found=f"{told} at {found} is too old for worktrees",
            fix=f"install git {OLDEST_GIT[0]}.{OLDEST_GIT[1]} or newer",
        )
    return Check(name="git", state="ok", found=f"{told} at {found}")


def _forge() -> Check:
    """What pull requests are opened with; whether it is logged in only the forge could say."""
    found = shutil.which("gh")
    if found is None:
        fix = "for pull requests: apt install gh or brew install gh, then gh auth login"
        return Check(name="gh", state="note", found="not found", fix=fix)
    return Check(name="gh", state="ok", found=found)


def _terminal() -> Check:
    term = os.environ.get("TERM", "")
    if not term or term.lower() in WITHOUT_CURSOR:
        return Check(name="terminal", state="note", found=f"TERM is {term!r}", fix="the app needs a real terminal")
    if not is_utf8():
        return Check(
            name="terminal",
            state="note",
            found=f"{term}, the locale is not UTF-8: drawn in ASCII",
            fix="choose one, as LANG=C.UTF-8",
        )
    colours = (
        "no colours (NO_COLOR)" if os.environ.get("NO_COLOR") else os.environ.get("COLORTERM", "256 colours or less")
    )
    return Check(name="terminal", state="ok", found=f"{term}, {colours}")


def _folder(name: str, folder: Path) -> Check:
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return Check(
            name=name, state="wrong", found=f"{folder} cannot be written", fix="set FOUNDRY_DATA_DIR to one that can"
        )
    free = shutil.disk_usage(place).free
    if free < 200_000_000:
        return Check(name=name, state="note", found=f"{folder}, {free // 1_000_000} MB free", fix="make room")
    return Check(name=name, state="ok", found=f"{folder}{'' if place == folder else ' (made at the first start)'}")


def _agents(data_dir: Path, environ: Mapping[str, str]) -> Iterator[Check]:
    """What the provider local needs beside git, as a backend with this environment finds it."""
    binary = find_sandbox_agent(data_dir, environ, shutil.which)
    if binary is None:
        yield Check(name=SANDBOX_AGENT, state="note", found="not found", fix="foundry agent install")
    elif agent_binary.is_pinned(binary.path):
        yield Check(name=SANDBOX_AGENT, state="ok", found=f"{binary.path} ({binary.source})")
    else:
        yield Check(
            name=SANDBOX_AGENT,
            state="note",
            found=f"{binary.path} ({binary.source}) is not the pinned {agent_binary.VERSION}",
            fix="" if binary.source == VARIABLE else "foundry agent install",
        )
    agents = list(installed_agents(data_dir, environ, shutil.which))
    if agents:
        yield Check(name="agents", state="ok", found=", ".join(agents))
    else:
        yield Check(name="agents", state="note", found="none found", fix=HOW_TO_GET_ONE)


def _socket_folder(how: daemon.Plan) -> Iterator[Check]:
    if how.target.uds is None:
        yield Check(name="socket", state="ok", found=f"none: TCP at {how.target}")
        return
    folder = Path(how.target.uds).parent
    if not folder.exists():
        yield Check(name="socket folder", state="ok", found=f"{folder} (made at the first start)")
        return
    found = folder.stat()
    if found.st_uid != os.getuid():
        yield Check(name="socket folder", state="wrong", found=f"{folder} is not ours", fix="set XDG_RUNTIME_DIR")
    elif found.st_mode & 0o077:
        yield Check(name="socket folder", state="note", found=f"{folder} is open to others", fix=f"chmod 700 {folder}")
    else:
        yield Check(name="socket folder", state="ok", found=f"{folder}, ours alone")


def _log(log: Path) -> Check:
    if not log.exists():
        return Check(name="log", state="ok", found=f"{log} (none yet)")
    return Check(name="log", state="ok", found=f"{log}, {log.stat().st_size // 1024} KiB")


def _backend(context: Context, how: daemon.Plan) -> Iterator[Check]:
    target, own = context.target
    try:
        health = daemon.find(target)
    except ProblemError as error:
        yield Check(name="backend", state="wrong", found=f"{target} refuses us: {error}", fix="set FOUNDRY_TOKEN_FILE")
        return
    except UnreachableError as error:
        pid = daemon.listener(target)
        yield Check(
            name="backend",
            state="wrong",
            found=f"{error.message}{f' (pid {pid})' if pid else ''}",
            fix="foundry backend stop" if own else error.hint or "look after it where it runs",
        )
        return
    if health is None:
        if not own:
            where = context.loaded.origins.get("backend.address", "FOUNDRY_BACKEND")
            yield Check(
                name="backend", state="wrong", found=f"none at {target}", fix=f"start it there, or unset {where}"
            )
            return
        stale = target.uds is not None and Path(target.uds).exists()
        yield Check(
            name="backend",
            state="ok",
            found=f"none runs at {target}{' (a socket of an earlier one is left)' if stale else ''}",
            fix="it is started when needed, or by: foundry backend start",
        )
        return
    yield _version(health, target)
    if health.reason is not None:
        yield Check(name="storage", state="wrong", found=health.status, fix=health.reason)
    if own and (untaken := daemon.untaken(how, health)):
        yield Check(
            name="settings", state="note", found=daemon.not_taken(untaken).partition("; ")[0], fix=daemon.RESTART
        )
    for name, state in sorted(health.providers.items()):
        yield Check(name=f"provider {name}", state="ok" if state == "ready" else "note", found=state)
    yield from _hosts(target)
    try:
        client = BlockingClient(target)
        snapshot = client.call("GET", "/v1/tasks", TasksSnapshot)
        older = [task.task_id for _, page in older_pages(client, snapshot) for task in page.tasks] if own else []
    except ProblemError as error:
        yield Check(name="tasks", state="wrong", found=f"they cannot be read: {error}")
        return
    tasks = snapshot.tasks
    errors = sum(task.error is not None for task in tasks)
    yield Check(name="tasks", state="ok", found=f"{len(tasks) + snapshot.older}, {errors} of them with an error")
    yield from _memory(target, {task.task_id: task.title or task.branch or task.task_id for task in tasks})
    if own:
        yield from _sandboxes(how.data_dir, {*older, *(task.task_id for task in tasks)})
        yield from _clones(how.data_dir)


def _hosts(target: Target) -> Iterator[Check]:
    """The machines that have a backend on these tasks; an older backend tells of none."""
    try:
        found = BlockingClient(target).call("GET", "/v1/hosts", HostList).hosts
    except (ProblemError, UnreachableError):
        return
    for host in found:
        told = f"{host.state}, at work on {host.running}, prepares up to {host.limit} at once"
        state: State = "ok" if host.state is HostState.UP else "note"
        yield Check(name=f"host {host.name}", state=state, found=told, fix=_HOST_FIXES.get(host.state, ""))


def _memory(target: Target, titles: Mapping[str, str]) -> Iterator[Check]:
    """The memory that the agents take, the largest first; a backend that cannot tell says nothing."""
    try:
        report = BlockingClient(target).call("GET", "/v1/agents/memory", MemoryReport)
    except (ProblemError, UnreachableError):
        return
    if not report.agents:
        return
    named = [
        f"{each.agent} {sandboxes.room(each.bytes)} for {titles.get(each.task_id, each.task_id)[:40]!r}"
        for each in report.agents[:3]
    ]
    total = sandboxes.room(sum(each.bytes for each in report.agents))
    found = f"{len(report.agents)} take {total}; the largest: {', '.join(named)}"
    yield Check(name="agents at work", state="ok", found=found, fix=report.unknown or "")


def _sandboxes(data_dir: Path, known: set[str]) -> Iterator[Check]:
    """The room that worktrees take, the largest first, and those that belong to no task."""
    kept = sorted(sandboxes.held(data_dir), key=lambda each: each.bytes, reverse=True)
    if not kept:
        return
    largest = ", ".join(f"{each.task_id[:13]}… {sandboxes.room(each.bytes)}" for each in kept[:3])
    total = sandboxes.room(sum(each.bytes for each in kept))
    yield Check(name="sandboxes", state="ok", found=f"{len(kept)} take {total}; the largest: {largest}")
    for orphan in sandboxes.orphans(kept, known):
        yield Check(
            name="orphan",
            state="note",
            found=f"{orphan.folder} belongs to no task ({sandboxes.room(orphan.bytes)})",
            fix="look whether anything in it is needed, then remove it yourself: nothing else will",
        )


def _clones(data_dir: Path) -> Iterator[Check]:
    """The room that clones take, the largest first; tasks share them, so they stay when a task ends."""
    kept = sorted(sandboxes.clones(data_dir), key=lambda each: each.bytes, reverse=True)
    if kept:
        largest = ", ".join(f"{each.folder} {sandboxes.room(each.bytes)}" for each in kept[:3])
        total = sandboxes.room(sum(each.bytes for each in kept))
        yield Check(name="clones", state="ok", found=f"{len(kept)} take {total}; the largest: {largest}")


def _version(health: Health, target: object) -> Check:
    told = f"{health.status} at {target}, pid {health.pid}, version {health.version}"
    if health.version == VERSION:
        return Check(name="backend", state="ok", found=told)
    return Check(
        name="backend",
        state="note",
        found=f"{told}, and we are {VERSION}",
        fix=daemon.RESTART if is_older(health.version) else "update this foundry, or open the newer one",
    )
