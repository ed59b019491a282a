"""`create`: a new task, whose id is made here, so that a lost answer is settled by asking again."""

import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from foundry_tui.cli import problems
from foundry_tui.cli.attachments import attach_option, attached
from foundry_tui.cli.commands.trust import tell_of_skipped
from foundry_tui.cli.context import Context, task_path
from foundry_tui.cli.follow import following
from foundry_tui.cli.follow.notices import tell_notices
from foundry_tui.cli.output import is_terminal, say, say_json, tell
from foundry_tui.cli.parameters import (
    Goal,
    Setting,
    Utf8Text,
    json_option,
    pass_context,
    through_option,
    timeout_option,
)
from foundry_tui.cli.problems import CommandError
from foundry_tui.cli.prompts import prompt_text
from foundry_tui.cli.questions import record_of
from foundry_tui.cli.repositories import repository_of
from foundry_tui.cli.task_defaults import task_defaults, where_from
from foundry_tui.client.errors import ProblemError, RequestError, StrangeAnswerError, UnreachableError
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.questions import PolicyWord
from foundry_tui.contract.records import TaskDetail
from foundry_tui.contract.requests import CreateTask
from foundry_tui.contract.starts import StartFrom, wrong_start
from foundry_tui.contract.status import StageName, TaskStatus

if TYPE_CHECKING:
    from foundry_tui.process.attached_files import Place

NUMBER = click.IntRange(1, 2**31 - 1)
"""The number of a pull request or an issue."""


