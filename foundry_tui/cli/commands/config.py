"""`foundry config`: showing the settings in force, where their file is, and beginning one."""

import os
import shlex

import click

from foundry_tui.cli.context import Context
from foundry_tui.cli.output import is_terminal, paint, say, say_json, say_row
from foundry_tui.cli.parameters import json_option, pass_context
from foundry_tui.cli.problems import CommandError
from foundry_tui.client.private_files import make_folder, open_file
from foundry_tui.contract import mcp, rules
from foundry_tui.contract.agents import CONFIGURED
from foundry_tui.contract.control_characters import harmless
from foundry_tui.settings import config
from foundry_tui.settings.paths import config_file

RULES = """\
# Rules answer questions of agents about permission in your place; as many as you like, each under its own [[rules]].
# deny goes before allow; what no rule answers, foundry create --permissions does, or you.
# [[rules]]
# allow = "pytest *"      # a command; * is anything, further words too, and a last word * may be missing
# repository = "~/src/*"  # folder, URL or label of a repository, or a glob; without it all of them
# [[rules]]
# deny = "git push*"
# kind = "execute"        # also, with "*" alone: read, edit, delete, move, search, think, fetch, switch_mode, other
# allow is for one simple command only: with ; & | > $ or a backtick in it, or FOO=1 before it, you are asked.
# deny is for every part of a command, and for what sudo, env, bash -c and the like run. It is no wall: a script or an
# edit can do the same. A repository's own .foundry/rules.toml counts once it is trusted.
# A backend that runs takes changed rules after: foundry backend stop
"""
"""How rules are written, as comments of the config file."""


@click.group("config")
def config_group() -> None:
    """Settings: the config file, environment variables over it, flags over both."""


@config_group.command()
@json_option
@pass_context
def show(context: Context, as_json: bool) -> None:
    """Show every setting, its value and where it comes from.

    In a pipe, one setting a line, tab-separated: name, value, where from, variable.

    \b
    Examples:
      foundry config show
    """
    loaded = context.loaded
    rows = []
    for key in config.KEYS:
        name = f"{key.section}.{key.name}"
        value = loaded.settings.value(key)
        rows.append((key, name, value, loaded.origins.get(name, "default")))
    if as_json:
        say_json(
            {
                "file": str(loaded.file),
                "exists": loaded.exists,
                "settings": {
                    name: {"value": value, "from": origin, "variable": key.env, "help": key.help}
                    for key, name, value, origin in rows
                },
                "agents": {
                    name: {"command": each.command, "env": list(each.env)}
                    for name, each in loaded.settings.agents.items()
                },
                "mcp": {name: _server(each) for name, each in loaded.settings.mcp.items()},
                "rules": loaded.settings.rules,
                "keys": loaded.settings.keys,
            }
        )
        return
    if not is_terminal():
        for key, name, value, origin in rows:
            say_row((name, _shown(value), origin, key.env))
        for name, each in loaded.settings.agents.items():
            origin = loaded.origins.get("agents", str(loaded.file))
            say_row((f"agents.{name}", shlex.join(each.command), origin, CONFIGURED))
        for name, server in loaded.settings.mcp.items():
            origin = loaded.origins.get("mcp", str(loaded.file))
            say_row((f"mcp.{name}", server.url or shlex.join(server.words), origin, mcp.VARIABLE))
        for number, rule in enumerate(loaded.settings.rules, 1):
            origin = loaded.origins.get("rules", str(loaded.file))
            say_row((f"rules.{number}", _in_words(rule), origin, rules.VARIABLE))
        for action, names in loaded.settings.keys.items():
            say_row((f"keys.{action}", names, loaded.file, ""))
        return
    say(f"{loaded.file}{'' if loaded.exists else '  (not there; begin one: foundry config init)'}")
    for key, name, value, origin in rows:
        say()
        shown = harmless(_shown(value)) or "–"
        say(f"{paint(name, 'bold')} = {shown}  {paint(f'({origin})', 'dim')}")
        say(paint(f"    {key.help} [{key.env}]", "dim"))
    for name, each in loaded.settings.agents.items():
        say()
        say(f"{paint(f'agents.{name}', 'bold')} = {harmless(shlex.join(each.command))}")
    for name, server in loaded.settings.mcp.items():
        say()
        say(f"{paint(f'mcp.{name}', 'bold')} = {harmless(server.url or shlex.join(server.words))}")
    for number, rule in enumerate(loaded.settings.rules, 1):
        say()
        say(f"{paint(f'rules.{number}', 'bold')} = {harmless(_in_words(rule))}")
    for action, names in loaded.settings.keys.items():
        say(f"{paint(f'keys.{action}', 'bold')} = {harmless(names)}")


def _server(server: mcp.McpServer) -> dict[str, object]:
    """A server without the values that may be secrets."""
    if server.url is not None:
        return {"url": server.url, "type": server.transport, "headers": list(server.headers)}
    return {"command": server.words, "env": list(server.env)}


def _in_words(rule: rules.ConfiguredRule) -> str:
    kind = f" (kind {rule.kind})" if rule.kind else ""
    return f"{rule.word} {rule.pattern}{kind}" + (f" in {rule.repository}" if rule.repository else "")


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


@config_group.command()
@json_option
def path(as_json: bool) -> None:
    """Print where the config file is, or would be.

    \b
    Examples:
      $EDITOR "$(foundry config path)"
    """
    file = config_file()
    if as_json:
        say_json({"file": str(file), "exists": file.exists()})
    else:
        say(str(file))


@config_group.command()
@json_option
def init(as_json: bool) -> None:
    """Write a config file that explains every setting.

    All of them are commented out. A file that exists is kept.

    \b
    Examples:
      foundry config init
    """
    file = config_file()
    try:
        make_folder(file.parent)
        with os.fdopen(open_file(file, os.O_WRONLY | os.O_EXCL), "w", encoding="utf-8") as new:
            new.write(template())
    except FileExistsError:
        raise CommandError(f"{file} exists and was left as it is", hint="see it: foundry config show") from None
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error.strerror}") from None
    if as_json:
        say_json({"file": str(file), "exists": True})
    else:
        say(str(file))


def template() -> str:
    """A config file in which every key is explained and commented out."""
    lines = ["# Settings of Foundry. Environment variables override them, flags override both."]
    section = ""
    for key in config.KEYS:
        if key.section != section:
            section = key.section
            lines += ["", f"[{section}]"]
        lines += [f"# {key.help} [{key.env}]", f"# {key.name} = {key.example}"]
    lines += [
        "# Any command that speaks ACP is an agent, with variables on top of yours if it needs some.",
        '# gemini.command = ["gemini", "--experimental-acp"]',
        '# gemini.env = { GEMINI_API_KEY = "..." }',
        "",
        "[mcp]",
        "# MCP servers that every agent is told of: a command, or an address.",
        '# files.command = ["npx", "-y", "some-mcp-server"]',
        '# files.env = { TOKEN = "..." }',
        '# issues.url = "https://mcp.example.org"',
        '# issues.headers = { Authorization = "Bearer ..." }',
        "# claude gives all of this to its own program as an argument, which ps shows to all on this machine: let a",
        '# command read its secrets from a file, or write "${NAME}", which claude, though not codex, takes from the',
        "# environment that the backend was started with. The same holds for a repository's .foundry/mcp.json.",
    ]
    lines += ["", *RULES.splitlines()]
    lines += ["", "[keys]", "# Keys of the app's actions, by the action's id; several with commas between.", ""]
    return "\n".join(lines)
