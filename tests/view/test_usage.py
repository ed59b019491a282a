"""What tasks have used, summed up, and how long an agent is silent, in words."""

import pytest

from foundry_tui.contract.memory import AgentMemory, Measure, MemoryReport
from foundry_tui.contract.records import Cost, SessionState, SessionStatus, Usage
from foundry_tui.contract.replace import replace
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.transcript import TranscriptItem, TranscriptKind
from foundry_tui.view.details import facts
from foundry_tui.view.glyphs import glyph_set
from foundry_tui.view.silence import silence_words, silent_since
from foundry_tui.view.task_notices import turn_words
from foundry_tui.view.usage import costs, fullest, sum_words, used_by, used_lines
from tests.app.factories import MINUTE, NOW, make_detail, make_session


def usage(used: int, size: int = 100, amount: float | None = None, currency: str = "USD") -> Usage:
    return Usage(used=used, size=size, cost=None if amount is None else Cost(amount=amount, currency=currency))


def test_a_task_has_used_what_its_fullest_open_session_has_and_costs_all_of_them() -> None:
    sessions = (
        make_session(1, usage=usage(30, amount=1.0), status=SessionStatus.READY),
        make_session(2, usage=usage(41, amount=0.2, currency="EUR"), status=SessionStatus.READY),
        make_session(3, usage=usage(99, amount=0.25), status=SessionStatus.CLOSED),
        make_session(4, status=SessionStatus.READY),
        make_session(5, usage=usage(7_000, size=0), status=SessionStatus.READY),
    )
    assert fullest(sessions) == sessions[1].usage
    assert costs(sessions) == (Cost(amount=0.2, currency="EUR"), Cost(amount=1.25, currency="USD"))
    assert sum_words(costs(sessions)) == "€0.20 + $1.25"
    assert (fullest(()), costs(()), sum_words(())) == (None, (), "")


def test_contexts_that_are_nearly_full_are_warned_of_as_long_as_they_matter() -> None:
    full = make_session(1, usage=usage(83, amount=2.0), status=SessionStatus.READY)
    lives, ended = make_detail(1, sessions=(full,)), make_detail(2, TaskStatus.ARCHIVED, sessions=(full,))
    used = used_by([lives, ended])
    assert used.nearly_full == (full,)
    assert sum_words(used.costs) == "$4.00"
    assert used_lines(used) == [("cost so far", "$4.00"), ("contexts nearly full", "1")]
    assert used_lines(used_by([])) == []


def running(**changes: object) -> SessionState:
    session = make_session(1, status=SessionStatus.RUNNING)
    fields = {name: getattr(session, name) for name in session.__struct_fields__}
    return SessionState(**(fields | changes))


def item(at: int) -> TranscriptItem:
    return TranscriptItem(
        item_id=str(at), session_id="session-1", index=0, kind=TranscriptKind.MESSAGE, body="", at=at, revision=1
    )


def test_a_silence_lasts_since_whatever_came_last() -> None:
    session = running(turn_silent_since=NOW)
    assert silent_since(session, ()) == NOW
    assert silent_since(session, (item(NOW + 5), item(NOW + 3))) == NOW + 5
    assert silent_since(session, (item(NOW - 5),)) == NOW
    assert silent_since(replace(session, status=SessionStatus.READY), ()) is None
    assert silent_since(make_session(1, status=SessionStatus.RUNNING), ()) is None


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [
        (59_999, ""),
        (60_000, "no word for 1 min"),
        (299_000, "no word for 4 min"),
        (3_900_000, "no word for 1 h 05 min"),
    ],
)
def test_a_silence_in_words(milliseconds: int, words: str) -> None:
    assert silence_words(milliseconds) == words


def test_a_silence_stands_beside_what_the_agent_does() -> None:
    task, session = make_detail(1, TaskStatus.RUNNING), running()
    shown = [
        turn_words(task, session, glyph_set(False), NOW, pending=False, asks=asks, silent_since=NOW - 4 * MINUTE).text
        for asks in (False, True)
    ]
    assert shown == ["The agent is working, 12s · no word for 4 min", ""]


def test_details_tell_of_agents_that_are_away_and_of_the_memory_of_those_that_are_not() -> None:
    away = make_session(1, status=SessionStatus.READY, unloaded_since=NOW - 12 * MINUTE, name="main")
    here = make_session(2, status=SessionStatus.READY, usage=usage(41, amount=1.0), name="review")
    taken = AgentMemory(
        task_id=away.task_id,
        session_id=here.session_id,
        agent="claude",
        bytes=312_000_000,
        measure=Measure.PSS,
        processes=3,
    )
    told = facts(make_detail(1, sessions=(away, here)), NOW, MemoryReport(agents=(taken,)))
    assert [(fact.label, fact.value) for fact in told if fact.label in ("used", "memory", "unloaded")] == [
        ("used", "review: 41 % of the context, $1.00 so far"),
        ("memory", "review: 312 MB in 3 processes"),
        ("unloaded", "main: since 12m ago; comes back with the next prompt"),
    ]
    together = replace(taken, session_id=None, processes=1)
    (memory,) = [
        fact.value
        for fact in facts(make_detail(1, sessions=(here,)), NOW, MemoryReport(agents=(together,)))
        if fact.label == "memory"
    ]
    assert memory == "all agents together: 312 MB"
