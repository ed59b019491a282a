"""Following a task until the waiting is over, and how it is shown meanwhile: silent, lines, JSON lines, live stages."""

import sys
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from foundry_tui.cli import problems
from foundry_tui.cli.follow.away_host import AwayHost
from foundry_tui.cli.follow.stream import Back, Event, Feed, Lost
from foundry_tui.cli.follow.waiting import WaitCondition
from foundry_tui.cli.follow.words import event_words, going_on, iso_time, standing
from foundry_tui.cli.output import for_terminal, say, say_json, say_row, tell, write
from foundry_tui.cli.problems import CommandError, asking_about
from foundry_tui.cli.questions import open_questions, record_of, told
from foundry_tui.client.blocking import BlockingClient
from foundry_tui.contract import codec
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.events import EventName, Topic, TopicKind
from foundry_tui.contract.records import HistoryEvent, TaskDetail
from foundry_tui.contract.requests import TaskSnapshot
from foundry_tui.contract.status import StageName, TaskStatus

SAME_COMMIT_SECONDS = 0.25
"""How long the second half of a commit is waited for, after the first one decided."""


class Display(Protocol):
    """How a followed task is shown. `tick` is the seconds between two calls of `beat`, or None for none."""

    tick: float | None

    def raw(self, event: Event) -> None:
        """An event as it came."""

    def state(self, task: TaskDetail) -> None:
        """The task as it stands now."""

    def happened(self, event: HistoryEvent) -> None:
        """One more thing happened, in order, each told once."""

    def questions(self, task: TaskDetail) -> None:
        """The agent asks something that it did not ask before."""

    def beat(self) -> None:
        """Time passed."""

    def end(self) -> None:
        """Nothing more comes."""


class Silent:
    """Shows nothing."""

    tick: float | None = None

    def raw(self, event: Event) -> None: ...

    def state(self, task: TaskDetail) -> None: ...

    def happened(self, event: HistoryEvent) -> None: ...

    def questions(self, task: TaskDetail) -> None: ...

    def beat(self) -> None: ...

    def end(self) -> None: ...


class Lines(Silent):
    """One line an event: when, what, and in words."""

    def happened(self, event: HistoryEvent) -> None:
        say_row((iso_time(event.at), event.kind, event_words(event)))

    def questions(self, task: TaskDetail) -> None:
        for line in told(task):
            tell(line)


class JsonLines(Silent):
    """One JSON object an event: {"event", "id", "data"}, data as the backend wrote it."""

    def raw(self, event: Event) -> None:
        say_json({"event": event.name, "id": event.id, "data": msgspec.Raw(event.data)}, pretty=False)


class Live(Silent):
    """The stages of the task, drawn over themselves on a terminal."""

    tick: float | None = 0.125

    def __init__(self) -> None:
        self._task: TaskDetail | None = None
        self._drawn = 0
        self._frame = 0

    def state(self, task: TaskDetail) -> None:
        self._task = task
        self._draw()

    def questions(self, task: TaskDetail) -> None:
        """The questions stay on the terminal, whole; the stages go on below."""
        if self._drawn:
            write(f"\x1b[{self._drawn}A\r\x1b[0J".encode())
            self._drawn = 0
        for line in told(task):
            say(line)
        say()
        self._draw()

    def beat(self) -> None:
        self._frame += 1
        self._draw()

    def end(self) -> None:
        self._draw(last=True)
        write(b"\x1b[?25h")

    def _draw(self, *, last: bool = False) -> None:
        if self._task is None:
            return
        from foundry_tui.cli.follow.live import stage_lines

        lines = stage_lines(self._task, int(time.time() * 1000), None if last else self._frame)
        back = f"\x1b[{self._drawn}A" if self._drawn else "\x1b[?25l"
        write(back.encode() + b"".join(b"\r\x1b[2K" + for_terminal(f"{line}\n") for line in lines) + b"\x1b[0J")
        self._drawn = len(lines)


def display(*, as_json: bool, follow: bool) -> Display:
    """The display that fits what was asked for and who reads."""
    if not follow:
        return Silent()
    if as_json:
        return JsonLines()
    return Live() if sys.stdout.isatty() else Lines()


