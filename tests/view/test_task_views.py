"""What the task screen shows, as pure functions: steps, failures, transcripts, diffs, branch names."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from foundry_tui.contract.activity import Activity, ActivityKind
from foundry_tui.contract.hosts import away_words
from foundry_tui.contract.records import (
    ErrorKind,
    HistoryEvent,
    HistoryKind,
    LogLine,
    Prompt,
    PromptState,
    SessionStatus,
    StageState,
    summary_of,
)
from foundry_tui.contract.status import StageName, TaskStatus
from foundry_tui.contract.transcript import TranscriptItem, TranscriptKind
from foundry_tui.view.details import facts
from foundry_tui.view.diffs import DiffMark, counts, edit_lines
from foundry_tui.view.glyphs import UNICODE
from foundry_tui.view.history import details, sentence
from foundry_tui.view.line_index import LineIndex
from foundry_tui.view.roles import Role
from foundry_tui.view.says import saying, timed_text
from foundry_tui.view.stepper import StepState, failure, spent_text, steps
from foundry_tui.view.task_notices import chosen_session, empty_state_of, turn_words
from foundry_tui.view.transcript import blocks, entry_of, first_difference, prompts_by_item, unfenced
from tests.app.factories import NOW, SECOND, make_detail, make_error, make_session, make_task
from tests.app.harness import LIVE
from tests.app.way_home_scenes import PULL, an_operation


def item(index: int, body: str = "x", kind: TranscriptKind = TranscriptKind.MESSAGE) -> TranscriptItem:
    return TranscriptItem(item_id=f"i{index}", session_id="s", index=index, kind=kind, body=body, at=NOW, revision=1)


@pytest.mark.parametrize("status", list(TaskStatus))
def test_a_summary_tells_the_same_steps_as_the_whole_task(status: TaskStatus) -> None:
    whole = make_detail(1, status)
    assert [step.state for step in steps(whole)[1:]] == [step.state for step in steps(summary_of(whole))[1:]]


def test_a_stage_between_attempts_waits_until_its_next_one() -> None:
    task = make_detail(1, TaskStatus.CREATE_SANDBOX)
    stages = tuple(
        replace(stage, attempt=2, finished_at=NOW, error=make_error())
        if stage.name is StageName.CREATE_SANDBOX
        else stage
        for stage in task.stages
    )
    event = HistoryEvent(
        seq=1,
        task_id=task.task_id,
        kind=HistoryKind.STAGE_RETRYING,
        at=NOW,
        payload={"stage": "create_sandbox", "next_at": NOW + 5 * SECOND},
    )
    step = steps(replace(task, stages=stages, history=(event,)))[2]
    assert step.state is StepState.WAITING
    assert step.resumes_at == NOW + 5 * SECOND
    assert step.attempt == 2


def test_a_cancelled_stage_says_so() -> None:
    task = make_detail(1, TaskStatus.KILLED)
    stages = tuple(replace(stage, state=StageState.CANCELLED) for stage in task.stages)
    assert {step.word for step in steps(replace(task, stages=stages))[1:]} == {"cancelled"}


def test_pending_and_refused_creations() -> None:
    task = make_detail(1, TaskStatus.QUEUED)
    assert steps(task, pending=True)[0].word == "sending"
    assert steps(task, refused=True)[0].word == "refused"


@pytest.mark.parametrize(
    ("attempt", "retryable", "tried"),
    [(3, True, "tried 3 times"), (1, False, "tried once; not tried again"), (1, True, "tried once of 3")],
)
def test_a_failure_says_what_was_tried(attempt: int, retryable: bool, tried: str) -> None:
    task = make_detail(1, TaskStatus.ERROR)
    error = make_error(retryable=retryable)
    stages = tuple(
        replace(stage, attempt=attempt) if stage.name is StageName.CREATE_SANDBOX else stage for stage in task.stages
    )
    found = failure(replace(task, error=error, stages=stages))
    assert found is not None
    assert found.tried.startswith(tried)


@pytest.mark.parametrize("state", list(StageState))
def test_only_a_task_that_became_ready_says_how_long_that_took(state: StageState) -> None:
    task = make_detail(1, TaskStatus.IDLE)
    last = replace(task.stages[-1], state=state, finished_at=NOW)
    labels = [fact.label for fact in facts(replace(task, stages=(*task.stages[:-1], last)), NOW)]
    assert ("ready in" in labels) is (state is StageState.DONE)


def test_of_a_failed_turn_the_last_line_is_told_and_not_those_of_turns_before() -> None:
    error = make_error(kind=ErrorKind.AGENT, stage=None)
    log = [LogLine(index=n, stage="turn", at=NOW, text=f"failure {n}") for n in range(3)]
    found = failure(replace(make_detail(1, TaskStatus.ERROR), error=error), log)
    assert found is not None
    assert found.log == ("failure 2",)


def test_nothing_failed_is_no_failure() -> None:
    assert failure(make_detail(1, TaskStatus.IDLE)) is None


def test_time_spent_never_runs_backwards() -> None:
    step = steps(make_detail(1, TaskStatus.CREATE_SANDBOX))[2]
    assert spent_text(step, NOW - 60 * SECOND) == "0s"
    assert spent_text(step, NOW) == "12s"


@given(st.lists(st.integers(0, 9), max_size=40), st.lists(st.tuples(st.integers(0, 39), st.integers(0, 9)), max_size=9))
def test_lines_are_found_in_the_items_that_they_belong_to(heights: list[int], changes: list[tuple[int, int]]) -> None:
    index = LineIndex(heights)
    for place, height in changes:
        if place < len(heights):
            assert index.set(place, height) == height - heights[place]
            heights[place] = height
        index.start(min(place // 2, len(heights)))
    assert index.total == sum(heights)
    starts = list(accumulate(heights, initial=0))
    for line in range(sum(heights)):
        place, inside = index.locate(line)
        assert starts[place] + inside == line
        assert 0 <= inside < heights[place]
    with pytest.raises(IndexError):
        index.locate(index.total)


@given(st.text(alphabet="ab`~ \n#-", max_size=80))
def test_blocks_lose_nothing_that_was_said(text: str) -> None:
    assert "".join("".join(blocks(text)).split()) == "".join(text.split())


def test_a_fence_around_all_that_a_command_has_printed_is_not_shown() -> None:
    assert unfenced("```sh\none\n\n two\n```\n") == "one\n\n two"
    assert unfenced("````\n```\nin it\n```\n````") == "```\nin it\n```"
    for text in ("plain", "", "```", "```\n", "```sh\ncut", "```\na\n```\nb\n```", "`a`\n`", "```\na\n``` b"):
        assert unfenced(text) == text


def test_blank_lines_in_code_end_no_block() -> None:
    assert blocks("one\n\n```\na\n\nb\n```\n\ntwo") == ["one", "```\na\n\nb\n```", "two"]


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300))
def test_the_first_difference_of_two_versions(length: int, other: int, place: int) -> None:
    old = [item(number) for number in range(length)]
    new = [*old[:other], *(item(number) for number in range(length, other))]
    if place < len(new):
        new[place] = item(place, "changed")
    expected = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    assert first_difference(old, new) == expected


def test_prompts_find_their_items_by_id_and_then_by_text() -> None:
    def prompt(prompt_id: str, text: str) -> Prompt:
        return Prompt(prompt_id=prompt_id, session_id="s", text=text, state=PromptState.DELIVERED, at=NOW)

    said = [item(0, "go", TranscriptKind.PROMPT), item(1, "go", TranscriptKind.PROMPT)]
    prompts = (prompt("p1", "go"), prompt("i0", "go"), prompt("p3", "later"))
    placed, waiting = prompts_by_item(said, prompts)
    assert {key: value.prompt_id for key, value in placed.items()} == {"i0": "i0", "i1": "p1"}
    assert [each.prompt_id for each in waiting] == ["p3"]


def test_a_body_that_does_not_fit_its_kind_is_shown_as_it_is() -> None:
    odd = replace(item(0, kind=TranscriptKind.PLAN), body={"unknown": [1, 2]})
    entry = entry_of(odd, {}, {})
    assert entry.kind is TranscriptKind.NOTICE
    assert "unknown" in str(entry.body)


def test_an_edit_as_a_diff() -> None:
    lines = edit_lines("a\nb\nc\n", "a\nB\nc\n")
    assert [(line.mark, line.text, line.number) for line in lines if line.mark is not DiffMark.HUNK] == [
        (DiffMark.CONTEXT, "a", 1),
        (DiffMark.REMOVED, "b", 2),
        (DiffMark.ADDED, "B", 2),
        (DiffMark.CONTEXT, "c", 3),
    ]
    assert counts(lines) == (1, 1)
    assert [line.mark for line in edit_lines(None, "new\n")] == [DiffMark.ADDED]


def test_a_question_that_is_drawn_again_is_not_compared_again() -> None:
    old, new = "".join(f"{n}\n" for n in range(3_000)), "".join(f"{n}\n" for n in range(1, 3_000))
    first = edit_lines(old, new)
    assert edit_lines(old, new) is first


@pytest.mark.parametrize("kind", list(HistoryKind))
def test_every_history_kind_has_words(kind: HistoryKind) -> None:
    event = HistoryEvent(
        seq=1, task_id="t", kind=kind, at=NOW, payload={"stage": "create_sandbox", "attempt": 2, "message": "why"}
    )
    assert sentence(event) and str(kind) not in sentence(event)
    assert "{" not in sentence(event)
    assert "why" in details(event)


def test_what_has_ended_opens_at_its_first_session_and_offers_no_writing() -> None:
    first, second = (make_session(number, status=SessionStatus.CLOSED) for number in (1, 2))
    assert chosen_session((first, second), None) is first
    assert chosen_session((first, second), second.session_id) is second
    task = make_task(1, TaskStatus.KILLED)
    face = empty_state_of(task, second, LIVE, UNICODE, NOW, gone=False, known=True, said=False)
    assert face is not None
    assert (face.headline, face.actions) == ("Nothing was said here", ())


@pytest.mark.parametrize("status", [TaskStatus.CREATE_SANDBOX, TaskStatus.RUNNING, TaskStatus.IDLE, TaskStatus.ERROR])
def test_a_task_whose_host_is_away_says_so_in_the_list_and_on_its_screen_before_all_else(status: TaskStatus) -> None:
    said = Activity(kind=ActivityKind.NOTICE, text=away_words("build-7"), at=NOW)
    task = make_detail(1, status, host="build-7", pull_request=PULL, operation=an_operation())
    session = make_session(1, status=SessionStatus.READY)
    for away in (False, True):
        shown = replace(task, activity=said) if away else task
        timed = timed_text(shown, UNICODE, NOW)
        line = saying(shown, UNICODE, timed, Role.WORKING).text
        screen = turn_words(shown, session, UNICODE, NOW, pending=False, asks=False).text
        assert ("build-7 is away" in line, "build-7 is away" in screen) == (away, away)
        assert not (away and timed), "nothing goes on that would take its time"
