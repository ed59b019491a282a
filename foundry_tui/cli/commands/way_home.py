"""Commands that bring a task's work home: commit, update, push, pr and so on. Each waits for its operation's end."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import click

from foundry_tui.cli.context import Context, task_path
from foundry_tui.cli.follow.operation import await_operation, words_of
from foundry_tui.cli.output import say, say_json, tell
from foundry_tui.cli.parameters import Utf8Text, json_option, pass_context, task_argument, timeout_option
from foundry_tui.cli.problems import CommandError, asking_about
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.operations import Apply, Commit, HandOver, Land, PullRequest, Push, StartOperation, Update
from foundry_tui.contract.records import Operation, OperationKind, OperationState
from foundry_tui.view.way_home import outcome_of_giving

F = TypeVar("F", bound=Callable[..., Any])


def _operation_options(command: F) -> F:
    """What every command here takes beside what its own kind of operation does."""
    waiting = click.option("--wait", is_flag=True, help="While a turn runs: do it after that, instead of refusing.")
    for option in (json_option, timeout_option, waiting):
        command = option(command)
    return command


@click.command()
@task_argument
@click.option(
    *("-m", "--message"),
    type=Utf8Text(),
    metavar="TEXT",
    help="The message; the task's title and the agent's words if absent.",
)
@_operation_options
@pass_context
def commit(context: Context, task: str, message: str | None, wait: bool, timeout: float | None, as_json: bool) -> None:
    """Commit all that a task changed but ignored files, with the repository's hooks. Prints the commit's id.

    \b
    Examples:
      foundry commit 0193a2b4
      foundry commit fix/login-redirect -m "Keep the target over the login"
    """
    operate(context, task, Commit(message=message, wait=wait), timeout, as_json=as_json)


@click.command()
@task_argument
@click.option(
    "--how", type=click.Choice(("rebase", "merge")), default="rebase", show_default=True, help="How the base comes in."
)
@click.option(
    "--resolve",
    type=click.Choice(("abort", "agent")),
    default="abort",
    show_default=True,
    help="What conflicts mean: all stays as it was, and with agent they become the agent's next prompt.",
)
@_operation_options
@pass_context
def update(
    context: Context,
    task: str,
    how: Literal["rebase", "merge"],
    resolve: Literal["abort", "agent"],
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Bring the base, as its remote has it, into a task's branch. Prints the branch's new commit.

    Conflicts are named, and nothing is changed then (exit 1); with --resolve agent the agent is told to resolve them.

    \b
    Examples:
      foundry update 0193a2b4
      foundry update 0193a2b4 --how merge --resolve agent
    """
    operate(context, task, Update(how=how, resolve=resolve, wait=wait), timeout, as_json=as_json)


@click.command()
@task_argument
@click.option("--force-with-lease", is_flag=True, help="Replace what is there, unless somebody else has pushed.")
@_operation_options
@pass_context
def push(context: Context, task: str, force_with_lease: bool, wait: bool, timeout: float | None, as_json: bool) -> None:
    """Push a task's branch to its upstream, or to origin. Prints where it went and the commit's id.

    \b
    Examples:
      foundry push 0193a2b4
    """
    operate(context, task, Push(force_with_lease=force_with_lease, wait=wait), timeout, as_json=as_json)


