"""`list` and `show`: what the backend holds."""

import time

import click

from foundry_tui.cli.context import Context, task_path
from foundry_tui.cli.output import clock_time, is_terminal, paint, printable, say, say_json, say_row, table
from foundry_tui.cli.parameters import json_option, pass_context, task_argument
from foundry_tui.cli.questions import answering, open_questions, told
from foundry_tui.contract.records import Permission, PermissionState, TaskDetail, TaskSummary
from foundry_tui.contract.requests import TasksSnapshot
from foundry_tui.view.questions import lines_of

SHORT_ID = 8


@click.command("list")
@json_option
@pass_context
def list_tasks(context: Context, as_json: bool) -> None:
    """List all tasks, newest first.

    In a pipe, one task a line, tab-separated: task_id, status, repository, branch, title, agent, needs_input,
    created_at (milliseconds).

    \b
    Examples:
      foundry list
      foundry list | awk -F'\\t' '$2 == "error" {print $1}' | xargs -n1 foundry retry
      foundry list --json | jq '.tasks[] | select(.needs_input > 0) | .title'
    """
    document, snapshot = context.read("/v1/tasks", TasksSnapshot)
    if as_json:
        say_json(document)
        return
    tasks = sorted(snapshot.tasks, key=lambda task: task.created_at, reverse=True)
    if not is_terminal():
        for task in tasks:
            say_row(
                (
                    task.task_id,
                    task.status,
                    task.repo_label,
                    task.branch,
                    title(task),
                    task.agent,
                    task.needs_input,
                    task.created_at,
                )
            )
        return
    if not tasks:
        say('No tasks yet. Create one: foundry create "what is to be done"')
        return
    _table(tasks)


def title(task: TaskSummary) -> str:
    """The title, or the first line of the prompt while there is none."""
    return task.title or task.prompt.strip().partition("\n")[0]


def short_ids(ids: list[str]) -> dict[str, str]:
    """The shortest unique beginning of each id, of one length for all."""
    size = SHORT_ID
    while size < 36 and len({id_[:size] for id_ in ids}) < len(set(ids)):
        size += 1
    return {id_: id_[:size] for id_ in ids}


def _table(tasks: list[TaskSummary]) -> None:
    from foundry_tui.view.ages import age
    from foundry_tui.view.labels import STATUS_WORDS

    now = int(time.time() * 1000)
    short = short_ids([task.task_id for task in tasks])
    rows = [
        (
            short[task.task_id],
            "asks" if task.needs_input else STATUS_WORDS[task.status],
            title(task),
            task.repo_label,
            task.branch or "",
            task.agent,
            age(now - task.created_at),
        )
        for task in tasks
    ]
    table(("ID", "STATUS", "TITLE", "REPOSITORY", "BRANCH", "AGENT", "AGE"), rows, stretch=(2, 3, 4))


@click.command()
@task_argument
@json_option
@pass_context
def show(context: Context, task: str, as_json: bool) -> None:
    """Show one task whole: its stages, sessions, open questions and error.

    ID is the task's id, a unique beginning of it, or its branch. In a pipe: one name and value a line, tab-separated.

    \b
    Examples:
      foundry show 0193a2b4
      foundry show fix/login-redirect --json
    """
    document, detail = context.read(task_path(context.task_id(task)), TaskDetail, task)
    if as_json:
        say_json(document)
        return
    if is_terminal():
        _card(detail)
    else:
        for row in _facts(detail):
            say_row(row)


def _facts(task: TaskDetail) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = [
        ("task_id", task.task_id),
        ("status", task.status),
        ("title", task.title),
        ("repo", task.repo_label),
        ("branch", task.branch),
        ("base_branch", task.base_branch),
        ("agent", task.agent),
        ("provider", task.provider),
        ("created_at", task.created_at),
        ("updated_at", task.updated_at),
        ("revision", task.revision),
        ("sandbox", task.sandbox.cwd if task.sandbox else None),
        ("needs_input", task.needs_input),
        ("prompt", task.prompt),
    ]
    for stage in task.stages:
        took = (stage.finished_at or stage.started_at or 0) - (stage.started_at or 0) if stage.finished_at else ""
        rows.append((f"stage.{stage.name}", f"{stage.state} {stage.attempt}/{stage.max_attempts} {took}".strip()))
    rows += [(f"session.{session.session_id}", session.status) for session in task.sessions]
    if task.error is not None:
        rows.append(("error", f"{task.error.kind}: {task.error.message}"))
    rows += [(f"permission.{ask.permission_id}", f"{ask.state} {ask.title}{_options(ask)}") for ask in task.permissions]
    for number, question in enumerate(open_questions(task)):
        rows += [(f"question.{question.permission_id}", f"{line} {text}") for line, text in lines_of(question)]
        commands = answering(task.task_id, question, first=not number)
        rows += [
            (f"answer.{question.permission_id}", command, option.kind, option.name)
            for command, option in zip(commands, question.options, strict=True)
        ]
    rows += [("leftover", f"{left.what}: {left.why}") for left in task.leftovers]
    return rows


def _card(task: TaskDetail) -> None:
    from foundry_tui.cli.follow.live import stage_lines
    from foundry_tui.view.labels import SESSION_WORDS

    for line in stage_lines(task, int(time.time() * 1000), None, whole=True):
        say(line)
    say()
    facts = [
        ("id", task.task_id),
        ("agent", f"{task.agent} ({task.provider})"),
        ("base", task.base_branch or ""),
        ("created", clock_time(task.created_at)),
        ("sandbox", task.sandbox.cwd if task.sandbox else ""),
    ]
    for name, value in facts:
        if value:
            say(f"{paint(f'{name:<9}', 'dim')}{printable(value)}")
    for session in task.sessions:
        say(f"{paint('session  ', 'dim')}{printable(session.name)} · {SESSION_WORDS[session.status]}")
    if task.error is not None:
        say(f"{paint('error    ', 'red')}{printable(task.error.message, lines=True)}")
    for line in told(task):
        say(line)
    for left in task.leftovers:
        say(f"{paint('left     ', 'yellow')}{printable(left.what)}: {printable(left.why)}")
    say()
    say(printable(task.prompt.expandtabs(4), lines=True))


def _options(ask: Permission) -> str:
    """What an open request can be answered with, to follow its title."""
    return f" ({', '.join(option.option_id for option in ask.options)})" if ask.state is PermissionState.OPEN else ""
