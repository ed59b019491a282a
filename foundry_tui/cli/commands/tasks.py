"""`list` and `show`: what the backend holds."""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from foundry_tui.cli import outcome
from foundry_tui.cli.context import Context, task_path
from foundry_tui.cli.locale import is_utf8
from foundry_tui.cli.older import found_pages, older_pages
from foundry_tui.cli.output import (
    clock_time,
    is_terminal,
    paint,
    say,
    say_json,
    say_row,
    table,
    tell,
    terminal_width,
)
from foundry_tui.cli.parameters import StatusName, Utf8Text, json_option, pass_context, task_argument
from foundry_tui.cli.problems import CommandError
from foundry_tui.cli.questions import answering, open_questions, told
from foundry_tui.cli.repositories import repository_of
from foundry_tui.contract import codec
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.questions import Permission, PermissionState
from foundry_tui.contract.records import (
    HistoryKind,
    Repo,
    SessionState,
    SessionStatus,
    SessionSummary,
    TaskDetail,
    TaskSummary,
)
from foundry_tui.contract.replace import replace
from foundry_tui.contract.requests import TasksSnapshot
from foundry_tui.contract.status import ENDED, TaskStatus
from foundry_tui.view.questions import answers_of, heading_of, lines_of
from foundry_tui.view.starts import start_words
from foundry_tui.view.way_home import operation_line, outcome_line, pull_request_line, work_line

SHORT_ID = 8


@click.command("list")
@click.option("--status", "statuses", metavar="S", type=StatusName(), multiple=True, help="Only those in this status.")
@click.option("--repo", metavar="R", help="Only those of this repository: its name, id or folder.")
@click.option(
    "--filter", "query", metavar="F", type=Utf8Text(), default="", help="Only those that the app's filter F would show."
)
@click.option("--all", "every", is_flag=True, help="Also those that ended long ago.")
@json_option
@pass_context
def list_tasks(
    context: Context, statuses: tuple[TaskStatus, ...], repo: str | None, query: str, every: bool, as_json: bool
) -> None:
    """List tasks, newest first: all, or those for which everything holds that is asked for.

    Of the tasks that have ended, the newest thousand are listed; --all, --filter, and a status in which tasks end, look
    through the others as well.

    S is a status as --json has it, or a word of the app (failed, ready); given several times, any of them. F is written
    as in the app: words, status:, repo:, agent:, is:unread, pr:open, branch:, host:, id:, !not.

    In a pipe, one task a line, tab-separated: task_id, status, repository, branch, title, agent, needs_input,
    created_at (milliseconds).

    \b
    Examples:
      foundry list --status failed --repo .
      foundry list --filter 'status:needs !docs'
      foundry list --status error | cut -f1 | xargs -n1 foundry retry
      foundry list --json | jq '.tasks[] | select(.needs_input > 0) | .title'
    """
    documents, snapshot = _read(context, query, ended=every or bool(ENDED.intersection(statuses)))
    tasks = _wanted(snapshot, statuses, repo, query)
    if snapshot.older and (not statuses or ENDED.intersection(statuses)):
        tell(f"foundry: {snapshot.older:,} older tasks, which have ended, are left out; all: foundry list --all")
    if as_json:
        whole = len(documents) == 1 and len(tasks) == len(snapshot.tasks)
        say_json(documents[0] if whole else _with_only(documents, snapshot.older, tasks))
        return
    tasks.sort(key=lambda task: task.created_at, reverse=True)
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
    elif tasks:
        _table(tasks)
    elif query:
        say("No task is such a one. See all: foundry list")
    elif snapshot.tasks:
        say(f"None of {len(snapshot.tasks):,} tasks is such a one. See all: foundry list")
    else:
        say('No tasks yet. Create one: foundry create "what is to be done"')


