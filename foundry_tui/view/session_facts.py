"""What a session tells of its model, its mode and what it has used, in few words."""

import re

from foundry_tui.contract.options import find_option
from foundry_tui.contract.records import Cost, SessionState, SessionSummary, Usage

NEARLY_FULL = 0.8
"""The part of a model's context from which it is worth a warning."""
_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£"}
_ASKS_NOTHING = re.compile(
    r"bypass|yolo|full.?access|full.?auto|auto.?approve|allow.?all|(never|don.?t).?ask|skip.?perm"
)
_SAYS_NOTHING = re.compile(r"(default|auto|automatic|normal|standard|recommended)\b", re.IGNORECASE)
"""How a name begins by which one cannot tell a model from a mode."""


def model_words(session: SessionSummary) -> str:
    """The session's model, empty where none is known; with a name that any choice may have, `model Default`."""
    return _told_as("model", session.model)


def mode_words(session: SessionSummary) -> str:
    """The session's mode, empty where none is known; with a name that any choice may have, `mode Default`."""
    return _told_as("mode", session.mode)


def _told_as(what: str, name: str | None) -> str:
    return f"{what} {name}" if _SAYS_NOTHING.match(name or "") else name or ""


def asks_nothing(session: SessionSummary) -> bool:
    """Whether the session's mode, judged by its name, lets the agent do everything without asking a person."""
    option = find_option(session.options, "mode") if isinstance(session, SessionState) else None
    return names_no_questions(session.mode or "", str(option.value) if option is not None else "")


def names_no_questions(*words: str) -> bool:
    """Whether a mode of one of these names or values lets the agent do everything without asking a person."""
    return any(_ASKS_NOTHING.search(word.lower()) for word in words)


def context_used(usage: Usage) -> str:
    """How much of the context is used, as `41 %`; of one whose size is not known the tokens, as `41,000 tokens`."""
    return f"{usage.used / usage.size:.0%}".replace("%", " %") if usage.size > 0 else f"{usage.used:,} tokens"


def is_nearly_full(usage: Usage) -> bool:
    """Whether so much of the context is used that the conversation may soon be cut."""
    return usage.size > 0 and usage.used >= NEARLY_FULL * usage.size


def money(cost: Cost) -> str:
    """A sum of money, as `$0.12`; one that is less than a cent, and not nothing, as `<$0.01`."""
    below = 0 < cost.amount < 0.01
    amount = f"{max(cost.amount, 0.01) if below else cost.amount:,.2f}"
    sign = _SIGNS.get(cost.currency)
    return ("<" if below else "") + (f"{sign}{amount}" if sign else f"{amount} {cost.currency}")