def follow(
    client: BlockingClient,
    task_id: str,
    goal: TaskStatus | StageName | None,
    show: Display,
    *,
    since: int | None,
    timeout: float | None,
    named: str | None = None,
    reached: bool = False,
    through_questions: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[int, TaskDetail | None]:
    """Follow until the goal is met or cannot be: the exit code, and the task as last told.

    `since` is the seq behind which the past counts (None: only what comes from now on). Raises `NoTaskError` when
    there is no such task or it is pruned meanwhile, `CommandError` (timed out, interrupted), and `UnreachableError`
    when the backend is not there, unless it was `reached` a moment ago.
    """
    condition = WaitCondition(goal, since=since, through_questions=through_questions)
    watcher = _Watcher(condition, show, since, through_questions=through_questions)
    until = None if timeout is None else clock() + timeout
    with asking_about(named or task_id), Feed(client, [Topic(TopicKind.TASK, task_id)], reached=reached) as feed:
        try:
            while True:
                ends = [end for end in (until, watcher.closes_at) if end is not None]
                left = min(ends) - clock() if ends else None
                if left is not None and left <= 0:
                    return problems.TIMED_OUT if watcher.code is None else watcher.code, watcher.task
                waits = [wait for wait in (left, show.tick) if wait is not None]
                got = feed.next(min(waits) if waits else None)
                if got is None:
                    show.beat()
                elif isinstance(got, Lost | Back):
                    tell(got.words)
                elif got.name is EventName.TASK_REMOVED:
                    show.raw(got)
                    raise CommandError(
                        f"the task {named or task_id} was pruned", exit_code=problems.NO_TASK, hint="see: foundry list"
                    )
                elif watcher.take(got, clock):
                    assert watcher.code is not None
                    return watcher.code, watcher.task
        except KeyboardInterrupt:
            raise CommandError(
                "no longer following; the task goes on",
                exit_code=problems.INTERRUPTED,
                hint=f"follow it again: foundry watch {task_id}",
            ) from None
        finally:
            show.end()


class _Watcher:
    """Shows each event and keeps the first exit code that ends the waiting."""

    def __init__(self, condition: WaitCondition, show: Display, seen: int | None, *, through_questions: bool) -> None:
        self._through_questions = through_questions
        self.task: TaskDetail | None = None
        self.code: int | None = None
        self.closes_at: float | None = None
        """When to end although the other half of the deciding commit has not come."""
        self._condition = condition
        self._show = show
        self._seen = seen
        self._decided_by: set[EventName] = set()
        self._open_questions: set[str] = set()
        self._host = AwayHost()

    def take(self, event: Event, clock: Callable[[], float]) -> bool:
        """Whether all is told: a commit comes as the task's event and as its history, and both are worth showing."""
        self._show.raw(event)
        code = self._judge(event)
        if code is None:
            return False
        if self.code is None:
            self.code = code
            self.closes_at = clock() + SAME_COMMIT_SECONDS
        self._decided_by.add(event.name)
        return event.name is EventName.SNAPSHOT or len(self._decided_by) > 1 or type(self._show) is Silent

    def _judge(self, event: Event) -> int | None:
        if event.name is EventName.SNAPSHOT:
            snapshot = codec.decode(event.data, TaskSnapshot)
            self.task = snapshot
            self._host.look(snapshot)
            self._show.state(snapshot)
            self._tell_questions(snapshot)
            if self._seen is None:
                # what went before is not shown, but for the last of it: how the task stands
                self._seen = min([snapshot.seq, *(past.seq - 1 for past in snapshot.history[-1:])])
            for past in snapshot.history:
                self._tell(past)
            return self._condition.of_snapshot(snapshot, snapshot.seq)
        if event.name is EventName.TASK:
            self.task = codec.decode(event.data, TaskDetail)
            self._host.look(self.task)
            self._show.state(self.task)
            self._tell_questions(self.task)
            return self._condition.of_task(self.task)
        if event.name is EventName.HISTORY:
            happened = codec.decode(event.data, HistoryEvent)
            return self._condition.of_event(happened) if self._tell(happened) else None
        return None

    def _tell_questions(self, task: TaskDetail) -> None:
        found = {question.permission_id for question in open_questions(task)}
        if self._through_questions and found - self._open_questions:
            self._show.questions(task)
        self._open_questions = found

    def _tell(self, event: HistoryEvent) -> bool:
        if self._seen is not None and event.seq <= self._seen:
            return False
        self._seen = event.seq
        self._show.happened(event)
        return True


def say_question(task: TaskDetail | None) -> None:
    """The last line of JSON where only a person can go on: {"event": "question", "data"}."""
    say_json({"event": "question", "data": record_of(task) if task is not None else None}, pretty=False)


def explain(code: int, task: TaskDetail | None, task_id: str, goal: TaskStatus | StageName | None) -> None:
    """Say on standard error why the waiting ended otherwise than hoped for."""
    if code == problems.TIMED_OUT:
        stands = f"; it stands at {standing(task.status)}" if task is not None else ""
        tell(f"foundry: {goal or 'the end'} was not reached in time{stands}; the task goes on")
        tell(f"  follow it: foundry watch {task_id}")
    elif code == problems.TASK_ERROR:
        error = task.error if task is not None else None
        where = f" in {error.stage}" if error is not None and error.stage else ""
        tell(f"foundry: the task stopped{where}: {harmless(error.message) if error is not None else 'error'}")
        on = going_on(task) if task is not None else f"go on from there: foundry retry {task_id}"
        tell(f"  see more: foundry logs {task_id} · {on}")
    elif code == problems.ASKS and task is not None:
        tell("foundry: the task waits for an answer that only a person can give:")
        for line in told(task):
            tell(line)
        tell("  wait through questions: --through-questions")
    elif code == problems.FAILED and task is not None:
        tell(f"foundry: the task is {standing(task.status)}, so {goal} will not come")