def _read(context: Context, query: str, *, ended: bool) -> tuple[list[bytes], TasksSnapshot]:
    """What the backend lists, as it wrote it and as one record: what the filter finds, or its snapshot.

    `ended`: also what that leaves out. `older` is what is not listed.
    """
    if query:
        read = list(found_pages(context.client, query))
    else:
        read = [context.read("/v1/tasks", TasksSnapshot)]
        if ended:
            read += older_pages(context.client, read[0][1])
    pages = [page for _, page in read]
    tasks = tuple(task for page in pages for task in page.tasks)
    return [document for document, _ in read], replace(pages[0], tasks=tasks, older=pages[-1].older)


def _wanted(
    snapshot: TasksSnapshot, statuses: tuple[TaskStatus, ...], repo: str | None, query: str
) -> list[TaskSummary]:
    """The tasks for which all this holds; what is strange about the filter is said on standard error."""
    tasks = list(snapshot.tasks)
    if statuses:
        tasks = [task for task in tasks if task.status in statuses]
    if repo is not None:
        repo_ids = _repo_ids(snapshot.repos, repo)
        tasks = [task for task in tasks if task.repo_id in repo_ids]
    if query:
        from foundry_tui.contract.filter import entry_of, matching, parse
        from foundry_tui.view.filter_remark import remark

        if said := remark(query):
            tell(f"foundry: {said}")
        found = matching(parse(query), {task.task_id: entry_of(task) for task in tasks})
        tasks = [task for task in tasks if task.task_id in found]
    return tasks


def _repo_ids(repos: Iterable[Repo], given: str) -> set[str]:
    """The ids of the repositories that are meant by a name, an id or a folder.

    None for a repository that the backend does not know yet; raises `CommandError` for what is no repository.
    """
    if named := {repo.repo_id for repo in repos if given in (repo.label, repo.repo_id)}:
        return named
    place = repository_of(given)
    is_folder = Path(place).is_dir()
    # The backend knows a folder by the path that no link leads to.
    real = str(Path(place).resolve()) if is_folder else place
    found = {repo.repo_id for repo in repos if {place, real} & {repo.path, repo.remote}}
    if not found and not is_folder:
        labels = ", ".join(sorted({repo.label for repo in repos})) or "none"
        raise CommandError(f"no repository {given!r} is known", hint=f"there is: {labels}")
    return found


def _with_only(documents: Iterable[bytes], older: int, tasks: Iterable[TaskSummary]) -> object:
    """The backend's own JSON of the snapshot and what was read beside it, with these tasks alone."""
    ids = {task.task_id for task in tasks}
    pages = [codec.decode(document, dict[str, Any]) for document in documents]
    return {
        **pages[0],
        "older": older,
        "tasks": [task for page in pages for task in page["tasks"] if task["task_id"] in ids],
    }


def title(task: TaskSummary) -> str:
    """The title, or the first line of the prompt while there is none."""
    return task.title or task.prompt.strip().partition("\n")[0]


def short_ids(ids: list[str]) -> dict[str, str]:
    """The shortest unique beginning of each id, of one length for all."""
    size = SHORT_ID
    while size < 36 and len({id_[:size] for id_ in ids}) < len(set(ids)):
        size += 1
    return {id_: id_[:size] for id_ in ids}


_COLOURS: dict[str, tuple[str, ...]] = {
    "asks": ("yellow", "bold"),
    "working": ("blue",),
    "provisioning": ("cyan",),
    "ready": ("green",),
    "failed": ("red",),
    "done": ("dim",),
}
"""How states are painted, by the `Role` of a row of the app's list."""


