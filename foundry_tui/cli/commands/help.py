"""`foundry help`: what no single command's `--help` has room for, and that of any command too."""

from collections.abc import Callable

import click

from foundry_tui.cli.output import say, say_json
from foundry_tui.cli.parameters import json_option
from foundry_tui.cli.problems import EXIT_CODES

DEMO_SCRIPT = """\
The script of the provider demo, which simulates everything: for trying out, and for testing what builds on Foundry.
FOUNDRY_DEMO_SCRIPT names the file, in JSON. It is read again at each call, so replace it while the backend runs:
write another file and move it over this one.

  {"default": {"create_sandbox": {"ms": 2000}},
   "tasks": [{"match": "flaky", "ensure_agent": {"fail": "no agent", "times": 2},
              "turn": {"ms": 5000, "reply": "Done.", "permission": "Run make?"}}],
   "effects_log": "/tmp/effects.jsonl"}

A call takes its settings from the first entry of `tasks` whose `match` is part of the prompt and that names the call,
else from `default`, else it takes 20 ms and succeeds.

Calls
  ensure_name, create_sandbox, ensure_agent, create_session   the stages
  turn                              one prompt's work
  later                             the same of a prompt that is not the task's first; edits no files
  destroy_sandbox, release_sandbox  what kill and archive do
  commit, update, push, pull_request, land, apply, undo, hand_over   operations
Settings of each call
  ms         how long it takes, in milliseconds
  fail       it fails with this message, after `ms`
  times      only the first n calls of a task fail or hang
  retryable  false: it is not tried again by itself
  hang       "before" or "after" its effect; only cancelling ends it
  log        lines for the stage log
Settings of a turn
  reply       what the agent says at the end
  permission  what the agent asks leave for; the turn waits for the answer
  steps       what it does, in order: each is one of {"message": …}, {"thought": …}, {"plan": […]},
              {"tool": title, "kind": …, "content": …, "edit": {"path": …, "old": …, "new": …}} and
              {"permission": title, "text": …, "edits": […], "paths": […], "options": […]} and
              {"form": message, "fields": [{"name": …, "type": "string", "required": true, "default": …}]} (type:
              string, number, integer, boolean, or select and multiselect with "choices": [{"value": …, "name": …}])
              and {"url": "https://…", "message": …} and
              {"usage": {"used": tokens, "size": tokens, "cost": {"amount": …, "currency": …}}}, with `ms`
              if it is to take long; {"late": …} is said `ms` after the turn's end
Settings of a pull request
  checks      none, pending, passing or failing; or {"state": …, "passed": 2, "failed": 1, "pending": 0, "names": […]}
  review      none, required, approved or changes_requested
  state       draft, open, merged or closed;  mergeable  yes, no or unknown
  comments    a list of {"comment_id": …, "author": …, "body": …, "at": ms, "path": …, "line": …}
  logs        what failed checks printed, by their names
  title, branch, base   of one that a task starts from
Beside `match`, or in `default`
  would_lose  a list of what archive and kill say would be lost
  issue       {"title": …, "text": …} of an issue that a task starts from
  files       a list of the files that the sandbox has beside those that turns edit
  agent       what the agent offers in this task, in place of the script's `agent`
`agent` says what the agent of every task offers, in the words of a session's state: {"options": [{"option_id": …,
"name": …, "category": "model", "type": "select", "value": …, "choices": [{"value": …, "name": …}]}], "commands": […],
"accepts": {"image": true}, "refuses": {option_id: what the agent says when that is set}}. Without `options` there are
two models and three modes to choose from.
`effects_log` names a file that gets one line of JSON for each call, and each change of the simulated world.
Unknown names and values end the backend, which says so (exit 2)."""


def _config() -> str:
    from foundry_tui.cli.commands.config import template
    from foundry_tui.settings.paths import config_file

    head = f"The config file is {config_file()}; `foundry config show` says what is in force. All that it can say:"
    return f"{head}\n\n{template()}".rstrip()


def _exit_codes() -> str:
    return "\n".join(("How commands end:", *(f"  {code}  {meaning}" for code, meaning in EXIT_CODES.items())))


TOPICS: dict[str, tuple[str, Callable[[], str]]] = {
    "config": ("every setting of the config file, with its variable", _config),
    "demo-script": ("what the provider demo can be told to do", lambda: DEMO_SCRIPT),
    "exit-codes": ("how commands end", _exit_codes),
}
"""What can be asked about besides commands: what it is, and its text."""


@click.command("help")
@click.argument("words", metavar="[TOPIC|COMMAND]", nargs=-1)
@json_option
@click.pass_context
def help_command(ctx: click.Context, words: tuple[str, ...], as_json: bool) -> None:
    """Explain the config file, the demo's script or the exit codes; or a command, as its --help does.

    Topics: config, demo-script, exit-codes.

    \b
    Examples:
      foundry help exit-codes
      foundry help demo script
      foundry help create
    """
    name = "-".join(words).lower()
    if not name:
        rows = {topic: about for topic, (about, _) in TOPICS.items()}
        text = "\n".join(f"foundry help {topic:<12} {about}" for topic, about in rows.items())
        name, text = "topics", f"{text}\nfoundry --help{'':<13} every command"
    elif name in TOPICS:
        text = TOPICS[name][1]()
    else:
        text = _of_command(ctx, words)
    if as_json:
        say_json({"topic": name, "text": text})
    else:
        say(text)


def _of_command(ctx: click.Context, words: tuple[str, ...]) -> str:
    """What `--help` says of the command of these words; raises `click.UsageError` when there is none."""
    parent = ctx.find_root()
    command: click.Command = parent.command
    for word in words:
        found = command.get_command(parent, word) if isinstance(command, click.Group) else None
        if found is None:
            known = ", ".join(TOPICS)
            raise click.UsageError(f"there is no topic and no command {' '.join(words)!r}; topics are {known}", ctx)
        command, parent = found, click.Context(found, info_name=word, parent=parent)
    return command.get_help(parent)
