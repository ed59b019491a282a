"""Commands that change a task: answer, retry, archive, kill, rename, prune."""

import click
from msgspec.structs import replace

from foundry_tui.cli import problems
from foundry_tui.cli.commands.comments import kept_comments
from foundry_tui.cli.context import Context, task_path
from foundry_tui.cli.diffs import changes_since
from foundry_tui.cli.follow.words import standing
from foundry_tui.cli.output import is_terminal, may_ask, say, say_json, say_row, tell
from foundry_tui.cli.parameters import AnswerOption, Setting, Utf8Text, json_option, pass_context, task_argument
from foundry_tui.cli.problems import CommandError, asking_about
from foundry_tui.cli.questions import answer_to, open_questions
from foundry_tui.client.blocking import segment
from foundry_tui.client.errors import ProblemError
from foundry_tui.contract.checkpoints import BASE
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.questions import Permission, QuestionKind
from foundry_tui.contract.records import TaskDetail
from foundry_tui.contract.requests import PatchTask, ReleaseTask, RetryTask
from foundry_tui.contract.status import ENDED, PROVISIONING, RELEASING, TaskStatus
from foundry_tui.view.labels import title_of
from foundry_tui.view.questions import action_word, heading_of, option_of


def _see(given: str) -> str:
    return f"see: foundry show {given}"


@click.command()
@task_argument
@click.argument("option", metavar="[allow|always|deny|OPTION_ID]", type=AnswerOption(), required=False)
@click.option(
    "--set",
    "settings",
    multiple=True,
    type=Setting("FIELD=VALUE, as in version=1.4"),
    metavar="FIELD=VALUE",
    help="Fill in a field of a form; once for each, and for each of several choices.",
)
@click.option("--decline", is_flag=True, help="Do not do what is asked.")
@click.option(
    "--permission", type=Utf8Text(), metavar="ID", help="Which question is meant; the oldest open one if absent."
)
@json_option
@pass_context
def answer(
    context: Context,
    task: str,
    option: str | None,
    settings: tuple[tuple[str, str], ...],
    decline: bool,
    permission: str | None,
    as_json: bool,
) -> None:
    """Answer a task's agent, which asks for permission, or to have a form filled in or a page opened.

    Permission: allow, always or deny, which go by what an option does, whatever the agent calls it; or one of its
    options by its id. A form is filled in by --set; what is not set is as the form has it. Of a page that was opened,
    allow says that it is done. `foundry show` prints the question whole, and what answers it. What the agent does not
    ask, no longer asks, or does not take is refused (exit 1). In a pipe: permission_id, state and answer,
    tab-separated.

    \b
    Examples:
      foundry answer 0193a2b4 allow
      foundry answer 0193a2b4 --set version=1.4 --set notes=
      foundry show 0193a2b4 | grep ^question
    """
    ways = [bool(option), bool(settings), decline]
    if sum(ways) != 1 and not (option in ("allow", "accept") and settings and not decline):
        said = "say one of these only" if any(ways) else "say what to answer"
        raise click.UsageError(f"{said}: allow, always, deny or an option's id; --set FIELD=VALUE; --decline")
    open_requests = open_questions(context.task(task))
    asked = next((each for each in open_requests if permission in (None, each.permission_id)), None)
    if asked is None:
        raise CommandError(f"the task {task} does not ask {'that' if permission else 'anything'} now", hint=_see(task))
    request = answer_to(asked, option, settings, decline=decline)
    path = f"/v1/permissions/{segment(asked.permission_id)}"
    answered = context.client.call("POST", path, Permission, body=request)
    if as_json:
        say_json(answered)
    elif is_terminal():
        chosen = option_of(asked, answered.answer or "")
        said = chosen.name if chosen is not None else str(answered.answer)
        done = said if asked.kind is QuestionKind.PERMISSION else action_word(asked.kind, str(answered.answer))
        say(f"{harmless(heading_of(asked))} · {harmless(done)}")
    else:
        say_row((answered.permission_id, answered.state, answered.answer))