def _table(tasks: list[TaskSummary]) -> None:
    """The tasks for a person: where each stands and what it says, in the words, marks and colours of the app's list."""
    from foundry_tui.view.ages import age
    from foundry_tui.view.first_run import simulated_word
    from foundry_tui.view.glyphs import glyph_set
    from foundry_tui.view.labels import glyph_of, state_text
    from foundry_tui.view.roles import Role
    from foundry_tui.view.rows import state_role
    from foundry_tui.view.says import said_beside_state

    now, glyphs = int(time.time() * 1000), glyph_set(not is_utf8())
    short = short_ids([task.task_id for task in tasks])
    rows, colours = [], []
    for task in tasks:
        stands = f"{glyph_of(task, glyphs, 0)} {state_text(task, glyphs, now, bar=False)}"
        rows.append(
            (
                short[task.task_id],
                " ".join(filter(None, (stands, simulated_word(task.provider)))),
                title(task),
                said_beside_state(task, glyphs),
                task.repo_label,
                age(now - task.created_at),
                task.agent,
                task.branch or "",
            )
        )
        role = state_role(task)
        around = ("dim",)
        quiet = dict.fromkeys(range(8), around) if role is Role.DONE else dict.fromkeys((0, 5, 6), around)
        colours.append({**quiet, 1: _COLOURS[role]})
    head = ("ID", "STATUS", "TITLE", "SAYS", "REPOSITORY", "AGE", "AGENT", "BRANCH")
    # The branch repeats the title: it and the agent stand there where there is room.
    shown = 8 if terminal_width() >= 140 else 7 if terminal_width() >= 110 else 6
    table(head[:shown], [row[:shown] for row in rows], stretch=tuple({2, 3, 4, 7} & set(range(shown))), colours=colours)


@click.command()
@task_argument
@json_option
@pass_context
def show(context: Context, task: str, as_json: bool) -> None:
    """Show one task whole: stages, sessions, what it says and did, what became of its branch, questions and error.

    ID is the task's id, its branch, or a unique beginning of either.
    In a pipe: one name and value a line, tab-separated.

    \b
    Examples:
      foundry show 0193a2b4
      foundry show fix/login-redirect --json
    """
    document, detail = context.read(task_path(context.task_id(task)), TaskDetail, task)
    if as_json:
        say_json(document)
        return
    silent = _silences(context, detail)
    if is_terminal():
        _card(detail, silent, document)
    else:
        for row in (*_facts(detail, silent), *outcome.rows_of(detail, document)):
            say_row(row)


def _silences(context: Context, task: TaskDetail) -> dict[str, int]:
    """Since when the agents that are at work have said nothing, by session_id."""
    found = {}
    for session in task.sessions:
        if session.status is SessionStatus.RUNNING:
            state = context.client.call("GET", f"/v1/sessions/{session.session_id}", SessionState)
            if state.turn_silent_since is not None:
                found[session.session_id] = state.turn_silent_since
    return found


