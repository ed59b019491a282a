"""Rows fill their width exactly, say in words what colour says, and let nothing through that a terminal obeys."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from foundry_tui.contract.records import ErrorKind, StageProgress
from foundry_tui.contract.status import StageName, TaskStatus
from foundry_tui.view.cells import fit, plain
from foundry_tui.view.clock import FixedClock
from foundry_tui.view.glyphs import ASCII, UNICODE, Glyphs
from foundry_tui.view.labels import glyph_of, state_text, title_of
from foundry_tui.view.rows import Role, columns_for, moving_parts, row_pieces
from tests.app.factories import MINUTE, NOW, SECOND, make_error, make_task


def row(width: int, glyphs: Glyphs = UNICODE, creation: str | None = None, **changes: object) -> str:
    status = changes.pop("status", TaskStatus.IDLE)
    assert isinstance(status, TaskStatus)
    task = make_task(1, status, **changes)
    columns = columns_for(width)
    moving = moving_parts(task, columns, glyphs, NOW, FixedClock(NOW), creation)
    return "".join(text for text, _ in row_pieces(task, columns, glyphs, moving, creation=creation))


@given(
    st.integers(40, 250),
    st.sampled_from(list(TaskStatus)),
    st.text(max_size=60),
    st.none() | st.text(max_size=60),
    st.booleans(),
    st.sampled_from([None, "pending", "refused"]),
)
@settings(max_examples=300)
def test_a_row_fills_its_width_exactly(
    width: int, status: TaskStatus, title: str, branch: str | None, marks: bool, creation: str | None
) -> None:
    task = make_task(1, status, title=title, branch=branch)
    columns = columns_for(width, marks=marks)
    moving = moving_parts(task, columns, UNICODE, NOW, FixedClock(NOW, 3), creation)
    text = "".join(part for part, _ in row_pieces(task, columns, UNICODE, moving, creation=creation, words=("a",)))
    assert cell_len(text) == width
    assert not any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in text)


@pytest.mark.parametrize(
    ("width", "seconds", "said"),
    [
        (120, 34, "sandbox 34s attempt 2/3"),
        (120, 64, "sandbox 1m04s attempt 2/3"),
        (60, 34, "sandbox 34s 2/3"),
    ],
)
def test_an_attempt_is_called_one_where_there_is_room(width: int, seconds: int, said: str) -> None:
    stage = StageProgress(name=StageName.CREATE_SANDBOX, attempt=2, max_attempts=3, started_at=NOW - seconds * SECOND)
    assert f"  {said} " in row(width, status=TaskStatus.CREATE_SANDBOX, stage=stage)


@given(st.text(max_size=80), st.integers(0, 60))
def test_fit_gives_exactly_the_cells_asked_for(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width


def test_what_a_terminal_would_obey_is_marked() -> None:
    assert plain("a\x1b]0;evil\x07b\nc\u202ed\u200e") == "a␛]0;evil␇b c�d"


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_every_state_has_a_shape_of_its_own(glyphs: Glyphs) -> None:
    shapes = [
        glyph_of(make_task(1, status), glyphs, 0)
        for status in (
            TaskStatus.QUEUED,
            TaskStatus.ENSURE_NAME,
            TaskStatus.RUNNING,
            TaskStatus.IDLE,
            TaskStatus.ERROR,
            TaskStatus.ARCHIVING,
            TaskStatus.ARCHIVED,
            TaskStatus.KILLED,
        )
    ]
    shapes.append(glyph_of(make_task(1, TaskStatus.RUNNING, needs_input=1), glyphs, 0))
    shapes += [glyph_of(make_task(1, TaskStatus.QUEUED), glyphs, 0, creation) for creation in ("pending", "refused")]
    assert len(set(shapes)) == len(shapes)


def test_ascii_rows_are_ascii() -> None:
    for status in TaskStatus:
        assert row(120, ASCII, status=status, title="x" * 200, branch="y" * 200).isascii(), status


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (TaskStatus.QUEUED, "▱▱▱▱▱ queued 12s"),
        (TaskStatus.ENSURE_NAME, "▰▱▱▱▱ name 12s"),
        (TaskStatus.CREATE_SANDBOX, "▰▰▱▱▱ sandbox 12s"),
        (TaskStatus.ENSURE_AGENT, "▰▰▰▱▱ agent 12s"),
        (TaskStatus.CREATE_SESSION, "▰▰▰▰▱ session 12s"),
        (TaskStatus.RUNNING, "working 12s"),
        (TaskStatus.IDLE, "ready"),
        (TaskStatus.ERROR, "▰▰▱▱▱ sandbox failed"),
        (TaskStatus.ARCHIVING, "archiving 12s"),
        (TaskStatus.ARCHIVED, "archived"),
        (TaskStatus.KILLING, "killing 12s"),
        (TaskStatus.KILLED, "killed"),
    ],
)
def test_the_words_of_each_status(status: TaskStatus, words: str) -> None:
    assert state_text(make_task(1, status), UNICODE, NOW) == words
    assert words in row(120, status=status)


def test_questions_are_counted() -> None:
    assert "asks you 12s" in row(120, status=TaskStatus.RUNNING, needs_input=1)
    assert "3 questions 12s" in row(120, status=TaskStatus.RUNNING, needs_input=3)


def test_a_failed_turn_names_no_stage() -> None:
    error = make_error("the agent died", kind=ErrorKind.AGENT, stage=None)
    assert "turn failed" in row(120, status=TaskStatus.ERROR, error=error)


def test_a_time_out_is_called_one() -> None:
    error = make_error("took too long", kind=ErrorKind.TIMEOUT)
    assert "sandbox timed out" in row(120, status=TaskStatus.ERROR, error=error)


@pytest.mark.parametrize("width", [70, 120])
def test_the_reason_of_a_failure_stands_behind_a_title_that_leaves_room(width: int) -> None:
    error = make_error("no room left")
    assert "Short  no room left" in row(width, status=TaskStatus.ERROR, title="Short", error=error)
    assert "no room" not in row(
        width, status=TaskStatus.ERROR, title="A title that takes the place of reasons", error=error
    )


def test_a_failed_task_shows_its_branch_as_any_other() -> None:
    assert "fix/gate" in row(120, status=TaskStatus.ERROR, branch="fix/gate", error=make_error("no room left"))


def test_an_unnamed_task_shows_the_first_line_of_its_prompt() -> None:
    assert title_of(make_task(1, TaskStatus.QUEUED, prompt="\n  fix it \nplease")) == "fix it"
    assert title_of(make_task(1, TaskStatus.QUEUED, prompt="")) == "(no prompt)"


def test_a_creation_says_how_far_it_got() -> None:
    assert "asking the backend" in row(120, creation="pending", status=TaskStatus.QUEUED)
    assert "refused" in row(120, creation="refused", status=TaskStatus.ERROR)


def test_columns_give_way_as_the_width_shrinks() -> None:
    assert columns_for(60).branch == 0 and columns_for(60).title >= 28
    assert columns_for(90).branch > 0 and columns_for(90).agent == 0
    assert columns_for(120).agent > 0
    assert columns_for(120, with_repo=False).repo == 0


def test_words_found_by_the_filter_stand_out() -> None:
    task = make_task(1, title="Mend the gate")
    columns = columns_for(100)
    moving = moving_parts(task, columns, UNICODE, NOW, FixedClock(NOW), None)
    pieces = row_pieces(task, columns, UNICODE, moving, words=("gate",))
    assert ("gate", Role.MATCH) in pieces


def test_ages_tick_apart_from_the_rest() -> None:
    task = make_task(1, TaskStatus.IDLE, created_at=NOW - 61 * SECOND)
    columns = columns_for(100)
    before = moving_parts(task, columns, UNICODE, NOW, FixedClock(NOW), None)
    assert moving_parts(task, columns, UNICODE, NOW + SECOND, FixedClock(NOW + SECOND, 1), None) == before
    assert moving_parts(task, columns, UNICODE, NOW + MINUTE, FixedClock(NOW + MINUTE, 1), None) != before
