"""What an agent does now and since when, and how long its turn has been going on, without the time it waited."""

from collections.abc import Sequence

from msgspec import Struct

from foundry_tui.contract.questions import PermissionState
from foundry_tui.contract.records import HistoryEvent, HistoryKind, TaskDetail, TaskSummary
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.transcript import ToolCallBody, TranscriptItem, TranscriptKind
from foundry_tui.view.ages import running_time
from foundry_tui.view.transcript import body_of

_AT_WORK = frozenset({"pending", "in_progress"})
_DELIVERED = HistoryKind.PROMPT_DELIVERED
_ENDED = frozenset({HistoryKind.PERMISSION_ANSWERED, HistoryKind.PERMISSION_CANCELLED})
_DOING = {TranscriptKind.THOUGHT: "Thinking", TranscriptKind.MESSAGE: "Writing", TranscriptKind.PLAN: "Planning"}
WORTH_TELLING = 1000
"""Milliseconds of waiting for a person from which they are told."""


class TurnTime(Struct, frozen=True):
    """When a turn began, and how many milliseconds of it the agent waited for a person."""

    began_at: int
    waited: int = 0


def turn_time(history: Sequence[HistoryEvent], session_id: str, now: int) -> TurnTime | None:
    """The times of a session's turn, from when its prompt was delivered; None if that is not known."""
    first = next(
        (place for place in range(len(history) - 1, -1, -1) if _is_of(history[place], session_id, _DELIVERED)), None
    )
    if first is None:
        return None
    asked, waited = dict[str, int](), 0
    for event in history[first + 1 :]:
        question = str(event.payload.get("permission_id"))
        if _is_of(event, session_id, HistoryKind.PERMISSION_OPENED):
            asked[question] = event.at
        elif event.kind in _ENDED and question in asked:
            since = asked.pop(question)
            # Of several questions at a time the first that was asked is what is waited for.
            waited += max(0, min([event.at, *asked.values()]) - since)
    if asked:
        waited += max(0, now - min(asked.values()))
    return TurnTime(history[first].at, waited)


def _is_of(event: HistoryEvent, session_id: str, kind: HistoryKind) -> bool:
    return event.kind is kind and event.payload.get("session_id") == session_id


def counted_from(task: TaskSummary, session_id: str | None, now: int) -> int:
    """When what the task's state says began: a question when it was asked, a turn without the time that it waited."""
    if not isinstance(task, TaskDetail):
        return min((ask.at for ask in task.asks), default=task.status_since) if task.needs_input else task.status_since
    asked = [question.at for question in task.permissions if question.state is PermissionState.OPEN]
    if asked and task.needs_input:
        return min(asked)
    turn = turn_time(task.history, session_id, now) if task.status is TaskStatus.RUNNING and session_id else None
    return turn.began_at + turn.waited if turn is not None else task.status_since


def doing(item: TranscriptItem | None) -> str:
    """What the agent does, as far as the last thing that is told of it says; empty when that says nothing."""
    if item is None:
        return ""
    body = body_of(item)
    if isinstance(body, ToolCallBody):
        return (body.title.strip() or body.kind).split("\n")[0] if body.status in _AT_WORK else ""
    return _DOING.get(item.kind, "")


def working_words(item: TranscriptItem | None, turn: TurnTime, now: int, separator: str) -> str:
    """`pytest -q, 12s · the turn 2m05s`: what the agent does and since when; the time waited for a person apart."""
    total = running_time(now - turn.began_at - turn.waited)
    waited = f" {separator} waited {running_time(turn.waited)} for you" if turn.waited >= WORTH_TELLING else ""
    done = doing(item)
    if not done or item is None:
        return f"The agent is working, {total}{waited}"
    return f"{done}, {running_time(now - max(item.at, turn.began_at))} {separator} the turn {total}{waited}"
