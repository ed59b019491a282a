"""History events in the words of a person."""

from collections.abc import Callable
from datetime import datetime, tzinfo

from foundry_tui.contract.questions import QuestionKind
from foundry_tui.contract.records import HistoryEvent, HistoryKind
from foundry_tui.contract.status import StageName
from foundry_tui.contract.wording import Wording
from foundry_tui.view.stepper import STEP_NAMES

_SENTENCES: Wording[HistoryKind] = Wording(
    {
        HistoryKind.TASK_CREATED: "task created",
        HistoryKind.PROVISION_QUEUED: "queued",
        HistoryKind.STAGE_STARTED: "{stage} started",
        HistoryKind.STAGE_RETRYING: "{stage} will be tried again",
        HistoryKind.STAGE_COMPLETED: "{stage} done",
        HistoryKind.STAGE_FAILED: "{stage} failed",
        HistoryKind.PROVISION_RESUMED: "went on after a restart of the backend",
        HistoryKind.RETRY_REQUESTED: "retry asked for",
        HistoryKind.TASK_NAMED: "named",
        HistoryKind.SANDBOX_CREATED: "sandbox created",
        HistoryKind.SANDBOX_RESUMED: "sandbox found again",
        HistoryKind.AGENT_READY: "agent ready",
        HistoryKind.SESSION_REQUESTED: "session asked for",
        HistoryKind.SESSION_READY: "session ready",
        HistoryKind.SESSION_FAILED: "session failed",
        HistoryKind.SESSION_CLOSED: "session closed",
        HistoryKind.SESSION_STOPPED: "turn stopped",
        HistoryKind.PROMPT_QUEUED: "prompt queued",
        HistoryKind.PROMPT_EDITED: "prompt changed",
        HistoryKind.PROMPT_WITHDRAWN: "prompt taken back",
        HistoryKind.PROMPT_DELIVERED: "prompt delivered",
        HistoryKind.PROMPT_ANSWERED: "prompt answered",
        HistoryKind.PROMPT_FAILED: "prompt failed",
        HistoryKind.PERMISSION_OPENED: "permission asked for",
        HistoryKind.PERMISSION_ANSWERED: "permission answered",
        HistoryKind.PERMISSION_CANCELLED: "permission no longer asked for",
        HistoryKind.OPTION_SET: "option set",
        HistoryKind.OPERATION_REQUESTED: "{operation} asked for",
        HistoryKind.OPERATION_COMPLETED: "{operation} done",
        HistoryKind.OPERATION_FAILED: "{operation} failed",
        HistoryKind.CHECKPOINT_MADE: "checkpoint made",
        HistoryKind.TASK_RUNNING: "agent at work",
        HistoryKind.TASK_IDLE: "ready for the next prompt",
        HistoryKind.TASK_ERROR: "task failed",
        HistoryKind.TASK_RENAMED: "renamed",
        HistoryKind.ARCHIVE_REQUESTED: "archive asked for",
        HistoryKind.KILL_REQUESTED: "kill asked for",
        HistoryKind.SANDBOX_RELEASED: "sandbox released",
        HistoryKind.SANDBOX_DESTROYED: "sandbox destroyed",
        HistoryKind.SANDBOX_LEFTOVER: "something was left behind",
        HistoryKind.TASK_ARCHIVED: "archived",
        HistoryKind.TASK_KILLED: "killed",
    }
)

BAD: frozenset[HistoryKind] = frozenset(
    {
        HistoryKind.STAGE_FAILED,
        HistoryKind.SESSION_FAILED,
        HistoryKind.PROMPT_FAILED,
        HistoryKind.TASK_ERROR,
        HistoryKind.OPERATION_FAILED,
        HistoryKind.SANDBOX_LEFTOVER,
    }
)
GOOD: frozenset[HistoryKind] = frozenset(
    {
        HistoryKind.STAGE_COMPLETED,
        HistoryKind.SESSION_READY,
        HistoryKind.AGENT_READY,
        HistoryKind.PROMPT_ANSWERED,
        HistoryKind.OPERATION_COMPLETED,
        HistoryKind.TASK_IDLE,
    }
)
WAITING: frozenset[HistoryKind] = frozenset({HistoryKind.STAGE_RETRYING, HistoryKind.PERMISSION_OPENED})

