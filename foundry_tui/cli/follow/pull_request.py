"""Waiting for a task's pull request: until it is merged, or until its checks have ended."""

import time

from foundry_tui.cli import problems
from foundry_tui.cli.follow.away_host import AwayHost
from foundry_tui.cli.follow.following import JsonLines
from foundry_tui.cli.follow.stream import Back, Event, Feed, Lost
from foundry_tui.cli.follow.words import iso_time
from foundry_tui.cli.output import is_terminal as person_reads
from foundry_tui.cli.output import say, say_row, tell
from foundry_tui.cli.parameters import PullRequestGoal
from foundry_tui.cli.problems import CommandError, asking_about
from foundry_tui.client.blocking import BlockingClient
from foundry_tui.contract import codec
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.events import EventName, Topic, TopicKind
from foundry_tui.contract.pull_request import IN_PROGRESS, ChecksState, PullRequest, PullRequestState
from foundry_tui.contract.records import TaskDetail
from foundry_tui.view.way_home import pull_request_line

PATIENCE = 60.0
"""Seconds in which the backend, and the forge, have to say once how it stands."""
LOOKS_FOR_NONE = 2
"""How often in a row it is to be said that there are no checks before that is believed."""


def await_pull_request(
    client: BlockingClient, task_id: str, goal: PullRequestGoal, *, named: str, timeout: float | None, as_json: bool
) -> int:
    """The exit code, once the pull request is as wanted or will never be; each change of it is printed.

    The backend looks at it while we are subscribed. Raises `CommandError`.
    """
    until = None if timeout is None else time.monotonic() + timeout
    shown: PullRequest | None = None
    host = AwayHost()
    looks = Looks(goal)
    with asking_about(named), Feed(client, [Topic(TopicKind.TASK, task_id)]) as feed:
        try:
            while True:
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    stands = f"; it stands at {pull_request_line(shown)}" if shown is not None else ""
                    raise CommandError(f"{goal} was not reached in time{stands}", exit_code=problems.TIMED_OUT)
                waits = [wait for wait in (left, looks.patience) if wait is not None]
                got = feed.next(max(0.0, min(waits)) if waits else None)
                if isinstance(got, Lost | Back):
                    tell(got.words)
                    looks.may_come(isinstance(got, Back))
                elif got is None and shown is not None and looks.gave_up:
                    tell(f"foundry: how the checks of #{shown.number} stand cannot be found out now")
                    tell(f"  at {iso_time(shown.at)} it was {harmless(pull_request_line(shown))}")
                    return problems.FAILED
                elif got is not None:
                    if as_json:
                        JsonLines().raw(got)
                    task = _task_of(got, named)
                    if task is None:
                        continue
                    looks.may_come(not host.look(task))
                    pull = _pull_request(task, named)
                    if not as_json and (shown is None or pull_request_line(shown) != pull_request_line(pull)):
                        _show(pull)
                    shown = pull
                    code = looks.judge(pull)
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
    line = harmless(pull_request_line(pull))
    if person_reads():
        say(line)
    else:
        say_row((iso_time(pull.at), line))


class Looks:
    """Judges how a pull request stands. What is known of its checks when the waiting begins may be older than the last
    push, so that the backend has to look once more first, and twice where there are none: they come a while after it.
    """

    def __init__(self, goal: PullRequestGoal) -> None:
        self._goal = goal
        self._at: int | None = None
        self._count = 0
        """How often it was looked at since the waiting began."""
        self._until: float | None = None

    def may_come(self, there: bool) -> None:
        """Whether the backend, and the task's host, are there to look; that they came back begins the patience anew."""
        if not there:
            self._until = None
        elif self._until is None:
            self._until = time.monotonic() + PATIENCE

    @property
    def patience(self) -> float | None:
        """Seconds for which the first look is waited for still; None where nothing has to come by a time."""
        if self._goal is PullRequestGoal.MERGED or self._count or self._until is None:
            return None
        return self._until - time.monotonic()

    @property
    def gave_up(self) -> bool:
        """Whether the first look has not come in all that time."""
        left = self.patience
        return left is not None and left <= 0

    def judge(self, pull: PullRequest) -> int | None:
        """The exit code that this leads to, or None while there is more to wait for."""
        if self._at is not None and pull.at > self._at:
            self._count += 1
        self._at = pull.at
        if self._goal is PullRequestGoal.MERGED:
            return _merged(pull)
        if pull.state in IN_PROGRESS and not self._count:
            return None
        if pull.checks.state is ChecksState.PASSING:
            return problems.DONE
        if pull.checks.state is ChecksState.FAILING:
            tell(f"foundry: failed: {harmless(', '.join(pull.checks.names))}")
            return problems.FAILED
        if pull.state not in IN_PROGRESS:
            tell(f"foundry: #{pull.number} is {pull.state}, and its checks have not ended")
            return problems.FAILED
        if pull.checks.state is ChecksState.NONE and self._count >= LOOKS_FOR_NONE:
            tell(f"foundry: no checks are reported for #{pull.number}")
            return problems.FAILED
        return None


def _merged(pull: PullRequest) -> int | None:
    if pull.state is PullRequestState.MERGED:
        return problems.DONE
    if pull.state is PullRequestState.CLOSED:
        tell(f"foundry: #{pull.number} was closed, so it will not be merged")
        return problems.FAILED
    return None
