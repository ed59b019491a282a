"""What a task says now, as its commits carry it: pure, and paced so that a streaming agent costs lists nothing.

Each commit may bring something new to say. It is shown at once, or owed to a later commit when it came too soon after
the one before.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from foundry_tui.contract.activity import MAX_ACTIVITY, Activity, ActivityKind, PlanProgress
from foundry_tui.contract.codec import convert
from foundry_tui.contract.questions import MAX_ASK, MOST_ASKS, Ask, Permission, PermissionState, Question
from foundry_tui.contract.transcript import PlanBody, ToolCallBody, TranscriptKind

T = TypeVar("T")

LEAST_GAP_MS = 340
"""Between two new things that are said of one task, which makes three a second: the usual pace."""
MOST_A_SECOND = 4
"""New things of one task within a second. The fourth is one that needs no gap: an error, or the end of a turn. A
question is shown at once in any case."""
_READ = 2_000
"""Characters of a text in which its first words are looked for."""
_WITHOUT_GAP = frozenset({ActivityKind.QUESTION, ActivityKind.ERROR})
_AT_WORK = frozenset({"pending", "in_progress"})
"""The states of a tool call that has not ended."""
_IN_AN_ASK = frozenset({"title", "options", "kind", "tool_kind", "text"})
"""What an `Ask` tells of a question, and what nobody has to judge."""


def one_line(text: str) -> str:
    """The first words of a text on one line."""
    words = " ".join(text[:_READ].split())
    return words if len(words) <= MAX_ACTIVITY else f"{words[: MAX_ACTIVITY - 1]}…"


class Said(Struct, frozen=True):
    """What is to be said of a task: the one thing for its line, and how far its plan is; None: nothing new."""

    activity: Activity | None = None
    plan: PlanProgress | None = None

    def over(self, earlier: "Said") -> "Said":
        """This, and of what was to be said earlier what this does not replace."""
        return Said(self.activity or earlier.activity, self.plan or earlier.plan)


class Pace(Struct, frozen=True):
    """When something new was said last, and what is owed to a later commit."""

    recent: tuple[int, ...] = ()
    owed: Said = Said()
    due: bool = False
    """Whether what is owed waits for nothing but its time."""


STILL = Pace()
"""The pace of a task of which nothing was said lately."""


def heard(said: Said, kind: TranscriptKind, body: str | dict[str, Any], now: int, *, new: bool) -> Said:
    """What is to be said once a transcript item came (`new`) or grew."""
    match kind:
        case TranscriptKind.MESSAGE | TranscriptKind.NOTICE if isinstance(body, str):
            told = ActivityKind.MESSAGE if kind is TranscriptKind.MESSAGE else ActivityKind.NOTICE
            return tell(said, told, body, now)
        case TranscriptKind.TOOL_CALL:
            tool = _read(body, ToolCallBody)
            if tool is not None and (new or tool.status in _AT_WORK):
                return tell(said, ActivityKind.TOOL, tool.title, now)
        case TranscriptKind.PLAN:
            plan = _read(body, PlanBody)
            if plan is not None and plan.entries:
                return _tell_plan(said, plan, now)
    return said


def tell(said: Said, kind: ActivityKind, text: str, now: int) -> Said:
    """This is to be said in place of anything else; a text without words says nothing."""
    words = one_line(text)
    return replace(said, activity=Activity(kind=kind, text=words, at=now)) if words else said


def _tell_plan(said: Said, plan: PlanBody, now: int) -> Said:
    """A plan that came with a tool or a message is only counted: those say more."""
    done = sum(entry.status == "completed" for entry in plan.entries)
    counted = replace(said, plan=PlanProgress(done=done, total=len(plan.entries)))
    unfinished = [entry for entry in plan.entries if entry.status != "completed"]
    if said.activity is not None or not unfinished:
        return counted
    at_work = next((entry for entry in unfinished if entry.status == "in_progress"), unfinished[0])
    return tell(counted, ActivityKind.PLAN, at_work.content, now)


def paced(
    pace: Pace, shown: Said, news: Said, asked: Activity | None, now: int, *, turn_ended: bool
) -> tuple[Said, Pace]:
    """What the task says from this commit on, and the pace after it.

    `shown` is what it said so far, `news` what this commit has to say, `asked` the question that is open. What is not
    said now is owed: the next commit says it. An open question is what the task says; what was said before it and what
    came meanwhile are owed until it is answered, and said then.
    """
    wanted = news.over(pace.owed)
    was_question = shown.activity is not None and shown.activity.kind is ActivityKind.QUESTION
    if asked is not None:
        if not was_question:
            wanted = wanted.over(Said(shown.activity))
        target = Said(asked, wanted.plan or shown.plan)
        left = Said(wanted.activity)
    else:
        if was_question:
            shown = Said(None, shown.plan)
        target, left = wanted.over(shown), Said()
    recent = tuple(at for at in pace.recent if 0 <= now - at < 1_000)
    if _same(target, shown):
        return shown, Pace(recent, left)
    kind = target.activity.kind if target.activity is not None else None
    gap_kept = not recent or now - recent[-1] >= LEAST_GAP_MS or kind in _WITHOUT_GAP or turn_ended
    if not gap_kept or (len(recent) >= MOST_A_SECOND and asked is None):
        return shown, Pace(recent, wanted, due=True)
    return target, Pace((*recent, now), left)


def _same(one: Said, other: Said) -> bool:
    """Whether both say the same, whenever it was said."""
    first, second = one.activity, other.activity
    if first is None or second is None:
        return first is second and one.plan == other.plan
    return (first.kind, first.text, one.plan) == (second.kind, second.text, other.plan)


def question_of(permissions: Iterable[Permission]) -> Activity | None:
    """The oldest open question as what its task says."""
    first = next((each for each in permissions if each.state is PermissionState.OPEN), None)
    if first is None:
        return None
    return Activity(kind=ActivityKind.QUESTION, text=one_line(first.title) or first.kind, at=first.at)


def asks_of(permissions: Iterable[Permission]) -> tuple[Ask, ...]:
    """The open questions as a summary has them."""
    asks: list[Ask] = []
    for each in permissions:
        if each.state is not PermissionState.OPEN:
            continue
        asks.append(_ask(each))
        if len(asks) == MOST_ASKS:
            break
    return tuple(asks)


def _ask(question: Permission) -> Ask:
    title, text = question.title, question.text
    more = any(getattr(question, name) for name in Question.__struct_fields__ if name not in _IN_AN_ASK)
    return Ask(
        permission_id=question.permission_id,
        session_id=question.session_id,
        kind=question.kind,
        title=title[:MAX_ASK],
        text=text if text is None else text[:MAX_ASK],
        whole=not more and max(len(title), len(text or "")) <= MAX_ASK,
        options=question.options,
        at=question.at,
    )


def _read(body: object, record: type[T]) -> T | None:
    """The body as what it should be; None for one that is something else."""
    try:
        return convert(body, record)
    except msgspec.ValidationError:
        return None
