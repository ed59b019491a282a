"""`history` and `logs`: what happened, and what was printed meanwhile."""

from collections.abc import Iterator

import click

from foundry_tui.cli import problems
from foundry_tui.cli.context import Context, task_path
from foundry_tui.cli.follow.away_host import AwayHost
from foundry_tui.cli.follow.stream import Back, Event, Feed, Lost
from foundry_tui.cli.follow.words import going_on, iso_time
from foundry_tui.cli.output import clock_time, is_terminal, paint, say, say_json, say_row, tell
from foundry_tui.cli.parameters import TaskRef, json_option, pass_context, task_argument
from foundry_tui.cli.problems import CommandError, NoTaskError, asking_about
from foundry_tui.client.blocking import BlockingClient
from foundry_tui.client.errors import ProblemError
from foundry_tui.contract import codec
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.events import EventName, Topic, TopicKind
from foundry_tui.contract.records import HistoryEvent, LogLine, TaskDetail
from foundry_tui.contract.requests import HistoryPage, LogPage, LogSnapshot
from foundry_tui.contract.status import ENDED, LOG_STAGES, TaskStatus

PAGE = 1000


@click.command()
@click.argument("task", metavar="[ID]", required=False, type=TaskRef())
@json_option
@pass_context
def history(context: Context, task: str | None, as_json: bool) -> None:
    """Show what happened to a task, or to all of them, oldest first.

    In a pipe, one event a line, tab-separated: seq, time, task_id, kind, payload (JSON).

    \b
    Examples:
      foundry history 0193a2b4
      foundry history | grep stage.failed
    """
    task_id = context.task_id(task) if task is not None else None
    from foundry_tui.view.history import details, sentence

    events = list(_history(context.client, task_id, task))
    if as_json:
        say_json(HistoryPage(events=tuple(events)))
        return
    for event in events:
        if is_terminal():
            whose = "" if task_id else f"{event.task_id[:13]}  "
            told = harmless(details(event))
            line = f"{paint(clock_time(event.at), 'dim')}  {whose}{harmless(sentence(event)):<28} {told}"
            say(line.rstrip())
        else:
            payload = codec.encode(event.payload).decode("utf-8")
            say_row((event.seq, iso_time(event.at), event.task_id, event.kind, payload))


def _history(client: BlockingClient, task_id: str | None, given: str | None) -> Iterator[HistoryEvent]:
    path = "/v1/history" if task_id is None else task_path(task_id, "/history")
    after = 0
    while True:
        with asking_about(given):
            page = client.call("GET", path, HistoryPage, query={"after": after, "limit": PAGE}).events
        yield from page
        if not page:
            return
        after = page[-1].seq


@click.command()
@task_argument
@click.option("--stage", type=click.Choice(LOG_STAGES), metavar="STAGE", help="Only what this stage printed.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is printed from now on, until the task ends.")
@json_option
@pass_context
def logs(context: Context, task: str, stage: str | None, follow: bool, as_json: bool) -> None:
    """Show what the provider printed while it prepared a task, each command it ran among it, and why that failed.

    In a pipe, one line each, tab-separated: index, time, stage, text. With -f, --json prints one object a line.

    \b
    Examples:
      foundry logs 0193a2b4
      foundry logs 0193a2b4 --stage create_sandbox
      foundry logs -f 0193a2b4
    """
    task_id = context.task_id(task)
    try:
        if follow:
            _follow(context.client, task_id, stage, as_json=as_json)
            return
        lines = list(_lines(context.client, task_id, stage))
    except ProblemError as error:
        # a log topic of an unknown task is a wrong value, not an unknown route
        if error.problem.status == 404 or (error.problem.status == 422 and follow):
            raise NoTaskError(task) from None
        raise
    if as_json:
        say_json(LogPage(lines=tuple(lines)))
        return
    for line in lines:
        _print(line, as_json=False)
    _tell_failure(context.task(task), stage)


def _tell_failure(task: TaskDetail, stage: str | None) -> None:
    """Say why the task stopped, beside what was printed: on standard error."""
    from foundry_tui.view.stepper import failure

    failed = failure(task)
    if failed is not None and stage in (None, failed.stage):
        tell(f"foundry: {failed.headline}: {failed.reason}")
        tell(f"  {going_on(task)}")


def _lines(client: BlockingClient, task_id: str, stage: str | None, after: int | None = None) -> Iterator[LogLine]:
    while True:
        page = client.call("GET", task_path(task_id, "/log"), LogPage, query={"stage": stage, "after": after}).lines
        yield from page
        if not page:
            return
        after = page[-1].index


def _print(line: LogLine, *, as_json: bool) -> None:
    if as_json:
        say_json(line, pretty=False)
    elif is_terminal():
        from foundry_tui.view.stepper import LOG_NAMES

        head = f"{clock_time(line.at)[11:]} {LOG_NAMES.get(line.stage, line.stage):<8}"
        say(f"{paint(head, 'dim')} {harmless(line.text)}")
    else:
        say_row((line.index, iso_time(line.at), line.stage, line.text))


def _follow(client: BlockingClient, task_id: str, stage: str | None, *, as_json: bool) -> None:
    """Print lines as they come, and after them each failure, until the task is archived, killed or pruned."""
    seen: int | None = None
    failed_at: int | None = None
    host = AwayHost()
    topics = [Topic(TopicKind.LOG, task_id), Topic(TopicKind.TASK, task_id)]
    with Feed(client, topics) as feed:
        try:
            while True:
                got = feed.next()
                # Both topics lose the same backend, which is said once.
                if isinstance(got, Lost | Back) and got.topic is topics[0]:
                    tell(got.words)
                if not isinstance(got, Event):
                    continue
                if got.name is EventName.TASK_REMOVED:
                    return
                task, lines = _told(got)
                if task is not None:
                    host.look(task)
                fails = task is not None and task.status is TaskStatus.ERROR and task.status_since != failed_at
                ended = task is not None and task.status in ENDED
                if fails or ended:
                    # the two topics are two connections: ask for what this one may not have brought yet
                    lines = tuple(_lines(client, task_id, None, seen))
                for line in lines:
                    if seen is None or line.index > seen:
                        seen = line.index
                        if stage is None or line.stage == stage:
                            _print(line, as_json=as_json)
                if task is not None and fails:
                    failed_at = task.status_since
                    if not as_json:
                        _tell_failure(task, stage)
                if ended:
                    return
        except KeyboardInterrupt:
            raise CommandError(
                "no longer following; the task goes on",
                exit_code=problems.INTERRUPTED,
                hint=f"follow it again: foundry logs -f {task_id}",
            ) from None


def _told(event: Event) -> tuple[TaskDetail | None, tuple[LogLine, ...]]:
    """The task as the event tells it, if it does, and the lines that it brings."""
    if event.topic.kind is TopicKind.TASK:
        told = event.name in (EventName.SNAPSHOT, EventName.TASK)
        return codec.decode(event.data, TaskDetail) if told else None, ()
    if event.name is EventName.SNAPSHOT:
        return None, codec.decode(event.data, LogSnapshot).lines
    if event.name is EventName.LOG:
        return None, (codec.decode(event.data, LogLine),)
    return None, ()
