"""Search in a conversation, its blocks of code, the times of a turn, and how lists share a column."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tui.contract.records import HistoryEvent, HistoryKind
from foundry_tui.contract.transcript import TranscriptItem, TranscriptKind
from foundry_tui.view.code_blocks import begins_at, code_blocks
from foundry_tui.view.transcript_search import Match, Span, TranscriptSearch, occurrences
from foundry_tui.view.turn import TurnTime, turn_time, working_words
from foundry_tui.view.work import LEAST_LINES, listed, window


def item(index: int, kind: TranscriptKind, body: str | dict[str, Any], at: int = 0) -> TranscriptItem:
    return TranscriptItem(item_id=f"i{index}", session_id="s", index=index, kind=kind, body=body, at=at, revision=1)


def said(*texts: str) -> list[TranscriptItem]:
    return [item(index, TranscriptKind.MESSAGE, text) for index, text in enumerate(texts)]


def test_matches_are_gone_through_in_both_directions_and_around() -> None:
    search = TranscriptSearch()
    items = said("a tree", "nothing", "Tree, tree")
    search.begin("TREE", items)
    assert search.total == 3
    went = []
    for direction in (1, 1, 1, 1, -1, -1):
        search.current = search.step(direction)
        went.append(search.place)
    assert went == [1, 2, 3, 1, 3, 2]
    assert search.nearest(1, 0) == Match(2, 0)
    # One that grew is counted anew, and where one was stays where one was.
    search.items_changed([*items[:2], said("", "", "tree tree tree tree")[2]], 2)
    assert (search.total, search.place) == (5, 2)
    search.begin("absent", items)
    assert (search.total, search.step(1), search.place) == (0, None, 0)


def test_what_a_tool_did_is_found_in_its_output_and_in_its_diff() -> None:
    edit = {"path": "shop/auth.py", "old": "a\n", "new": "needle\n"}
    body = {"title": "make", "content": "two needles", "edits": [edit]}
    search = TranscriptSearch()
    search.begin("needle", [item(0, TranscriptKind.TOOL_CALL, body)])
    assert search.total == 2


def test_a_match_that_is_wrapped_is_marked_on_both_lines() -> None:
    assert occurrences(["● the query", "  string  "], "Query string") == [(Span(0, 6, 11), Span(1, 2, 8))]


@given(st.lists(st.text("ab \n", max_size=12), max_size=6), st.text("ab", min_size=1, max_size=3))
@settings(max_examples=60)
def test_every_match_of_drawn_lines_says_what_was_searched_for(lines: list[str], wanted: str) -> None:
    lines = [line.replace("\n", " ") for line in lines]
    for pieces in occurrences(lines, wanted):
        assert "".join(lines[piece.line][piece.start : piece.end] for piece in pieces).replace(" ", "") == wanted


def test_blocks_of_code_are_copied_without_their_fences_wherever_they_stand() -> None:
    text = "One:\n```python\nif x:\n    y()\n```\n1. Two\n   ~~~~\n   make ```\n   ~~~~\n\n```\n\n```\nopen:\n```sh\nls"
    assert code_blocks(text) == ["if x:\n    y()", "make ```", "ls"]
    assert begins_at(
        ["● One:", "", "  if x:", "      y()", "  1 Two", "    make ```", "  open:", "  ls"], code_blocks(text)
    ) == [
        2,
        5,
        7,
    ]


def event(seq: int, at: int, kind: HistoryKind, **payload: Any) -> HistoryEvent:
    return HistoryEvent(seq=seq, task_id="t", kind=kind, at=at, payload=payload)


def test_the_time_waited_for_a_person_is_not_the_agents() -> None:
    kind = HistoryKind
    history = [
        event(1, 0, kind.PROMPT_DELIVERED, session_id="s"),
        event(2, 9_000, kind.PERMISSION_OPENED, session_id="s", permission_id="early"),
        event(3, 10_000, kind.PROMPT_DELIVERED, session_id="s"),
        event(4, 12_000, kind.PERMISSION_OPENED, session_id="other", permission_id="x"),
        event(5, 20_000, kind.PERMISSION_OPENED, session_id="s", permission_id="a"),
        event(6, 25_000, kind.PERMISSION_OPENED, session_id="s", permission_id="b"),
        event(7, 30_000, kind.PERMISSION_ANSWERED, permission_id="a"),
        event(8, 50_000, kind.PERMISSION_CANCELLED, permission_id="b"),
        event(9, 60_000, kind.PERMISSION_OPENED, session_id="s", permission_id="c"),
    ]
    assert turn_time(history[:8], "s", 70_000) == TurnTime(10_000, 30_000)
    assert turn_time(history, "s", 70_000) == TurnTime(10_000, 40_000)
    assert turn_time(history, "third", 70_000) is None


def test_what_the_agent_does_is_said_with_since_when() -> None:
    call = item(0, TranscriptKind.TOOL_CALL, {"title": "pytest -q\nx", "status": "in_progress"}, at=58_000)
    assert working_words(call, TurnTime(10_000, 40_000), 70_000, "·") == (
        "pytest -q, 12s · the turn 20s · waited 40s for you"
    )
    done = item(0, TranscriptKind.TOOL_CALL, {"title": "pytest", "status": "completed"})
    assert working_words(done, TurnTime(10_000), 70_000, "·") == "The agent is working, 1m00s"


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(-5, 60))
@settings(max_examples=60)
def test_lists_share_a_column_and_each_keeps_a_few_lines(plan: int, files: int, sessions: int, room: int) -> None:
    found = listed(plan, files, sessions, room)
    for had, shown in ((plan, found.plan), (files, found.files), (sessions, found.sessions)):
        assert min(had, LEAST_LINES) <= shown <= had
    assert found.plan + found.files + found.sessions <= max(room, 3 * LEAST_LINES)


@given(st.integers(1, 30), st.integers(0, 29), st.integers(1, 30))
@settings(max_examples=60)
def test_the_line_one_looks_at_is_in_sight(count: int, at: int, room: int) -> None:
    at = min(at, count - 1)
    assert at in window(count, at, room) and len(window(count, at, room)) == min(count, room)
