"""What a task says now, for its line of the list: the question, the tool at work, the answer's first words, the error.

Behind it stands what helps or how far it is: the keys that answer, the key that tries again, the plan.
"""

import re

from msgspec import Struct

from foundry_tui.contract.activity import Activity, ActivityKind
from foundry_tui.contract.hosts import away_words
from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.status import ENDED, PROVISIONING, RELEASING, TaskStatus
from foundry_tui.contract.task_words import needs_person, waits_for_host
from foundry_tui.view.answers import answer_words, first_ask, is_answered_by_digits
from foundry_tui.view.first_run import simulated_word
from foundry_tui.view.glyphs import Glyphs
from foundry_tui.view.labels import failure_words, state_text
from foundry_tui.view.questions import answers_of, heading_of
from foundry_tui.view.roles import Role, RowPiece
from foundry_tui.view.usage import fullest
from foundry_tui.view.way_home import changed_line, operation_line, pull_request_line, work_line

_ATTEMPT, _NUMBERS = " attempt {}/{}", " {}/{}"
"""How an attempt is said: with its word where there is room for that."""
_MARKS = re.compile(r"\*\*|__|`+|^#+ ")
"""What Markdown's letters are made bold, code and headings with."""


class RowKeys(Struct, frozen=True):
    """The keys that a line names, as people write them."""

    answers: tuple[str, ...] = ("1", "2", "3", "4")
    open: str = "enter"
    retry: str = "r"
    leave_out: str = "I"


class Saying(Struct, frozen=True):
    """A text and its role, and what stands behind it; that `briefly`, where it leaves too little of the text."""

    text: str
    role: Role
    behind: tuple[RowPiece, ...] = ()
    briefly: tuple[RowPiece, ...] = ()


def timed_text(
    task: TaskSummary, glyphs: Glyphs, now: int, creation: str | None = None, *, width: int = 80
) -> str | None:
    """What the line says in the seconds of now, in the longest form that fits; None where it says no time."""
    if creation is None and not _is_timed(task):
        return None
    forms = ((True, _ATTEMPT), (False, _ATTEMPT), (True, _NUMBERS), (False, _NUMBERS))
    text = ""
    for bar, attempts in forms:
        text = state_text(task, glyphs, now, creation, bar=bar, attempts=attempts)
        if len(text) <= width:
            break
    return text


def behind_time(task: TaskSummary) -> tuple[RowPiece, ...]:
    """What stands behind a text that tells the time."""
    return _plan(task) or _simulated(task)


def _is_timed(task: TaskSummary) -> bool:
    """Whether nothing but its state can be said, and since when."""
    if waits_for_host(task):
        return False
    if needs_person(task):
        return first_ask(task) is None
    if task.status is TaskStatus.RUNNING:
        return task.activity is None
    return task.status in PROVISIONING or task.status in RELEASING