@click.command()
@task_argument
@click.option("--resend", is_flag=True, help="Send the prompt whose turn failed again.")
@click.option(
    "--without",
    type=Utf8Text(),
    multiple=True,
    metavar="OPTION",
    help="Leave out an option that was asked for and is not offered.",
)
@json_option
@pass_context
def retry(context: Context, task: str, resend: bool, without: tuple[str, ...], as_json: bool) -> None:
    """Go on with a task in error, from the stage that failed.

    After a failed turn the task is made ready, and its prompt is sent again with --resend only. Where the session could
    not be opened with an option that was asked for, --without goes on with what the agent has by itself.

    \b
    Examples:
      foundry retry 0193a2b4 && foundry watch 0193a2b4 --for running
      foundry retry 0193a2b4 --resend
      foundry retry 0193a2b4 --without effort
    """
    task_id = context.task_id(task)
    context.tell_untaken()
    error = context.on_task(task, "GET", task_path(task_id)).error
    _command(context, task, task_id, "/retry", _retry(resend=resend, without=without))
    if error is not None and error.stage is not None:
        tell(f"it goes on from its stage {error.stage}; what was done before stays")
    elif resend:
        tell("the prompt whose turn failed is sent again")
    else:
        tell(f"it becomes ready again; what failed is not sent again: say it with foundry prompt {task}")
    _say_task(context, task, task_id, as_json=as_json)


@click.command("restart-agent")
@task_argument
@json_option
@pass_context
def restart_agent(context: Context, task: str, as_json: bool) -> None:
    """End a task's agent and begin it anew, with the backend's environment; a turn that runs is stopped.

    The conversation is loaded again where the agent can do that. Prompts that wait are delivered after it.

    \b
    Examples:
      foundry restart-agent 0193a2b4
    """
    task_id = context.task_id(task)
    _command(context, task, task_id, "/restart-agent", None)
    _say_task(context, task, task_id, as_json=as_json)


def _release_command(how: str, help_: str) -> click.Command:
    """`archive` or `kill`: both end a task, take the same options, and ask before work is lost."""

    @click.command(how, help=help_)
    @task_argument
    @click.option("--force", is_flag=True, help="Go ahead although work would be lost; nothing is asked.")
    @click.option(
        *("--yes", "-y"), is_flag=True, help="Do not ask, on a terminal. What would lose work is refused, as in a pipe."
    )
    @click.option("--delete-branch", is_flag=True, help="Delete the task's branch too.")
    @json_option
    @pass_context
    def command(context: Context, task: str, force: bool, yes: bool, delete_branch: bool, as_json: bool) -> None:
        request = ReleaseTask(force=force, delete_branch=delete_branch)
        _release(context, task, how, request, asks=may_ask() and not yes, as_json=as_json)

    return command


archive = _release_command(
    "archive",
    """Release a task's sandbox, and keep the task for reading.

    Refused while uncommitted files or unpushed commits would be lost (exit 1), unless --force. On a terminal it asks
    then.

    \b
    Examples:
      foundry archive 0193a2b4
    """,
)
kill = _release_command(
    "kill",
    """Stop a task at once and destroy its sandbox; the task is kept for reading until it is pruned.

    On a terminal it asks first. Refused while uncommitted files or unpushed commits would be lost (exit 1), unless
    --force; on a terminal it asks about them too.

    \b
    Examples:
      foundry kill 0193a2b4
      foundry kill 0193a2b4 --force
    """,
)


