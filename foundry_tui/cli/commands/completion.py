"""`completion`: shell completion of commands, options and task ids for bash, zsh and fish."""

import click
from click.shell_completion import CompletionItem, get_completion_class

from foundry_tui.cli.context import Context, match, task_path
from foundry_tui.cli.output import printable, say, say_json
from foundry_tui.cli.parameters import json_option
from foundry_tui.cli.problems import CommandError
from foundry_tui.client.blocking import Link, RefusedError, UnreachableError
from foundry_tui.contract.records import PermissionState, TaskDetail
from foundry_tui.contract.requests import TasksSnapshot
from foundry_tui.settings import config

_AWAY = (UnreachableError, RefusedError, config.ConfigError)

_INSTALL = {
    "bash": "foundry completion bash > ~/.local/share/bash-completion/completions/foundry",
    "zsh": "foundry completion zsh > ~/.zfunc/_foundry   (with ~/.zfunc in $fpath)",
    "fish": "foundry completion fish > ~/.config/fish/completions/foundry.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@json_option
@click.pass_context
def completion(ctx: click.Context, shell: str, as_json: bool) -> None:
    """Print the completion script of a shell: commands, options, statuses and task ids.

    \b
    Examples:
      foundry completion bash > ~/.local/share/bash-completion/completions/foundry
      foundry completion zsh > ~/.zfunc/_foundry
      foundry completion fish > ~/.config/fish/completions/foundry.fish
    """
    found = get_completion_class(shell)
    assert found is not None
    root = ctx.find_root().command
    # of its class, only bash asks the shell for its version when asked for its source
    script = found(root, {}, "foundry", "_FOUNDRY_COMPLETE").source()
    if as_json:
        say_json({"shell": shell, "script": script})
    else:
        say(script.rstrip("\n"))


def complete_tasks(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Ids and branches that begin like this. A backend that does not run is not started for it."""
    try:
        tasks = _link(ctx).call("GET", "/v1/tasks", TasksSnapshot, timeout=1.0).tasks
    except _AWAY:
        return []
    from foundry_tui.view.labels import STATUS_WORDS

    items: list[CompletionItem] = []
    for task in sorted(tasks, key=lambda task: task.created_at, reverse=True):
        about = printable(f"{STATUS_WORDS[task.status]} {task.title or task.prompt}")[:60]
        if task.task_id.startswith(incomplete):
            items.append(CompletionItem(task.task_id, help=about))
        if incomplete and task.branch and task.branch.startswith(incomplete) and task.branch.isprintable():
            items.append(CompletionItem(task.branch, help=about))
    return items


def complete_answers(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Ids that begin like this, of the answers to what the agent of the task before them asks."""
    try:
        link = _link(ctx)
        tasks = link.call("GET", "/v1/tasks", TasksSnapshot, timeout=1.0).tasks
        task = link.call("GET", task_path(match(ctx.params["task"], tasks).task_id), TaskDetail, timeout=1.0)
    except (*_AWAY, CommandError):
        return []
    return [
        CompletionItem(option.option_id, help=printable(f"{option.name}: {asked.title}")[:60])
        for asked in task.permissions
        if asked.state is PermissionState.OPEN
        for option in asked.options
        if option.option_id.startswith(incomplete) and option.option_id.isprintable()
    ]


def _link(ctx: click.Context) -> Link:
    """To the backend that is meant, which is not started for it."""
    return Link((ctx.find_object(Context) or Context({})).target[0])
