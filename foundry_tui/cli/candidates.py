"""What a shell offers to complete a word with: ids and branches of tasks, ids of answers."""

import click
from click.shell_completion import CompletionItem

from foundry_tui.cli.context import Context, match, task_path
from foundry_tui.cli.problems import CommandError
from foundry_tui.client.blocking import BlockingClient
from foundry_tui.client.errors import RequestError
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.questions import PermissionState
from foundry_tui.contract.records import TaskDetail
from foundry_tui.contract.requests import TasksSnapshot
from foundry_tui.settings.errors import ConfigError

_AWAY = (RequestError, ConfigError)


def task_candidates(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Ids and branches that begin like this. A backend that does not run is not started for it."""
    try:
        tasks = _client(ctx).call("GET", "/v1/tasks", TasksSnapshot, timeout=1.0).tasks
    except _AWAY:
        return []
    from foundry_tui.contract.task_words import STATUS_WORDS

    items: list[CompletionItem] = []
    for task in sorted(tasks, key=lambda task: task.created_at, reverse=True):
        about = harmless(f"{STATUS_WORDS[task.status]} {task.title or task.prompt}")[:60]
        if task.task_id.startswith(incomplete):
            items.append(CompletionItem(task.task_id, help=about))
        if incomplete and task.branch and task.branch.startswith(incomplete) and task.branch.isprintable():
            items.append(CompletionItem(task.branch, help=about))
    return items


def answer_candidates(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Ids that begin like this, of the answers to what the agent of the task before them asks."""
    try:
        client = _client(ctx)
        tasks = client.call("GET", "/v1/tasks", TasksSnapshot, timeout=1.0).tasks
        task = client.call("GET", task_path(match(ctx.params["task"], tasks).task_id), TaskDetail, timeout=1.0)
    except (*_AWAY, CommandError):
        return []
    from foundry_tui.view.questions import answers_of

    return [
        CompletionItem(option.option_id, help=harmless(f"{option.name}: {asked.title}")[:60])
        for asked in task.permissions
        if asked.state is PermissionState.OPEN
        for option in answers_of(asked)
        if option.option_id.startswith(incomplete) and option.option_id.isprintable()
    ]


def _client(ctx: click.Context) -> BlockingClient:
    """To the backend that is meant, which is not started for it."""
    return BlockingClient((ctx.find_object(Context) or Context({})).target[0])