_ASKED = {str(QuestionKind.FORM): "form", str(QuestionKind.URL): "page"}
_QUESTIONS = frozenset({HistoryKind.PERMISSION_OPENED, HistoryKind.PERMISSION_ANSWERED})
_TOLD = (
    "title",
    "branch",
    "message",
    "name",
    "cwd",
    "what",
    "why",
    "text",
    "answered_by",
    "option_id",
    "action",
    "value",
    "sandbox_id",
)
"""What of a payload is worth telling, in this order."""


def sentence(event: HistoryEvent) -> str:
    """What happened, in a few words."""
    stage = event.payload.get("stage")
    name = STEP_NAMES[StageName(stage)] if isinstance(stage, str) else str(stage or "")
    operation = str(event.payload.get("operation", "operation")).replace("_", " ")
    if event.kind is HistoryKind.PROVISION_RESUMED and event.payload.get("done"):
        return f"{name} was done before"
    said = _SENTENCES[event.kind].replace("{stage}", name).replace("{operation}", operation)
    asked = _ASKED.get(str(event.payload.get("kind")))
    return said.replace("permission", asked) if asked and event.kind in _QUESTIONS else said


def details(event: HistoryEvent) -> str:
    """What the payload adds: attempts, durations, names and reasons, with dots between."""
    payload = event.payload
    parts: list[str] = []
    attempt, limit = payload.get("attempt"), payload.get("max_attempts")
    if isinstance(attempt, int) and (
        attempt > 1 or event.kind in (HistoryKind.STAGE_RETRYING, HistoryKind.STAGE_FAILED)
    ):
        parts.append(f"attempt {attempt} of {limit}" if isinstance(limit, int) else f"attempt {attempt}")
    duration = payload.get("ms")
    if isinstance(duration, int):
        parts.append(f"{duration / 1000:.1f}s")
    next_at = payload.get("next_at")
    if isinstance(next_at, int):
        parts.append(f"in {max(0, next_at - event.at) / 1000:.1f}s")
    for name in _TOLD:
        value = payload.get(name)
        if isinstance(value, str) and value and value not in parts:
            parts.append(" ".join(value.split()))
    attached = attached_names(event)
    if attached:
        parts.append(f"with {', '.join(attached)}")
    return " · ".join(parts)


def attached_names(event: HistoryEvent) -> tuple[str, ...]:
    """The names of what was attached to a prompt as it was queued."""
    names = event.payload.get("attachments")
    return tuple(" ".join(str(name).split()) for name in names) if isinstance(names, list) else ()


def mood(event: HistoryEvent) -> str:
    """`good`, `bad`, `waiting` or `plain`."""
    if event.kind in BAD:
        return "bad"
    if event.kind in GOOD:
        return "good"
    return "waiting" if event.kind in WAITING else "plain"


def local_clock(zone: tzinfo | None = None) -> Callable[[int], str]:
    """How a time of day is written, in a time zone (the machine's own if None): hours to milliseconds."""

    def clock_time(at: int) -> str:
        moment = datetime.fromtimestamp(at / 1000, tz=zone) if zone else datetime.fromtimestamp(at / 1000).astimezone()
        return f"{moment:%H:%M:%S}.{at % 1000:03d}"

    return clock_time


def day_of(at: int, zone: tzinfo | None = None) -> str:
    """The date of a time, as people write it down: 2026-11-23."""
    moment = datetime.fromtimestamp(at / 1000, tz=zone) if zone else datetime.fromtimestamp(at / 1000).astimezone()
    return f"{moment:%Y-%m-%d}"
