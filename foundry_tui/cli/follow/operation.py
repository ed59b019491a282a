"""Following one operation from a command until it has ended; its steps are told on a terminal meanwhile."""

import sys
import time

from foundry_tui.cli import problems
from foundry_tui.cli.follow.away_host import AwayHost
from foundry_tui.cli.follow.stream import Back, Event, Feed, Lost
from foundry_tui.cli.output import tell
from foundry_tui.cli.problems import CommandError
from foundry_tui.client.blocking import BlockingClient
from foundry_tui.contract import codec
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.events import EventName, Topic, TopicKind
from foundry_tui.contract.records import UNDER_WAY, Operation, TaskDetail


def await_operation(client: BlockingClient, operation: Operation, *, given: str, timeout: float | None) -> Operation:
    """The operation once it has ended.

    Raises `CommandError` when that takes too long, when the task is pruned meanwhile, and when a person ends the
    waiting: then it goes on.
    """
    until = None if timeout is None else time.monotonic() + timeout
    steps = _Steps()
    host = AwayHost()
    with Feed(client, [Topic(TopicKind.TASK, operation.task_id)], reached=True) as feed:
        try:
            while operation.state in UNDER_WAY:
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    raise CommandError(
                        f"the {words_of(operation)} did not end in time; it goes on",
                        exit_code=problems.TIMED_OUT,
                        hint=_later(given),
                    )
                got = feed.next(left)
                if isinstance(got, Lost | Back):
                    tell(got.words)
                elif got is not None:
                    if got.name is EventName.TASK_REMOVED:
                        raise CommandError(f"the task {given} was pruned", exit_code=problems.NO_TASK)
                    task = _task_of(got)
                    if task is not None:
                        host.look(task)
                    operation = _told(got, task, operation)
                    steps.tell(operation)
        except KeyboardInterrupt:
            raise CommandError(
                f"no longer waiting; the {words_of(operation)} goes on",
                exit_code=problems.INTERRUPTED,
                hint=_later(given),
            ) from None
    return operation


def words_of(operation: Operation) -> str:
    """What kind of operation it is, as people say it."""
    return str(operation.kind).replace("_", " ")


def _later(given: str) -> str:
    return f"see what comes of it: foundry history {given}"


def _task_of(event: Event) -> TaskDetail | None:
    told = event.name in (EventName.SNAPSHOT, EventName.TASK)
    return codec.decode(event.data, TaskDetail) if told else None


def _told(event: Event, task: TaskDetail | None, operation: Operation) -> Operation:
    """The operation as the event, or the task that it tells of, has it, if that is newer."""
    told = task.operations if task is not None else ()
    if event.name is EventName.OPERATION:
        told = (codec.decode(event.data, Operation),)
    newer = (each for each in told if each.operation_id == operation.operation_id)
    return next((each for each in newer if each.revision > operation.revision), operation)


class _Steps:
    """Tells each step on standard error as it begins, and again when it says what it does, where a person reads."""

    def __init__(self) -> None:
        self._told: set[tuple[str, str | None]] = set()
        self._reads = sys.stderr.isatty()

    def tell(self, operation: Operation) -> None:
        if not self._reads:
            return
        for step in operation.steps:
            if (step.name, step.detail) not in self._told:
                self._told.add((step.name, step.detail))
                detail = f" · {harmless(step.detail)}" if step.detail else ""
                tell(f"{step.name.replace('_', ' ')}{detail}")
