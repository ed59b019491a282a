"""`status`: how the backend, the tasks and the connections are doing, on one screen."""

from collections import Counter
from collections.abc import Sequence

import click

from foundry_tui.cli.context import Context
from foundry_tui.cli.follow.words import standing
from foundry_tui.cli.output import clock_time, is_terminal, say, say_json, say_row
from foundry_tui.cli.parameters import json_option, pass_context
from foundry_tui.client.statistics import Diagnostics
from foundry_tui.contract.records import Health, SessionSummary
from foundry_tui.contract.requests import TasksSnapshot
from foundry_tui.contract.status import TaskStatus

MOST_NAMED = 3


def _summary(report: Diagnostics) -> str:
    """The connections of a client in a few words."""
    topics = [topic for topic in report.topics if topic.listeners]
    reconnects = sum(topic.reconnects for topic in report.topics)
    words = [str(report.freshness.state), _count(len(topics), "topic"), _count(reconnects, "reconnect")]
    latency = next((topic.latency for topic in topics if topic.latency is not None), None)
    if latency is not None:
        words.append(f"commit to paint {latency.p50} ms (p99 {latency.p99} ms)")
    if report.freshness.reason:
        words.append(report.freshness.reason)
    return ", ".join(words)


def _sessions(full: Sequence[SessionSummary], person: bool) -> str:
    """The sessions whose contexts are nearly full: how many, and for a person which."""
    if not person:
        return str(len(full))
    from foundry_tui.view.session_facts import context_used

    named = [f"{each.agent} of {each.task_id[:8]} ({context_used(each.usage)})" for each in full if each.usage]
    return f"{_count(len(full), 'context')}: {', '.join(named[:MOST_NAMED])}{', …' * (len(named) > MOST_NAMED)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


@click.command()
@json_option
@pass_context
def status(context: Context, as_json: bool) -> None:
    """Say how the backend, the tasks and the connections to it are doing.

    With --json, `diagnostics` has the figures of the app's diagnostics screen (f12), measured by a client that this
    command opens for a moment, and `apps` has what each running app shows there.

    \b
    Examples:
      foundry status
      foundry status --json | jq .needs_input
      foundry status --json | jq '.apps[].diagnostics.topics[] | {topic, link, reconnects, latency}'
    """
    # Imported late: only this command of all that ask once pays for the client.
    from foundry_tui.cli.startup.lazy_client import import_client

    import_client()
    from foundry_tui.cli.probe import measure
    from foundry_tui.cli.startup.running import running_apps
    from foundry_tui.view.usage import sum_words, used_by

    client = context.client
    health = client.call("GET", "/v1/health", Health)
    snapshot = client.call("GET", "/v1/tasks", TasksSnapshot)
    numbers = dict.fromkeys(TaskStatus, 0) | Counter(task.status for task in snapshot.tasks)
    seen = measure(context.target[0])
    apps = list(running_apps())
    used = used_by(snapshot.tasks)
    needs_input = sum(task.needs_input > 0 for task in snapshot.tasks)
    if as_json:
        say_json(
            {
                "backend": {"listening": str(context.target[0]), "health": health},
                "seq": snapshot.seq,
                "tasks": len(snapshot.tasks) + snapshot.older,
                "older": snapshot.older,
                "statuses": numbers,
                "needs_input": needs_input,
                "unread": sum(task.unread for task in snapshot.tasks),
                "usage": {
                    "costs": used.costs,
                    "nearly_full": [
                        {
                            "task_id": session.task_id,
                            "session_id": session.session_id,
                            "agent": session.agent,
                            "usage": session.usage,
                        }
                        for session in used.nearly_full
                    ],
                },
                "repos": len(snapshot.repos),
                "diagnostics": seen,
                "apps": apps,
            }
        )
        return
    person = is_terminal()
    facts: list[tuple[str, object]] = [
        ("backend", context.target[0]),
        ("version", health.version),
        ("pid", health.pid),
        ("started_at", clock_time(health.started_at) if person else health.started_at),
        *((f"provider.{name}", state) for name, state in sorted(health.providers.items())),
        ("tasks", len(snapshot.tasks) + snapshot.older),
        ("asks" if person else "needs_input", needs_input),
        *((standing(each) if person else each, number) for each, number in numbers.items() if number),
        *(
            [("cost", sum_words(used.costs))]
            if person and used.costs
            else [(f"cost.{cost.currency}", cost.amount) for cost in used.costs]
        ),
        *(
            [("nearly full" if person else "nearly_full", _sessions(used.nearly_full, person))]
            if used.nearly_full
            else []
        ),
        ("connection", _summary(seen)),
        *((f"app.{app.pid}", f"{_summary(app.diagnostics)}, on {app.backend}") for app in apps),
    ]
    for name, value in facts:
        if person:
            say(f"{name:<24} {value}")
        else:
            say_row((name, value))