def _release(context: Context, task: str, how: str, request: ReleaseTask, *, asks: bool, as_json: bool) -> None:
    detail = context.task(task)
    task_id = detail.task_id
    if how == "kill" and asks and not request.force and detail.status not in ENDED | RELEASING:
        if detail.status in PROVISIONING | {TaskStatus.RUNNING}:
            tell("The agent is at work." if detail.status is TaskStatus.RUNNING else "It is being prepared.")
        tell("Its sandbox is destroyed; what was said stays readable.")
        _ask(f"Kill “{harmless(title_of(detail))}”?")
    try:
        if not request.force and detail.status not in ENDED | RELEASING:
            # What was written a moment ago is to be asked about too.
            known = changes_since(context, task_id, task, BASE)[1]
            if how == "kill" and asks and known.commits == 0 and not request.delete_branch:
                # It could still get one meanwhile: then the backend refuses.
                question = f"Its branch {harmless(detail.branch or '')} has no commit of its own. Delete it too?"
                request = replace(request, delete_branch=click.confirm(question, err=True))
        _command(context, task, task_id, f"/{how}", request)
    except ProblemError as error:
        lost = error.problem.would_lose
        if error.problem.status != 409 or not lost:
            raise
        listed = "\n".join(f"  {harmless(what)}" for what in lost)
        if not asks:
            more = " --delete-branch" if request.delete_branch else ""
            raise CommandError(
                f"to {how} the task {task} would lose:\n{listed}",
                hint=f"lose it with: foundry {how} {task} --force{more}",
            ) from None
        tell(f"To {how} the task {task} would lose:\n{listed}")
        _ask("Lose it?")
        forced = ReleaseTask(force=True, delete_branch=request.delete_branch)
        _command(context, task, task_id, f"/{how}", forced)
    _say_task(context, task, task_id, as_json=as_json)


def _ask(question: str) -> None:
    """Ask the person; raises `CommandError` unless the answer is yes."""
    if not click.confirm(question, err=True):
        raise CommandError("nothing was done") from None


@click.command()
@task_argument
@click.argument("title", type=Utf8Text())
@json_option
@pass_context
def rename(context: Context, task: str, title: str, as_json: bool) -> None:
    """Give a task another title. Its branch stays as it is.

    \b
    Examples:
      foundry rename 0193a2b4 "Login redirect"
    """
    if not title.strip():
        raise click.UsageError("the title is empty")
    task_id = context.task_id(task)
    detail = context.on_task(task, "PATCH", task_path(task_id), PatchTask(title=title))
    _say(detail, as_json=as_json)


@click.command()
@task_argument
@click.option("--yes", "-y", "--force", "yes", is_flag=True, help="Do not ask, on a terminal.")
@json_option
@pass_context
def prune(context: Context, task: str, yes: bool, as_json: bool) -> None:
    """Forget an archived or killed task. One that is neither is refused (exit 1).

    Its history, log and transcript are gone then; on a terminal it asks first.

    \b
    Examples:
      foundry list | awk -F'\\t' '$2 == "killed" {print $1}' | xargs -n1 foundry prune
    """
    task_id = context.task_id(task)
    if not yes and may_ask() and context.on_task(task, "GET", task_path(task_id)).status in ENDED:
        _ask(f"Remove the task {task} for good, with its history, log and transcript?")
    try:
        with asking_about(task):
            context.client.order("DELETE", task_path(task_id))
    except ProblemError as error:
        if error.problem.status == 409:
            raise CommandError(
                error.problem.detail,
                hint=f"foundry archive {task} or foundry kill {task} first",
                exit_code=problems.FAILED,
            ) from None
        raise
    kept_comments(context).forget(task_id)
    if as_json:
        say_json({"task_id": task_id, "pruned": True})
    elif is_terminal():
        say(f"{task_id} is forgotten")
    else:
        say_row((task_id, "pruned"))


def _retry(*, resend: bool, without: tuple[str, ...]) -> RetryTask | None:
    return RetryTask(resend=resend, without=without) if resend or without else None


def _command(context: Context, given: str, task_id: str, path: str, body: object) -> None:
    with asking_about(given):
        context.client.order("POST", task_path(task_id, path), body=body)


def _say_task(context: Context, given: str, task_id: str, *, as_json: bool) -> None:
    _say(context.on_task(given, "GET", task_path(task_id)), as_json=as_json)


def _say(task: TaskDetail, *, as_json: bool) -> None:
    if as_json:
        say_json(task)
    elif is_terminal():
        say(f"{task.task_id}  {standing(task.status)}  {harmless(task.title or '')}")
    else:
        say_row((task.task_id, task.status, task.title))
