"""What a task's column says of the work: plan, changed files, commits, sessions; which lines of each are in sight."""

from collections.abc import Sequence

from msgspec import Struct

from foundry_tui.contract.records import FileDiff, SessionStatus, SessionSummary, TaskSummary
from foundry_tui.contract.transcript import PlanBody, PlanEntry
from foundry_tui.contract.work import Work
from foundry_tui.view.labels import SESSION_WORDS
from foundry_tui.view.session_facts import context_used, model_words

REMOTE = "origin/"
"""What the name of a base begins with that is a remote's."""
FEW = 3
"""Paths of conflicts that are named."""
LEAST_LINES = 3
"""Lines that a list keeps when there is little room."""


class Listed(Struct, frozen=True):
    """How many lines of each list are shown at most."""

    plan: int
    files: int
    sessions: int


def listed(plan: int, files: int, sessions: int, room: int) -> Listed:
    """How the lines of three lists of these lengths share `room`: the longest gives way first, down to a few lines."""
    wanted = {"plan": plan, "files": files, "sessions": sessions}
    while sum(wanted.values()) > room:
        longest = max(wanted, key=lambda name: wanted[name])
        if wanted[longest] <= LEAST_LINES:
            break
        wanted[longest] -= 1
    return Listed(**wanted)


def window(count: int, at: int, room: int) -> range:
    """Which of `count` lines are in sight, so that the one `at` which one looks is among them."""
    first = max(0, min(at - room // 2, count - room))
    return range(first, min(count, first + room))


def current_entry(plan: PlanBody) -> int:
    """The entry of a plan that is worked on: the first that is under way, else the first that is not done."""
    entries: Sequence[PlanEntry] = plan.entries
    for status in ("in_progress", "pending"):
        for place, entry in enumerate(entries):
            if entry.status == status:
                return place
    return max(0, len(entries) - 1)


def plan_progress(plan: PlanBody | None) -> str:
    """`1 of 3`; empty without a plan."""
    if plan is None or not plan.entries:
        return ""
    return f"{sum(entry.status == 'completed' for entry in plan.entries)} of {len(plan.entries)}"


def total_of(files: Sequence[FileDiff]) -> tuple[int, int]:
    """Lines added and removed in all these files, of those in which lines are counted."""
    return sum(file.added or 0 for file in files), sum(file.removed or 0 for file in files)


def count_of_files(count: int) -> str:
    """`1 file`, `3 files`."""
    return f"{count:,} file{'s' * (count != 1)}"


def in_files(count: int) -> str:
    """`in 1 file`, `in 3 files`."""
    return f"in {count_of_files(count)}"


def local_base(base: str) -> str:
    """The branch here that is called as this one of a remote; the same where it is none of a remote's."""
    return base.removeprefix(REMOTE)


def distance_words(work: Work, *, short: bool = False) -> str:
    """How far the branch is from its base, and whether it has landed there: `2 ahead of main · 1 behind`, `landed on
    main`; `short` leaves out which base that is.
    """
    landed = f"landed{'' if short else f' on {local_base(work.base)}'}" if work.landed else ""
    ahead = f"{work.ahead:,} ahead{'' if short else f' of {work.base}'}" if work.ahead else ""
    behind = f"{work.behind:,} behind" if work.behind else ""
    return " · ".join(part for part in (ahead or landed or "no commit yet", behind, landed if ahead else "") if part)


def keeping_words(work: Work) -> str:
    """What is not kept elsewhere yet: files that are in no commit, commits that are in no remote."""
    parts = []
    if work.uncommitted:
        parts.append(f"{work.uncommitted:,} file{'s' * (work.uncommitted != 1)} not committed")
    if work.ahead:
        parts.append("pushed" if work.pushed else "not pushed")
    return " · ".join(parts)


def standing_line(work: Work, *, ascii_only: bool = False) -> str:
    """All of that on one line: `2 ahead of main · pushed`."""
    parts = (distance_words(work), keeping_words(work), "conflicts" if work.conflicts else "")
    line = " · ".join(part for part in parts if part)
    return line.replace(" · ", " - ") if ascii_only else line


def conflict_words(work: Work) -> str:
    """Which files would not merge with the base by themselves; empty if none is known."""
    if not work.conflicts:
        return ""
    named = ", ".join(work.conflicts[:FEW])
    rest = len(work.conflicts) - FEW
    return f"conflicts with {work.base}: {named}{f' and {rest} more' if rest > 0 else ''}"


def session_words(session: SessionSummary, *, asks: bool) -> str:
    """Agent, model, what it has used, and what goes on in a session."""
    state = "asks you" if asks else SESSION_WORDS[session.status]
    used = context_used(session.usage) if session.usage is not None else ""
    agent = session.agent if session.agent != session.name else ""
    return " · ".join(part for part in (agent, model_words(session), used, state) if part)


def open_sessions(task: TaskSummary) -> Sequence[SessionSummary]:
    """The sessions of a task, those that are closed last."""
    return sorted(task.sessions, key=lambda session: session.status is SessionStatus.CLOSED)
