"""What tasks have used: of their sessions the one whose context is fullest, and sums of what they have cost."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from foundry_tui.contract.records import Cost, SessionStatus, SessionSummary, TaskSummary, Usage
from foundry_tui.contract.status import ENDED, RELEASING
from foundry_tui.view.session_facts import context_used, is_nearly_full, money


class Used(Struct, frozen=True):
    """What several tasks have used: their costs by currency, and the open sessions whose contexts are nearly full."""

    costs: tuple[Cost, ...]
    nearly_full: tuple[SessionSummary, ...]


def fullest(sessions: Iterable[SessionSummary]) -> Usage | None:
    """What the open session has used whose context is fullest; one whose size is not known comes after the others."""
    known = [each.usage for each in sessions if each.usage is not None and each.status is not SessionStatus.CLOSED]
    return max(known, key=lambda usage: (_part(usage), usage.used), default=None)


def _part(usage: Usage) -> float:
    return usage.used / usage.size if usage.size > 0 else 0.0


def costs(sessions: Iterable[SessionSummary]) -> tuple[Cost, ...]:
    """What the sessions have cost together, one sum for each currency, in the order of their codes."""
    sums: dict[str, float] = {}
    for session in sessions:
        if session.usage is not None and (cost := session.usage.cost) is not None:
            sums[cost.currency] = sums.get(cost.currency, 0.0) + cost.amount
    return tuple(Cost(amount=amount, currency=currency) for currency, amount in sorted(sums.items()))


def used_by(tasks: Iterable[TaskSummary]) -> Used:
    """What all these tasks have used; of those that have ended the cost alone."""
    known = list(tasks)
    full = [
        session
        for task in known
        if task.status not in ENDED | RELEASING
        for session in task.sessions
        if session.usage is not None and session.status is not SessionStatus.CLOSED and is_nearly_full(session.usage)
    ]
    return Used(costs(session for task in known for session in task.sessions), tuple(full))


def context_words(usage: Usage) -> str:
    """How full a context is, as `41 %`, and `83 % full` from where that is a warning."""
    return context_used(usage) + (" full" if is_nearly_full(usage) else "")


def sum_words(sums: Sequence[Cost]) -> str:
    """Sums of money in one line, as `$1.20 + €0.40`."""
    return " + ".join(money(cost) for cost in sums)


def used_lines(used: Used) -> list[tuple[str, str]]:
    """Names and values of what is known of it."""
    full = len(used.nearly_full)
    return [
        *([("cost so far", sum_words(used.costs))] if used.costs else []),
        *([("contexts nearly full", str(full))] if full else []),
    ]