@click.command("pr")
@task_argument
@click.option("--title", type=Utf8Text(), metavar="TEXT", help="Its title; the task's if absent.")
@click.option("--body", type=Utf8Text(), metavar="TEXT", help="Its text; the agent's last words if absent.")
@click.option("--draft/--ready", default=None, help="Have it be a draft, or be ready for review, as a new one is.")
@_operation_options
@pass_context
def pull_request(
    context: Context,
    task: str,
    title: str | None,
    body: str | None,
    draft: bool | None,
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Commit, push, and open a pull request, or refresh the one that is open. Prints its address.

    One that is open stays a draft, or ready for review, unless --ready or --draft says otherwise.

    \b
    Examples:
      foundry pr 0193a2b4 --draft
      foundry pr 0193a2b4 --ready
      open "$(foundry pr fix/login-redirect)"
    """
    operate(context, task, PullRequest(title=title, body=body, draft=draft, wait=wait), timeout, as_json=as_json)


@click.command()
@task_argument
@click.option(
    "--how",
    type=click.Choice(("merge", "squash", "rebase")),
    default="merge",
    show_default=True,
    help="How the commits get there.",
)
@click.option(
    "--into", type=Utf8Text(), metavar="BRANCH", help="Another local branch than the one that the task began from."
)
@click.option("--archive", is_flag=True, help="Archive the task after it.")
@_operation_options
@pass_context
def land(
    context: Context,
    task: str,
    how: Literal["merge", "squash", "rebase"],
    into: str | None,
    archive: bool,
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Bring a task's commits into the local base branch. Prints the commit that the branch is at then.

    Never with conflicts, and never over changes that a checkout of that branch has not committed (exit 1).

    \b
    Examples:
      foundry land 0193a2b4 --how squash --archive
    """
    operate(context, task, Land(how=how, into=into, archive=archive, wait=wait), timeout, as_json=as_json)


@click.command()
@task_argument
@_operation_options
@pass_context
def apply(context: Context, task: str, wait: bool, timeout: float | None, as_json: bool) -> None:
    """Make a task's changes in your own checkout, uncommitted: whole, or not at all. Prints the checkout's folder.

    \b
    Examples:
      foundry apply 0193a2b4 && git diff
    """
    operate(context, task, Apply(wait=wait), timeout, as_json=as_json)


@click.command("hand-over")
@task_argument
@click.argument("what", type=click.Choice(("checks", "comments")))
@click.option(
    *("--check", "checks"),
    type=Utf8Text(),
    multiple=True,
    metavar="NAME",
    help="Only this failed check; again for more.",
)
@_operation_options
@click.pass_context
@pass_context
def hand_over(
    context: Context,
    ctx: click.Context,
    task: str,
    what: Literal["checks", "comments"],
    checks: tuple[str, ...],
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Give the agent what the task's pull request met with, as its next prompt: checks, the ends of the logs of those
    that failed; comments, what reviewers said about lines and is not resolved.

    The same is not given twice: push what the agent did, and see what the checks say then.

    \b
    Examples:
      foundry watch 0193a2b4 --for checks || foundry hand-over 0193a2b4 checks
      foundry hand-over fix/login-redirect comments
    """
    if checks and what != "checks":
        raise click.UsageError("--check is for checks: reviewers' comments are given together.", ctx)
    operate(context, task, HandOver(what=what, checks=checks, wait=wait), timeout, as_json=as_json)


def operate(context: Context, given: str, request: StartOperation, timeout: float | None, *, as_json: bool) -> None:
    """Have it done, wait for its end, and print what came of it; raises `CommandError` unless it was done."""
    task_id = context.task_id(given)
    body = _with_id(request)
    with asking_about(given):
        begun = context.client.call("POST", task_path(task_id, "/operations"), Operation, body=body)
    ended = await_operation(context.client, begun, given=given, timeout=timeout)
    if as_json:
        say_json(ended)
    elif ended.state is OperationState.DONE:
        say(harmless(_outcome(ended)))
    if ended.state is OperationState.DONE:
        if conflicts := _handed_over(ended):
            tell(f"foundry: the agent was told to resolve the conflicts in {harmless(', '.join(conflicts))}")
        if lost := _texts(ended, "not_archived"):
            tell(f"foundry: the task is not archived, which would lose {harmless('; '.join(lost))}")
            tell(f"  to archive it all the same: foundry archive {given} --force")
        return
    why = harmless(ended.error.message) if ended.error is not None else str(ended.state)
    raise CommandError(f"the {words_of(ended)} was not done: {why}")


def _with_id(request: StartOperation) -> StartOperation:
    """The request with an id, so that a backend that gets it twice does it once."""
    from msgspec.structs import replace

    return replace(request, operation_id=uuid7())


def _handed_over(operation: Operation) -> tuple[str, ...]:
    """The files whose conflicts the agent has been told to resolve."""
    return _texts(operation, "conflicts") if (operation.result or {}).get("handed_over") else ()


def _texts(operation: Operation, name: str) -> tuple[str, ...]:
    """The texts that its result has under this name."""
    found = (operation.result or {}).get(name)
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _outcome(operation: Operation) -> str:
    """What came of it, on one line: an address, a commit, a folder."""
    result = operation.result or {}
    if operation.kind is OperationKind.PUSH and "branch" in result:
        return f"{result.get('remote')}/{result['branch']} {result.get('sha')}"
    if operation.kind is OperationKind.HAND_OVER:
        return outcome_of_giving(operation)
    if _handed_over(operation):
        return "handed to the agent"
    known = (result.get(name) for name in ("url", "sha", "checkout", "checkpoint_id"))
    return str(next((value for value in known if value), "done"))
