"""How long an agent has said nothing in its turn, in words."""

from collections.abc import Sequence

from foundry_tui.contract.records import SessionState, SessionStatus, SessionSummary
from foundry_tui.contract.transcript import TranscriptItem
from foundry_tui.view.ages import HOUR, MINUTE

LAST_ITEMS = 20
"""Items at a transcript's end of which one was changed last, if any was."""


def silent_since(session: SessionSummary | None, items: Sequence[TranscriptItem]) -> int | None:
    """Since when the agent has said nothing, by the session's record and what was heard since; None when unknown."""
    if not isinstance(session, SessionState) or session.status is not SessionStatus.RUNNING:
        return None
    if session.turn_silent_since is None:
        return None
    return (
        max(session.turn_silent_since, *(item.at for item in items[-LAST_ITEMS:]))
        if items
        else (session.turn_silent_since)
    )


def silence_words(milliseconds: int) -> str:
    """A silence that is worth a word, as `no word for 4 min`; empty for a short one."""
    if milliseconds < MINUTE:
        return ""
    if milliseconds < HOUR:
        return f"no word for {milliseconds // MINUTE} min"
    hours, rest = divmod(milliseconds, HOUR)
    return f"no word for {hours} h {rest // MINUTE:02d} min"