def _facts(task: TaskDetail, silent: Mapping[str, int]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = [
        ("task_id", task.task_id),
        ("status", task.status),
        ("title", task.title),
        ("repo", task.repo_label),
        ("branch", task.branch),
        ("base_branch", task.base_branch),
        *((("from", start_words(task.started_from), task.started_from.url),) if task.started_from else ()),
        ("agent", task.agent),
        ("provider", task.provider),
        ("created_at", task.created_at),
        ("updated_at", task.updated_at),
        ("revision", task.revision),
        ("sandbox", task.sandbox.cwd if task.sandbox else None),
        ("needs_input", task.needs_input),
        ("permissions", task.permission_policy),
        ("prompt", task.prompt),
        *((("attached", ", ".join(names)),) if (names := _attached(task)) else ()),
    ]
    if task.work is not None:
        rows.append(("work", work_line(task.work) or f"as {task.work.base}"))
    if task.pull_request is not None:
        rows.append(("pull_request", task.pull_request.url, pull_request_line(task.pull_request)))
    rows += [
        (
            f"operation.{each.operation_id}",
            each.kind,
            each.state,
            outcome_line(each) if each.finished_at else operation_line(each),
        )
        for each in task.operations[-1:]
    ]
    for stage in task.stages:
        took = (stage.finished_at or stage.started_at or 0) - (stage.started_at or 0) if stage.finished_at else ""
        rows.append((f"stage.{stage.name}", f"{stage.state} {stage.attempt}/{stage.max_attempts} {took}".strip()))
    for session in task.sessions:
        name = f"session.{session.session_id}"
        rows.append((name, session.status, session.name, session.agent, session.model, session.mode))
        if session.session_id in silent:
            rows.append((f"{name}.turn_silent_since", silent[session.session_id]))
        if session.unloaded_since is not None:
            rows.append((f"{name}.unloaded_since", session.unloaded_since))
        if session.usage is not None:
            cost = session.usage.cost
            spent = (cost.amount, cost.currency) if cost is not None else ()
            rows.append((f"{name}.usage", session.usage.used, session.usage.size, *spent))
    if task.error is not None:
        rows.append(("error", f"{task.error.kind}: {task.error.message}"))
    rows += [(f"permission.{ask.permission_id}", f"{ask.state} {ask.title}{_options(ask)}") for ask in task.permissions]
    for number, question in enumerate(open_questions(task)):
        name = f"question.{question.permission_id}"
        rows.append((name, f"title {heading_of(question)}"))
        rows += [(name, f"{line} {text}") for line, text in lines_of(question, named=True)]
        commands = answering(task.task_id, question, first=not number)
        rows += [
            (f"answer.{question.permission_id}", command, option.kind, option.name)
            for command, option in zip(commands, answers_of(question), strict=True)
        ]
    rows += [("leftover", f"{left.what}: {left.why}") for left in task.leftovers]
    return rows


def _card(task: TaskDetail, silent: Mapping[str, int], document: bytes) -> None:
    from foundry_tui.cli.follow.live import stage_lines
    from foundry_tui.view.details import ALLOWED

    now = int(time.time() * 1000)
    for line in stage_lines(task, now, None, whole=True):
        say(line)
    say()
    facts = [
        ("id", task.task_id),
        ("agent", f"{task.agent} ({task.provider})"),
        ("allowed", ALLOWED.get(task.permission_policy, "")),
        ("base", task.base_branch or ""),
        ("from", start_words(task.started_from) if task.started_from else ""),
        ("created", clock_time(task.created_at)),
        ("sandbox", task.sandbox.cwd if task.sandbox else ""),
    ]
    for name, value in facts:
        if value:
            say(f"{paint(f'{name:<9}', 'dim')}{harmless(value)}")
    for session in task.sessions:
        say(f"{paint('session  ', 'dim')}{harmless(_session_words(session, silent.get(session.session_id), now))}")
    for name, words in outcome.lines_of(task, document):
        say(f"{paint(f'{name:<9}', 'dim')}{harmless(words)}")
    if task.error is not None:
        say(f"{paint('error    ', 'red')}{harmless(task.error.message, lines=True)}")
    for line in told(task):
        say(line)
    for left in task.leftovers:
        say(f"{paint('left     ', 'yellow')}{harmless(left.what)}: {harmless(left.why)}")
    say()
    say(harmless(task.prompt.expandtabs(4), lines=True))
    if names := _attached(task):
        say(f"{paint('attached ', 'dim')}{harmless(', '.join(names))}")


def _attached(task: TaskDetail) -> Sequence[str]:
    """The names of what went with the task's first prompt, as far as its history is at hand."""
    from foundry_tui.view.history import attached_names

    queued = next((event for event in task.history if event.kind is HistoryKind.PROMPT_QUEUED), None)
    again = queued is None or "again" in queued.payload
    return () if queued is None or again else attached_names(queued)


def _session_words(session: SessionSummary, silent_since: int | None, now: int) -> str:
    """A session in one line: what it does, since when its agent is silent or away, and what it has used."""
    from foundry_tui.view.details import unloaded_words
    from foundry_tui.view.labels import SESSION_WORDS
    from foundry_tui.view.session_facts import mode_words, model_words, money
    from foundry_tui.view.silence import silence_words
    from foundry_tui.view.usage import context_words

    parts = [session.name, SESSION_WORDS[session.status], session.agent, model_words(session), mode_words(session)]
    if silent_since is not None:
        parts.append(silence_words(now - silent_since))
    if session.unloaded_since is not None:
        parts.append(f"its agent is unloaded {unloaded_words(session.unloaded_since, now)}")
    if session.usage is not None:
        parts.append(context_words(session.usage))
        parts.append(money(session.usage.cost) if session.usage.cost is not None else "")
    return " · ".join(part for part in parts if part)


def _options(ask: Permission) -> str:
    """What an open request can be answered with, to follow its title."""
    return (
        f" ({', '.join(option.option_id for option in answers_of(ask))})" if ask.state is PermissionState.OPEN else ""
    )
