"""What happened, in a line of words for a person; times for machines."""

import shlex
from datetime import UTC, datetime

from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.records import HistoryEvent, TaskSummary
from foundry_tui.contract.status import TaskStatus


def iso_time(at: int) -> str:
    """Milliseconds since the epoch as ISO 8601 in UTC, with milliseconds."""
    moment = datetime.fromtimestamp(at / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}Z"


def event_words(event: HistoryEvent) -> str:
    """What the payload of a history event tells, in the order that reads best."""
    payload = dict(event.payload)
    words: list[str] = []
    if stage := payload.pop("stage", None):
        words.append(str(stage))
    attempt, limit = payload.pop("attempt", None), payload.pop("max_attempts", None)
    if attempt is not None:
        words.append(f"attempt {attempt} of {limit}" if limit is not None else f"attempt {attempt}")
    error = payload.pop("error", None)
    if isinstance(error, dict):
        words.append(f"{error.get('kind', 'error')}: {error.get('message', '')}")
    elif error is not None:
        words.append(str(error))
    for name, value in payload.items():
        if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
            words.append(f"{name}={value}")
        elif value is True:
            words.append(name)
    return " · ".join(words)


def going_on(task: TaskSummary) -> str:
    """The command with which a task that failed goes on, and what it does."""
    if task.error is not None and task.error.stage is None:
        return f"send the prompt again: foundry retry {task.task_id} --resend"
    if task.error is not None and isinstance(task.error.option, str):
        name = harmless(shlex.quote(task.error.option))
        return f"go on without it: foundry retry {task.task_id} --without {name}"
    return f"go on from there: foundry retry {task.task_id}"


def standing(status: TaskStatus) -> str:
    """Where a task stands, in the word that screens have for it."""
    from foundry_tui.contract.task_words import STATUS_WORDS

    return STATUS_WORDS[status]
