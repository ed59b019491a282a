"""Waiting for the answer to one prompt."""

import time
from typing import NamedTuple

from foundry_tui.cli import problems
from foundry_tui.cli.follow.away_host import AwayHost
from foundry_tui.cli.follow.notices import OVER
from foundry_tui.cli.follow.stream import Back, Event, Feed, Lost
from foundry_tui.cli.output import tell
from foundry_tui.cli.problems import CommandError
from foundry_tui.cli.questions import open_questions
from foundry_tui.client.blocking import BlockingClient, segment
from foundry_tui.contract import codec
from foundry_tui.contract.events import EventName, Topic, TopicKind
from foundry_tui.contract.records import ErrorKind, Prompt, PromptState, SessionDetail, SessionState, TaskDetail
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.transcript import TranscriptItem, TranscriptKind


class Turn(NamedTuple):
    """How the waiting ended: exit code, the prompt and the task as last told, what the agent said last, the notices."""

    code: int
    prompt: Prompt
    task: TaskDetail | None
    answer: str | None = None
    notices: tuple[str, ...] = ()


def await_answer(
    client: BlockingClient, task_id: str, prompt: Prompt, *, timeout: float | None, through_questions: bool
) -> Turn:
    """Wait until the prompt is answered, has failed, or cannot be answered without a person.

    Raises `CommandError` when the task is pruned meanwhile, and when a person ends the waiting.
    """
    until = None if timeout is None else time.monotonic() + timeout
    task: TaskDetail | None = None
    held = False
    host = AwayHost()
    topics = [Topic(TopicKind.SESSION, prompt.session_id), Topic(TopicKind.TASK, task_id)]
    with Feed(client, topics, reached=True) as feed:
        try:
            while True:
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    return Turn(problems.TIMED_OUT, prompt, task)
                got = feed.next(left)
                if isinstance(got, Lost | Back):
                    # Both topics lose the same backend, which is said once.
                    if got.topic is topics[0]:
                        tell(got.words)
                elif got is not None:
                    if got.name is EventName.TASK_REMOVED:
                        raise CommandError(f"the task {task_id} was pruned", exit_code=problems.NO_TASK)
                    task = _task_of(got) or task
                    prompt = _prompt_of(got, prompt)
                    code = _code(prompt, task, through_questions=through_questions)
                    if code is not None:
                        answer, notices = _said(client, prompt) if code in OVER else (None, ())
                        return Turn(code, prompt, task, answer if code == problems.DONE else None, notices)
                    if task is not None:
                        host.look(task)
                    was_held, held = held, _is_held(prompt, task)
                    if held and not was_held:
                        tell("the turn was stopped, and this prompt is held back until somebody says more")
                        tell(f"  send it: foundry queue {task_id} --go-on")
        except KeyboardInterrupt:
            raise CommandError(
                "no longer waiting; the prompt is kept",
                exit_code=problems.INTERRUPTED,
                hint=f"see what comes: foundry transcript {task_id} -f",
            ) from None


def _task_of(event: Event) -> TaskDetail | None:
    told = event.topic.kind is TopicKind.TASK and event.name in (EventName.SNAPSHOT, EventName.TASK)
    return codec.decode(event.data, TaskDetail) if told else None


def _prompt_of(event: Event, prompt: Prompt) -> Prompt:
    """The prompt as the event tells it, if it does."""
    if event.topic.kind is not TopicKind.SESSION or event.name not in (EventName.SNAPSHOT, EventName.SESSION):
        return prompt
    prompts = codec.decode(event.data, SessionState).prompts
    return next((each for each in prompts if each.prompt_id == prompt.prompt_id), prompt)


def _is_held(prompt: Prompt, task: TaskDetail | None) -> bool:
    sessions = task.sessions if task is not None else ()
    return prompt.state is PromptState.QUEUED and any(
        each.session_id == prompt.session_id and each.held for each in sessions
    )


def _code(prompt: Prompt, task: TaskDetail | None, *, through_questions: bool) -> int | None:
    """The exit code that ends the waiting, or None."""
    if prompt.state in (PromptState.QUEUED, PromptState.DELIVERED):
        if task is None:
            return None
        if task.status is TaskStatus.ERROR and prompt.state is PromptState.QUEUED:
            return problems.TASK_ERROR
        asked = any(question.session_id == prompt.session_id for question in open_questions(task))
        return problems.ASKS if asked and not through_questions else None
    if prompt.error is not None and prompt.error.kind is ErrorKind.CANCELLED:
        return problems.FAILED
    outcomes = {PromptState.ANSWERED: problems.DONE, PromptState.FAILED: problems.TASK_ERROR}
    return outcomes.get(prompt.state, problems.FAILED)


def _said(client: BlockingClient, prompt: Prompt) -> tuple[str | None, tuple[str, ...]]:
    """What the agent said last in answer to this prompt, and the notices of its turn, others said into it or not."""
    from foundry_tui.view.transcript import prompts_by_item

    session = client.call("GET", f"/v1/sessions/{segment(prompt.session_id)}", SessionDetail)
    placed, _ = prompts_by_item(session.transcript, session.prompts)
    said: TranscriptItem | None = None
    turn: list[str] = []
    notices = turn
    inside = False
    for item in session.transcript:
        if item.kind is TranscriptKind.PROMPT:
            at = placed.get(item.item_id)
            inside = at is not None and at.prompt_id == prompt.prompt_id
            if at is None or not at.steer:
                turn = []
            if inside:
                notices = turn
        elif inside and item.kind is TranscriptKind.MESSAGE:
            said = item
        elif item.kind is TranscriptKind.NOTICE:
            turn.append(str(item.body))
    return None if said is None else str(said.body), tuple(notices)