def saying(
    task: TaskSummary,
    glyphs: Glyphs,
    timed: str | None,
    role: Role,
    *,
    reason: str | None = None,
    keys: RowKeys | None = None,
) -> Saying:
    """What the task says; `timed` is its `timed_text`, `role` that of its state, `reason` why it was refused."""
    keys = keys or RowKeys()
    if reason is not None:
        return Saying(reason, Role.FAILED)
    if waits_for_host(task) and not needs_person(task):
        return Saying(away_words(task.host), Role.SAID)
    if timed is not None:
        return Saying(timed, role, behind_time(task), _simulated(task))
    ask = first_ask(task)
    if ask is not None:
        count = f"1 of {task.needs_input}: " if task.needs_input > 1 else ""
        words = answer_words(answers_of(ask)) if is_answered_by_digits(ask) else ()
        pairs = list(zip(keys.answers, words, strict=False)) or [(keys.open, "answer")]
        behind = [piece for key, word in pairs for piece in ((key, Role.KEY), (f" {word}  ", Role.ASKS))]
        behind[-1] = (behind[-1][0].rstrip(), Role.ASKS)
        briefly = ((" ".join(key for key, _ in pairs), Role.KEY),)
        return Saying(f"{count}{heading_of(ask)}", Role.ASKS, tuple(behind), briefly)
    if task.status is TaskStatus.ERROR:
        error = task.error
        text = error.message.strip() or failure_words(error) if error is not None else "failed"
        lacking = error is not None and isinstance(error.option, str)
        key: RowPiece = (keys.leave_out if lacking else keys.retry, Role.KEY)
        return Saying(text, Role.FAILED, (key, (" retry without it" if lacking else " retry", Role.DIM)), (key,))
    if task.status is TaskStatus.IDLE and (brought := _bringing_home(task, glyphs)) is not None:
        return brought
    if task.activity is not None and task.status in (TaskStatus.RUNNING, TaskStatus.IDLE):
        return _activity(task, task.activity, glyphs)
    plan = () if task.status in ENDED else _plan(task)
    return Saying(state_text(task, glyphs, 0), role, plan or _simulated(task), _simulated(task))


def said_beside_state(task: TaskSummary, glyphs: Glyphs) -> str:
    """What it says beyond the words of its state; empty where that is all."""
    if _is_timed(task):
        return ""
    text = saying(task, glyphs, None, Role.SAID).text
    return "" if text == state_text(task, glyphs, 0) else text


def _bringing_home(task: TaskSummary, glyphs: Glyphs) -> Saying | None:
    """What becomes of the work of a task that is ready: the operation under way, its pull request, else its changes."""
    plain = glyphs.ready.isascii()
    if task.operation is not None:
        return Saying(operation_line(task.operation, ascii_only=plain), Role.WORKING)
    if task.pull_request is not None:
        landed = (("landed", Role.DIM),) if task.work is not None and task.work.landed else ()
        return Saying(pull_request_line(task.pull_request, ascii_only=plain, brief=True), Role.SAID, landed)
    changed = changed_line(task.work) if task.work is not None else ""
    if not changed or task.work is None:
        return None
    said = _activity(task, task.activity, glyphs) if task.activity is not None else None
    told = said is not None and said.role is Role.SAID
    text = f"{changed}{' - ' if plain else ' · '}{said.text}" if said is not None and told else changed
    stands = work_line(task.work, ascii_only=plain)
    return Saying(text, Role.SAID, ((stands, Role.DIM),) if stands else _plan(task))


def _activity(task: TaskSummary, activity: Activity, glyphs: Glyphs) -> Saying:
    text = activity.text
    match activity.kind:
        case ActivityKind.TOOL if task.status is TaskStatus.RUNNING:
            return Saying(f"{glyphs.working[0]} {text}", Role.WORKING, _plan(task))
        case ActivityKind.MESSAGE:
            return Saying(f'"{_MARKS.sub("", text)}"', Role.SAID, _plan(task))
        case ActivityKind.ERROR:
            return Saying(text, Role.FAILED, _plan(task))
    return Saying(text, Role.SAID, _plan(task))


def _plan(task: TaskSummary) -> tuple[RowPiece, ...]:
    """How far the plan is, while there is something left of it."""
    plan = task.plan
    if plan is None or plan.done >= plan.total or task.status not in (TaskStatus.RUNNING, TaskStatus.IDLE):
        return ()
    return ((f"plan {plan.done}/{plan.total}", Role.DIM),)


def _simulated(task: TaskSummary) -> tuple[RowPiece, ...]:
    """That nobody works on it, where its state is what the line says."""
    word = simulated_word(task.provider)
    return ((word, Role.DIM),) if word else ()


def context_share(task: TaskSummary) -> int | None:
    """How much of its context the fullest session has used, in percent; None where no agent has told."""
    usage = fullest(task.sessions)
    return None if usage is None or usage.size <= 0 else usage.used * 100 // usage.size
