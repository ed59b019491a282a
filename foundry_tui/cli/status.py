"""`status`: how the backend and the tasks are doing, on one screen."""

import click

from foundry_tui.cli.context import Context
from foundry_tui.cli.output import clock_time, is_terminal, say, say_json, say_row
from foundry_tui.cli.parameters import json_option, pass_context
from foundry_tui.contract.records import Health
from foundry_tui.contract.requests import TasksSnapshot
from foundry_tui.contract.status import TaskStatus


@click.command()
@json_option
@pass_context
def status(context: Context, as_json: bool) -> None:
    """Say how the backend and the tasks are doing.

    \b
    Examples:
      foundry status
      foundry status --json | jq .needs_input
    """
    link = context.link
    health = link.call("GET", "/v1/health", Health)
    snapshot = link.call("GET", "/v1/tasks", TasksSnapshot)
    numbers = {str(each): sum(task.status is each for task in snapshot.tasks) for each in TaskStatus}
    needs_input = sum(task.needs_input > 0 for task in snapshot.tasks)
    if as_json:
        say_json(
            {
                "backend": {"listening": str(context.target[0]), "health": health},
                "seq": snapshot.seq,
                "tasks": len(snapshot.tasks),
                "statuses": numbers,
                "needs_input": needs_input,
                "unread": sum(task.unread for task in snapshot.tasks),
                "repos": len(snapshot.repos),
            }
        )
        return
    facts: list[tuple[str, object]] = [
        ("backend", context.target[0]),
        ("version", health.version),
        ("pid", health.pid),
        ("started_at", clock_time(health.started_at) if is_terminal() else health.started_at),
        *((f"provider.{name}", state) for name, state in sorted(health.providers.items())),
        ("tasks", len(snapshot.tasks)),
        ("needs_input", needs_input),
        *((name, number) for name, number in numbers.items() if number),
    ]
    for name, value in facts:
        if is_terminal():
            say(f"{name:<24} {value}")
        else:
            say_row((name, value))