@click.command()
@click.argument("prompt", type=Utf8Text(), required=False)
@click.option("-F", "--file", metavar="FILE", help="Take the prompt from a file; - is standard input.")
@click.option("--repo", default=".", show_default=True, metavar="PATH|URL", help="Repository to work in.")
@click.option("--title", type=Utf8Text(), help="Title; made from the prompt if absent.")
@click.option("--branch", type=Utf8Text(), help="Branch; made from the title if absent.")
@click.option(
    *("--base", "base_branch"),
    type=Utf8Text(),
    metavar="BRANCH",
    help="Branch to start from; the repository's default if absent.",
)
@click.option(
    *("--on", "on_branch"),
    type=Utf8Text(),
    metavar="BRANCH",
    help="Work on this branch itself, which is there already.",
)
@click.option("--pr", type=NUMBER, metavar="N", help="Go on with pull request N, on its own branch.")
@click.option("--issue", type=NUMBER, metavar="N", help="Put issue N before the prompt, and have it closed in the end.")
@click.option("--agent", type=Utf8Text(), help="Agent that does the work.")
@click.option("--provider", type=Utf8Text(), help="Who makes the sandbox.")
@click.option("--host", type=Utf8Text(), metavar="NAME", help="Host that the sandbox is made on; see: foundry hosts.")
@click.option("--model", type=Utf8Text(), help="Model that the agent uses; what it offers: foundry options ID.")
@click.option("--mode", type=Utf8Text(), help="Mode that the agent works in, such as plan.")
@click.option(
    "--option", "settings", type=Setting(), multiple=True, metavar="ID=VALUE", help="Any other option of the agent."
)
@click.option(
    "--permissions",
    type=click.Choice(["ask", "reads", "all"]),
    help="What the agent may do without a question; see: foundry help config.",
)
@attach_option
@click.option("--trust", is_flag=True, help="Trust the repository's set-up as it is now, and run it.")
@click.option("--wait", "goal", type=Goal(), metavar="STATUS", help="Wait until this is reached or passed.")
@click.option("--follow", is_flag=True, help="Show what happens meanwhile.")
@through_option
@timeout_option
@json_option
@click.pass_context
@pass_context
def create(
    context: Context,
    ctx: click.Context,
    prompt: str | None,
    file: str | None,
    repo: str,
    title: str | None,
    branch: str | None,
    base_branch: str | None,
    on_branch: str | None,
    pr: int | None,
    issue: int | None,
    agent: str | None,
    provider: str | None,
    host: str | None,
    model: str | None,
    mode: str | None,
    settings: tuple[tuple[str, str], ...],
    permissions: PolicyWord | None,
    files: tuple[str, ...],
    trust: bool,
    goal: TaskStatus | StageName | None,
    follow: bool,
    through: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Create a task and print its id; with --json the task whole.

    It returns at once. --wait waits for a status or stage (exit 4 when the task ends in error first, 5 when --timeout
    is over, 7 when only a person can go on: the question is printed, with what answers it, in --json as `question`),
    and says on standard error in the end what is to be known of the turn, such as that something was denied. --follow
    shows the way there; --follow alone goes on until the task comes to rest, and says questions as they come.

    Options are set before the agent is given the prompt. Where it does not offer one, or not this value, the task ends
    in error, which lists what it offers: nothing runs in a mode that was not asked for.

    With --permissions reads, questions about reading in the sandbox are answered with allow once; with all, every
    question about permission is. Rules of the config that deny go before that; forms and pages are always asked.

    With --on, --pr or --issue (one of them) it starts from what exists. A branch or a pull request is worked on itself,
    and is never deleted with the task; a branch that a worktree has, your own checkout too, cannot be had. What is
    found out of it later, that there is no such number for one, ends the stage ensure_name in error.

    \b
    Examples:
      foundry create "fix the login redirect"
      foundry create "do what it says" --issue 12
      foundry create "make the checks pass" --pr 34 --follow
      foundry create "tidy up the parser" --model opus --mode plan --option effort=high
      foundry create -F prompt.md --repo ~/src/shop --branch fix/login --follow
      foundry create "it looks like this: mend the header" --attach screenshot.png --attach server.log
      git diff | foundry create -F - --title "review my diff" --wait idle --timeout 10m --json
    """
    start = _start(ctx, on_branch, pr, issue)
    if wrong := wrong_start(start, branch=branch, base_branch=base_branch):
        raise click.UsageError(_wrong_start(wrong[0][0], wrong[0][1], pr), ctx)
    named = {name: value for name, value in (("model", model), ("mode", mode)) if value is not None}
    said, repository = prompt_text(ctx, prompt, file), repository_of(repo)
    request = CreateTask(
        task_id=uuid7(),
        repo=repository,
        prompt=said,
        title=title,
        branch=branch,
        base_branch=base_branch,
        agent=agent,
        provider=provider,
        options={**named, **dict(settings)} or None,
        permissions=permissions,
        attachments=attached(files, _place(repository) if files else None),
        from_=start,
        trust=trust,
        host=host,
    )
    assert request.task_id is not None
    until = None if timeout is None else time.monotonic() + timeout
    context.tell_untaken()
    request = _filled(context, request, timeout)
    task = _send(context, request, timeout, named={"agent": agent, "provider": provider, "permissions": permissions})
    if not trust:
        tell_of_skipped(context, task)
    waits = follow or goal is not None
    if not as_json:
        _announce(task)
    elif not waits:
        say_json(task)
    if not waits:
        return
    show = following.display(as_json=as_json, follow=follow)
    left = None if until is None else max(0.001, until - time.monotonic())
    code, last = following.follow(
        context.client,
        task.task_id,
        goal,
        show,
        since=0,
        timeout=left,
        reached=True,
        through_questions=through or goal is None,
    )
    if as_json and not follow:
        # the task as it is now, with its history, which events do not repeat
        latest = _latest(context, task.task_id) or last or task
        say_json({**msgspec.to_builtins(latest), "question": record_of(latest)} if code == problems.ASKS else latest)
    elif as_json and code == problems.ASKS:
        following.say_question(last)
    tell_notices(context.client, last, code)
    following.explain(code, last, task.task_id, goal)
    ctx.exit(code)


def _start(ctx: click.Context, branch: str | None, pr: int | None, issue: int | None) -> StartFrom | None:
    given = {"--on": branch, "--pr": pr, "--issue": issue}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise click.UsageError(f"{' and '.join(named)} exclude each other: a task starts from one thing.", ctx)
    return StartFrom(branch=branch, pull_request=pr, issue=issue) if named else None


def _wrong_start(field: str, why: str, pr: int | None) -> str:
    """Why the options do not go together, by their own names."""
    if field == "from.branch":
        return f"--on: {why}"
    option = "--branch" if field == "branch" else "--base"
    return f"{option} does not go with {'--on' if pr is None else '--pr'}. {why}"


def _place(repository: str) -> "Place | None":
    """What the agent will have of the repository, if that is a folder here."""
    from foundry_tui.process.attached_files import Place

    folder = Path(repository)
    return Place(folder, repository=True) if folder.is_absolute() and folder.is_dir() else None


def _announce(task: TaskDetail) -> None:
    if is_terminal():
        say(f"{task.task_id}  {task.title or task.prompt.strip().partition(chr(10))[0]}")
    else:
        say(task.task_id)


def _latest(context: Context, task_id: str) -> TaskDetail | None:
    try:
        return context.client.call("GET", task_path(task_id), TaskDetail)
    except RequestError:
        return None


def _filled(context: Context, request: CreateTask, timeout: float | None) -> CreateTask:
    """The request with the defaults of the settings, for the provider that the task will have."""
    defaults = task_defaults(context.settings)
    meant = context.default_provider(timeout) if defaults.hangs_on_backend(request) else None
    return defaults.fill(request, meant)


def _send(context: Context, request: CreateTask, timeout: float | None, named: Mapping[str, str | None]) -> TaskDetail:
    """The same as `send`; of a default that is refused it is said where it was named."""
    try:
        return send(context, request, timeout)
    except ProblemError as error:
        wrong = next((each for each in error.problem.errors if named.get(each.field, "") is None), None)
        where = "" if wrong is None else where_from(context.loaded, wrong.field)
        if wrong is None or not where:
            raise
        hint = f"{where} names it; another one: --{wrong.field}"
        raise CommandError(wrong.message, hint=hint) from None


def send(context: Context, request: CreateTask, timeout: float | None) -> TaskDetail:
    """Create the task; one whose answer was lost is asked for again, by the same id, for as long as an answer may take.

    Raises `CommandError` (unreachable) that names the id when it stays unknown.
    """
    client = context.client
    patience = client.patience if timeout is None else min(client.patience, timeout)
    until = time.monotonic() + patience
    wait, lost = 0.25, False
    while True:
        try:
            return client.call("POST", "/v1/tasks", TaskDetail, body=request)
        except UnreachableError as error:
            if not error.sent and not lost:
                raise
            if error.silent or isinstance(error, StrangeAnswerError) or time.monotonic() > until:
                raise CommandError(
                    f"{error.message}; whether the task was created is not known",
                    exit_code=problems.UNREACHABLE,
                    hint=f"see whether it was, once the backend is back: foundry show {request.task_id}",
                ) from None
            if not lost:
                tell(f"foundry: {error.message}; asking again")
            lost = True
        # there is no event for a backend that comes back
        time.sleep(random.uniform(0, wait))
        context.revive()
        wait = min(wait * 2, 4.0)
