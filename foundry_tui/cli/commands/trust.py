"""`trust`: letting a repository's own set-up run in its tasks' sandboxes, once a person has seen what it says."""

from contextlib import suppress

import click

from foundry_tui.cli.context import Context
from foundry_tui.cli.output import is_terminal, paint, say, say_json, say_row, tell
from foundry_tui.cli.parameters import json_option, pass_context
from foundry_tui.cli.problems import CommandError
from foundry_tui.cli.repositories import repository_of
from foundry_tui.client.blocking import BlockingClient, segment
from foundry_tui.client.errors import RequestError
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.providers import SIMULATED
from foundry_tui.contract.records import Repo, TaskDetail
from foundry_tui.contract.requests import AddRepo, RepoList, RepoSetup, TasksSnapshot, TrustRepo
from foundry_tui.contract.status import ENDED, RELEASING, STAGES, StageName

NAMED = 3
"""Tasks that are called by their ids before the rest is counted."""


@click.command()
@click.argument("path", default=".")
@click.option("--show", is_flag=True, help="Only print what would be trusted.")
@json_option
@pass_context
def trust(context: Context, path: str, show: bool, as_json: bool) -> None:
    """Trust what a repository's .foundry/ would run or have agents obey, as it is now.

    Until then tasks go on without it, also those that had begun before: in them you can run it by hand. A changed
    content is not trusted: look at it, then trust it again. PATH may be a repository's folder, its URL or its id. In a
    pipe, one file a line: its path, and whether it is trusted.

    \b
    Examples:
      foundry trust --show
      foundry trust
      foundry trust ~/src/shop
    """
    repo = _repository(context.client, repository_of(path))
    setup = context.client.call("GET", _route(repo.repo_id, "setup"), RepoSetup)
    if show:
        _show(setup, as_json=as_json)
        return
    if setup.digest is None:
        raise CommandError(
            f"{repo.label} has nothing that wants trust: no setup, teardown, mcp.json or rules in its .foundry folder"
        )
    told = context.client.call("POST", _route(repo.repo_id, "trust"), Repo, body=TrustRepo(digest=setup.digest))
    if as_json:
        say_json(told)
    elif is_terminal():
        files = ", ".join(harmless(file.path) for file in setup.files)
        say(f"{files} of {harmless(repo.label)} trusted as {'it is' if len(setup.files) == 1 else 'they are'} now")
    else:
        for file in setup.files:
            say_row((file.path, "trusted"))
    if not setup.trusted:
        _tell_of_begun(context.client, repo)


def _tell_of_begun(client: BlockingClient, repo: Repo) -> None:
    """Say on standard error which tasks have their sandbox already, made without the set-up that is trusted now."""
    with suppress(RequestError):
        begun = [
            task.task_id
            for task in client.call("GET", "/v1/tasks", TasksSnapshot).tasks
            if task.repo_id == repo.repo_id
            and task.provider != SIMULATED
            and task.status not in ENDED | RELEASING
            and task.stages_done > STAGES.index(StageName.CREATE_SANDBOX)
        ]
        if begun:
            which = f"a task of {repo.label} has" if len(begun) == 1 else f"{len(begun)} tasks of {repo.label} have"
            each = "its" if len(begun) == 1 else "each one's"
            ways = ", ".join(f"foundry attach {task_id}" for task_id in begun[:NAMED])
            more = f" and {len(begun) - NAMED} more" if len(begun) > NAMED else ""
            tell(
                f"foundry: {which} begun before and may be without it; new tasks run it. In {each} shell it can be run "
                f"by hand: {ways}{more}"
            )


def tell_of_skipped(context: Context, task: TaskDetail) -> None:
    """Say on standard error that the new task will go without its repository's set-up, where that is so."""
    if task.provider == SIMULATED:
        return
    with suppress(RequestError):
        setup = context.client.call("GET", _route(task.repo_id, "setup"), RepoSetup)
        if setup.digest is not None and not setup.trusted:
            files = ", ".join(file.path for file in setup.files)
            why = setup.problem or f"not trusted; see it with foundry trust --show, then: foundry trust {task.repo_id}"
            tell(f"foundry: {files} of {task.repo_label} will be skipped: {why}")


def _repository(client: BlockingClient, place: str) -> Repo:
    known = client.call("GET", "/v1/repos", RepoList).repos
    for repo in known:
        if place == repo.repo_id:
            return repo
    body = AddRepo(path=place) if place.startswith("/") else AddRepo(remote=place)
    return client.call("POST", "/v1/repos", Repo, body=body)


def _route(repo_id: str, rest: str) -> str:
    return f"/v1/repos/{segment(repo_id)}/{rest}"


def _show(setup: RepoSetup, *, as_json: bool) -> None:
    if as_json:
        say_json(setup)
        return
    for file in setup.files:
        if is_terminal():
            state = "trusted" if setup.trusted else setup.problem or "not trusted"
            say(paint(f"{harmless(file.path)}  ({harmless(state)})", "bold"))
            say(harmless(file.text, lines=True).rstrip("\n"))
            say()
        else:
            say_row((file.path, "trusted" if setup.trusted else "untrusted"))
            say(harmless(file.text, lines=True).rstrip("\n"))
