"""Waiting for a task's pull request: until it is merged, or until its checks have ended."""

import time

from foundry_tui.cli import problems
from foundry_tui.cli.follow.away_host import AwayHost
from foundry_tui.cli.follow.following import JsonLines
from foundry_tui.cli.follow.stream import Back, Event, Feed, Lost
from foundry_tui.cli.follow.words import iso_time
from foundry_tui.cli.output import is_terminal as person_reads
from foundry_tui.cli.output import printable, say, say_row, tell
from foundry_tui.cli.parameters import PullRequestGoal
from foundry_tui.cli.problems import CommandError, asking_about
from foundry_tui.client.blocking import BlockingClient
from foundry_tui.contract import codec
from foundry_tui.contract.events import EventName, Topic, TopicKind
from foundry_tui.contract.pull_request import IN_PROGRESS, ChecksState, PullRequest, PullRequestState
from foundry_tui.contract.records import TaskDetail
from foundry_tui.view.way_home import pull_request_line


def await_pull_request(
    client: BlockingClient, task_id: str, goal: PullRequestGoal, *, named: str, timeout: float | None, as_json: bool
) -> int:
    """The exit code, once the pull request is as wanted or will never be; each change of it is printed.

    The backend looks at it while we are subscribed. Raises `CommandError`.
    """
    until = None if timeout is None else time.monotonic() + timeout
    shown: PullRequest | None = None
    host = AwayHost()
    with asking_about(named), Feed(client, [Topic(TopicKind.TASK, task_id)]) as feed:
        try:
            while True:
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    stands = f"; it stands at {pull_request_line(shown)}" if shown is not None else ""
                    raise CommandError(f"{goal} was not reached in time{stands}", exit_code=problems.TIMED_OUT)
                got = feed.next(left)
                if isinstance(got, Lost | Back):
                    tell(got.words)
                elif got is not None:
                    if as_json:
                        JsonLines().raw(got)
                    task = _task_of(got, named)
                    if task is None:
                        continue
                    host.look(task)
                    pull = _pull_request(task, named)
                    if not as_json and (shown is None or pull_request_line(shown) != pull_request_line(pull)):
                        _show(pull)
                    shown = pull
                    code = _code(pull, goal)
                    if code is not None:
                        return code
        except KeyboardInterrupt:
            raise CommandError(
                "no longer following; the pull request is as it was",
                exit_code=problems.INTERRUPTED,
                hint=f"follow it again: foundry watch {named} --for {goal}",
            ) from None


def _task_of(event: Event, named: str) -> TaskDetail | None:
    if event.name is EventName.TASK_REMOVED:
        raise CommandError(f"the task {named} was pruned", exit_code=problems.NO_TASK)
    told = event.name in (EventName.SNAPSHOT, EventName.TASK)
    return codec.decode(event.data, TaskDetail) if told else None


def _pull_request(task: TaskDetail, named: str) -> PullRequest:
    if task.pull_request is None:
        raise CommandError(f"the task {named} has no pull request", hint=f"open one: foundry pr {named}")
    return task.pull_request


def _show(pull: PullRequest) -> None:
    line = printable(pull_request_line(pull))
    if person_reads():
        say(line)
    else:
        say_row((iso_time(pull.at), line))


def _code(pull: PullRequest, goal: PullRequestGoal) -> int | None:
    if goal is PullRequestGoal.MERGED:
        if pull.state is PullRequestState.MERGED:
            return problems.DONE
        if pull.state is PullRequestState.CLOSED:
            tell(f"foundry: #{pull.number} was closed, so it will not be merged")
            return problems.FAILED
        return None
    if pull.checks.state is ChecksState.PASSING:
        return problems.DONE
    if pull.checks.state is ChecksState.FAILING:
        tell(f"foundry: failed: {printable(', '.join(pull.checks.names))}")
        return problems.FAILED
    if pull.state not in IN_PROGRESS:
        tell(f"foundry: #{pull.number} is {pull.state}, and its checks have not ended")
        return problems.FAILED
    return None
