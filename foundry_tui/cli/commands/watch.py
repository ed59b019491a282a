"""`watch`: following a task from now on."""

import click

from foundry_tui.cli import problems
from foundry_tui.cli.context import Context
from foundry_tui.cli.follow import following
from foundry_tui.cli.follow.notices import tell_notices
from foundry_tui.cli.parameters import (
    FollowGoal,
    PullRequestGoal,
    json_option,
    pass_context,
    task_argument,
    through_option,
    timeout_option,
)
from foundry_tui.contract.status import StageName, TaskStatus


@click.command()
@task_argument
@click.option(
    "--for",
    "goal",
    type=FollowGoal(),
    metavar="STATUS|STAGE|merged|checks",
    help="End once this is reached or passed (error first: exit 4).",
)
@through_option
@timeout_option
@json_option
@click.pass_context
@pass_context
def watch(
    context: Context,
    ctx: click.Context,
    task: str,
    goal: TaskStatus | StageName | PullRequestGoal | None,
    through: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Follow a task. Without --for it ends when the task comes to rest: idle, archived or killed, or in error (exit 4).

    With --for it also ends, with exit 7, when only a person can go on: the question is printed then, and what answers
    it; --through-questions waits on.

    --for merged waits until the task's pull request is merged, --for checks until its checks have passed by a look that
    is newer than the command (failed ones, none at all, and a pull request that is closed instead, are exit 1); a line
    is printed each time that it stands otherwise.

    On a terminal it draws the stages as they go; in a pipe it prints one line an event (time, kind, words,
    tab-separated); with --json one object an event: {"event", "id", "data"}, and last a question that ended it. On
    standard error it says in the end what is to be known of the last turn, such as that something was denied.
    Ctrl+c leaves the task running.

    \b
    Examples:
      foundry watch 0193a2b4
      foundry watch fix/login-redirect --for create_sandbox --timeout 5m
      foundry pr 0193a2b4 && foundry watch 0193a2b4 --for checks
      foundry watch 0193a2b4 --json | jq -r 'select(.event == "task") | .data.status'
    """
    task_id = context.task_id(task)
    if isinstance(goal, PullRequestGoal):
        from foundry_tui.cli.follow.pull_request import await_pull_request

        ctx.exit(await_pull_request(context.client, task_id, goal, named=task, timeout=timeout, as_json=as_json))
    show = following.display(as_json=as_json, follow=True)
    code, last = following.follow(
        context.client,
        task_id,
        goal,
        show,
        since=None,
        timeout=timeout,
        named=task,
        through_questions=through or goal is None,
    )
    if code == problems.ASKS and as_json:
        following.say_question(last)
    tell_notices(context.client, last, code)
    following.explain(code, last, task_id, goal)
    ctx.exit(code)
