"""Rows fill their width exactly, say in words what colour says, and let nothing through that a terminal obeys."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from foundry_tui.contract.activity import Activity, ActivityKind, PlanProgress
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.filter import parse
from foundry_tui.contract.pull_request import Checks, ChecksState, Mergeable, PullRequest, PullRequestState, Review
from foundry_tui.contract.questions import Ask, PermissionOption, QuestionKind
from foundry_tui.contract.records import ErrorKind, StageProgress, TaskError, Usage
from foundry_tui.contract.status import StageName, TaskStatus
from foundry_tui.contract.work import Work
from foundry_tui.view.cells import fit
from foundry_tui.view.glyphs import ASCII, UNICODE, Glyphs
from foundry_tui.view.labels import glyph_of, state_text, title_of
from foundry_tui.view.roles import Role
from foundry_tui.view.rows import Needs, columns_for, moving_parts, row_pieces, says_all
from tests.app.factories import MINUTE, NOW, SECOND, make_error, make_session, make_task
from tests.fixed_clock import FixedClock


def row(width: int, glyphs: Glyphs = UNICODE, creation: str | None = None, hosts: int = 0, **changes: object) -> str:
    status = changes.pop("status", TaskStatus.IDLE)
    assert isinstance(status, TaskStatus)
    task = make_task(1, status, **changes)
    columns = columns_for(width, Needs(repo=12, host=hosts))
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
    text = "".join(
        part for part, _ in row_pieces(task, columns, UNICODE, moving, creation=creation, terms=parse("a zzzz"))
    )
    assert cell_len(text) == width
    assert not any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in text)


@pytest.mark.parametrize(
    ("width", "seconds", "said"),
    [
        (120, 34, "sandbox 34s attempt 2/3"),
        (120, 64, "sandbox 1m04s attempt 2/3"),
        (40, 34, "sandbox 34s 2/3"),
    ],
)
def test_an_attempt_is_called_one_where_there_is_room(width: int, seconds: int, said: str) -> None:
    stage = StageProgress(name=StageName.CREATE_SANDBOX, attempt=2, max_attempts=3, started_at=NOW - seconds * SECOND)
    assert f" {said} " in row(width, status=TaskStatus.CREATE_SANDBOX, stage=stage)


@given(st.text(max_size=80), st.integers(0, 60))
def test_fit_gives_exactly_the_cells_asked_for(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width


def test_what_a_terminal_would_obey_is_marked() -> None:
    assert harmless("a\x1b]0;evil\x07b\nc\u202ed\u200e") == "a␛]0;evil␇b c�d"


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
        (TaskStatus.ARCHIVING, "archiving 12s"),
        (TaskStatus.ARCHIVED, "archived"),
        (TaskStatus.KILLING, "killing 12s"),
        (TaskStatus.KILLED, "killed"),
    ],
)
def test_the_words_of_each_status(status: TaskStatus, words: str) -> None:
    assert state_text(make_task(1, status), UNICODE, NOW) == words
    assert words in row(120, status=status)


def test_what_an_agent_does_not_offer_is_left_out_by_a_key() -> None:
    lacks = replace(make_error("it offers no effort"), option="effort")
    assert "I retry without it" in row(120, status=TaskStatus.ERROR, error=lacks)


def test_questions_are_counted() -> None:
    assert "asks you 12s" in row(120, status=TaskStatus.RUNNING, needs_input=1)
    assert "3 questions 12s" in row(120, status=TaskStatus.RUNNING, needs_input=3)


@pytest.mark.parametrize("width", [60, 120])
def test_a_failed_task_says_why_and_which_key_helps(width: int) -> None:
    text = row(width, status=TaskStatus.ERROR, error=make_error("no room left"))
    assert "no room left" in text and "r retry" in text
    assert state_text(make_task(1, TaskStatus.ERROR), UNICODE, NOW) == "▰▰▱▱▱ sandbox failed"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (make_error("", kind=ErrorKind.AGENT, stage=None), "turn failed"),
        (make_error("", kind=ErrorKind.TIMEOUT), "sandbox timed out"),
    ],
)
def test_a_failure_without_a_reason_says_what_failed(error: TaskError, words: str) -> None:
    assert words in row(120, status=TaskStatus.ERROR, error=error)


def says(kind: ActivityKind, text: str) -> Activity:
    return Activity(kind=kind, text=text, at=NOW)


@pytest.mark.parametrize(
    ("status", "activity", "said"),
    [
        (TaskStatus.RUNNING, says(ActivityKind.TOOL, "pytest -q"), "▸ pytest -q"),
        (TaskStatus.RUNNING, says(ActivityKind.PLAN, "write it"), "write it"),
        (TaskStatus.RUNNING, says(ActivityKind.MESSAGE, "It was **here**"), '"It was here"'),
        (TaskStatus.IDLE, says(ActivityKind.MESSAGE, "# Done: `a` is b"), '"Done: a is b"'),
        (TaskStatus.IDLE, says(ActivityKind.TOOL, "pytest -q"), "  pytest -q"),
        (TaskStatus.IDLE, says(ActivityKind.NOTICE, "stays as it was"), "stays as it was"),
        (TaskStatus.ARCHIVED, says(ActivityKind.MESSAGE, "Done"), "archived"),
    ],
)
def test_a_task_says_what_it_does_or_said_last(status: TaskStatus, activity: Activity, said: str) -> None:
    text = row(120, status=status, activity=activity, plan=PlanProgress(done=2, total=4))
    assert said in text
    assert ("plan 2/4" in text) is (status is not TaskStatus.ARCHIVED)
    assert "plan" not in row(120, status=status, activity=activity, plan=PlanProgress(done=4, total=4))


def test_a_ready_task_says_what_became_of_its_work() -> None:
    work = Work(base="main", ahead=2, behind=0, files=3, added=10, removed=4, at=NOW)
    answered = says(ActivityKind.MESSAGE, "it lived in three places")
    text = row(140, status=TaskStatus.IDLE, work=work, activity=answered)
    assert '+10 -4 in 3 files · "it lived in three places"' in text
    assert "⇡2" in text
    assert "+10" not in row(140, status=TaskStatus.RUNNING, work=work, activity=answered)
    pull = PullRequest(
        number=212,
        url="u",
        title="t",
        state=PullRequestState.OPEN,
        checks=Checks(state=ChecksState.PASSING, passed=3),
        review=Review.APPROVED,
        mergeable=Mergeable.YES,
        at=NOW,
    )
    assert "#212 ✓ checks · approved" in row(140, status=TaskStatus.IDLE, work=work, pull_request=pull)
    assert row(140, ASCII, status=TaskStatus.IDLE, work=work, pull_request=pull).isascii()


def ask(title: str = "Run make?", **fields: object) -> Ask:
    options = (
        PermissionOption(option_id="a", name="Yes", kind="allow_once"),
        PermissionOption(option_id="d", name="No", kind="reject_once"),
    )
    given: dict[str, object] = {"permission_id": "q", "session_id": "s", "title": title, "at": NOW, "options": options}
    return Ask(**{**given, **fields})  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    ("width", "asked", "more", "whole"),
    [
        (120, ask(), 0, True),
        (120, ask(), 1, True),
        (120, ask(text=" Run make? "), 0, True),
        (120, ask(text="make install"), 0, False),
        (120, ask(whole=False), 0, False),
        (120, ask("Run make?\nrm -r"), 0, False),
        (120, ask("Run make? " * 9), 0, False),
        (60, ask("Run make all now?"), 0, False),
    ],
)
def test_a_question_has_its_keys_behind_it_and_is_known_to_be_whole_or_not(
    width: int, asked: Ask, more: int, whole: bool
) -> None:
    task = make_task(1, TaskStatus.RUNNING, needs_input=1 + more, asks=(asked,))
    text = row(width, status=TaskStatus.RUNNING, needs_input=1 + more, asks=(asked,))
    assert f"{'1 of 2: ' if more else ''}Run make" in text
    assert ("  1 allow  2 deny  " in text, "  1 2  " in text) == (width > 60, width == 60)
    assert says_all(task, columns_for(width), UNICODE) is whole


@pytest.mark.parametrize("width", [72, 78])
def test_beside_the_preview_a_text_goes_before_what_stands_behind_it(width: int) -> None:
    needs = Needs(repo=7, repos=3)

    def beside(status: TaskStatus, **changes: object) -> str:
        task = make_task(1, status, title="Make it idempotent", repo_label="billing", **changes)
        columns = columns_for(width, needs)
        moving = moving_parts(task, columns, UNICODE, NOW, FixedClock(NOW), None)
        return "".join(text for text, _ in row_pieces(task, columns, UNICODE, moving))

    asks = (ask("Run terraform apply on staging?"),)
    asking = beside(TaskStatus.RUNNING, needs_input=1, asks=asks)
    assert "Run terraform app" in asking and "  1 2  " in asking
    failed = beside(TaskStatus.ERROR, error=make_error("no space left on the sandbox host"))
    assert "no space left on" in failed and "  r " in failed
    changed = beside(
        TaskStatus.IDLE, work=Work(base="main", ahead=0, behind=0, at=NOW, uncommitted=1, files=1, added=12, removed=4)
    )
    assert "+12 -4 in 1 file" in changed


def test_a_form_is_answered_where_it_can_be_filled_in() -> None:
    asks = (ask("Which?", kind=QuestionKind.FORM, options=()),)
    assert "enter answer" in row(120, status=TaskStatus.RUNNING, needs_input=1, asks=asks)


@pytest.mark.parametrize("status", [TaskStatus.IDLE, TaskStatus.ENSURE_AGENT, TaskStatus.RUNNING, TaskStatus.ARCHIVED])
def test_a_simulated_task_says_so_where_its_state_is_said(status: TaskStatus) -> None:
    assert "simulated" in row(140, status=status, provider="demo")
    assert "simulated" not in row(140, status=status, provider="local")


@pytest.mark.parametrize("width", range(56, 141, 12))
@pytest.mark.parametrize(("creation", "said"), [("leaving", "archived "), ("pending", "asking ")])
def test_beside_a_preview_a_task_that_leaves_or_comes_still_says_that_it_is_simulated(
    width: int, creation: str, said: str
) -> None:
    line = row(width, creation=creation, status=TaskStatus.QUEUED, provider="demo")
    assert "simulated" in line and said in line


def test_the_progress_bar_gives_way_before_words_are_cut() -> None:
    stage = StageProgress(name=StageName.CREATE_SANDBOX, attempt=1, max_attempts=3, started_at=NOW - 2 * SECOND)
    narrow = row(60, title="Move all of CI to arm", status=TaskStatus.CREATE_SANDBOX, stage=stage, provider="demo")
    assert "  sandbox 2s " in narrow and "simulated" in narrow
    assert "▱ sandbox 2s" in row(80, status=TaskStatus.CREATE_SANDBOX, stage=stage, provider="demo")


def test_a_repositorys_name_is_never_cut_beside_empty_cells() -> None:
    name = "a-repository-with-a-very-long-name"
    assert name in row(120, repo_label=name)
    busy = row(120, repo_label=name, activity=says(ActivityKind.MESSAGE, "word " * 30))
    assert name not in busy and name[:11] in busy
    assert cell_len(busy) == 120


@pytest.mark.parametrize("width", [60, 80, 96, 120, 220])
def test_columns_stand_where_they_stand_in_every_row_whatever_a_task_says(width: int) -> None:
    title = "Pin the runners of all workflows to one image by its digest, and say so"
    long = row(width, title=title, repo_label="shop", activity=says(ActivityKind.MESSAGE, "word " * 60))
    for words in ("w", "word", "word " * 4):
        says_little = row(width, title=title, repo_label="shop", activity=says(ActivityKind.MESSAGE, words))
        assert says_little.index('"w') == long.index('"w')
        assert says_little.find("  shop  ") == long.find("  shop  ")


def test_the_agent_says_how_full_its_context_is() -> None:
    usage = [Usage(used=used, size=200) for used in (10, 82)]
    sessions = tuple(make_session(number, usage=each) for number, each in enumerate(usage, 1))
    assert "claude · 41 %" in row(120, sessions=sessions)
    assert "%" not in row(120)


def test_what_is_unread_has_one_mark_and_looks_like_the_rest() -> None:
    columns = columns_for(120)
    read, unread = (make_task(1, unread=unread) for unread in (False, True))
    moving = moving_parts(read, columns, UNICODE, NOW, FixedClock(NOW), None)
    before, after = (row_pieces(task, columns, UNICODE, moving) for task in (read, unread))
    assert [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]] == [
        ((" ", Role.MARK), (UNICODE.unread, Role.MARK))
    ]


def test_an_unnamed_task_shows_the_first_line_of_its_prompt() -> None:
    assert title_of(make_task(1, TaskStatus.QUEUED, prompt="\n  fix it \nplease")) == "fix it"
    assert title_of(make_task(1, TaskStatus.QUEUED, prompt="")) == "(no prompt)"


def test_a_creation_says_how_far_it_got() -> None:
    assert "asking the backend" in row(120, creation="pending", status=TaskStatus.QUEUED)
    assert "refused" in row(120, creation="refused", status=TaskStatus.ERROR)


def test_columns_give_way_as_the_width_shrinks() -> None:
    assert columns_for(60).repo == 0 and columns_for(60).said >= 26
    assert columns_for(90).repo > 0 and columns_for(90).agent == 0
    assert columns_for(120).agent > 0 and columns_for(120).branch == 0
    assert columns_for(220).branch > 0
    assert columns_for(120, with_repo=False).repo == 0
    assert columns_for(120, Needs(repo=5)).repo == 5
    assert columns_for(120).host == 0 and columns_for(120, Needs(host=7)).host == 7
    assert columns_for(90, Needs(host=7)).host == 0
    assert cell_len(row(120, hosts=7, host="build-7")) == 120


@pytest.mark.parametrize("width", [72, 78])
def test_of_several_repositories_a_task_tells_its_own_beside_the_preview_too(width: int) -> None:
    several, one = columns_for(width, Needs(repo=16, repos=2)), columns_for(width, Needs(repo=16))
    assert several.repo == 12 and several.title >= 22 and several.said >= several.title
    assert one.repo == 0
    assert columns_for(60, Needs(repo=16, repos=2)).repo == 0


@pytest.mark.parametrize("width", [60, 84, 120, 146, 220])
def test_titles_take_what_they_need_of_the_room_that_is_there(width: int) -> None:
    short, usual, long = (columns_for(width, Needs(title=cells)) for cells in (24, 44, 200))
    assert short.title == min(24, usual.title)
    assert short.said - usual.said == usual.title - short.title
    assert long.title >= usual.title and (long.title == usual.title or long.said >= 52)
    assert columns_for(220, Needs(title=50)).title == 50


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("gate", ["gate"]),
        ("mend gate", ["Mend", "gate"]),
        ("gaate", ["gate"]),
        ("mtgt", ["M", "t", "g", "t"]),
        ("repo:sho", ["sho"]),
        ("agent:cl", ["cl"]),
        ("!gate", []),
        ("branch:fix", ["fix"]),
        ("host:build", ["build"]),
    ],
)
def test_what_the_filter_found_stands_out(query: str, found: list[str]) -> None:
    task = make_task(1, title="Mend the gate too", branch="fix/it", repo_label="shop", host="build-7")
    columns = columns_for(220, Needs(host=7))
    moving = moving_parts(task, columns, UNICODE, NOW, FixedClock(NOW), None)
    pieces = row_pieces(task, columns, UNICODE, moving, terms=parse(query))
    assert [text for text, role in pieces if role is Role.MATCH] == found


def test_ages_tick_apart_from_the_rest() -> None:
    task = make_task(1, TaskStatus.IDLE, created_at=NOW - 61 * SECOND)
    columns = columns_for(100)
    before = moving_parts(task, columns, UNICODE, NOW, FixedClock(NOW), None)
    assert moving_parts(task, columns, UNICODE, NOW + SECOND, FixedClock(NOW + SECOND, 1), None) == before
    assert moving_parts(task, columns, UNICODE, NOW + MINUTE, FixedClock(NOW + MINUTE, 1), None) != before
