"""What a newer backend says in words that this version does not know is read, kept and shown as it is."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from foundry_tui.cli.follow.waiting import WaitCondition
from foundry_tui.contract import codec
from foundry_tui.contract.filter import entry_of as filter_entry
from foundry_tui.contract.moves import IllegalMoveError, check_move
from foundry_tui.contract.questions import PermissionState
from foundry_tui.contract.records import (
    ErrorKind,
    HistoryEvent,
    HistoryKind,
    Prompt,
    PromptState,
    SessionStatus,
    StageRecord,
    StageState,
    TaskDetail,
    TaskError,
)
from foundry_tui.contract.status import StageName, TaskStatus, reached
from foundry_tui.contract.task_words import Group, group_of
from foundry_tui.contract.transcript import TranscriptItem, TranscriptKind
from foundry_tui.contract.versions import is_older
from foundry_tui.view.glyphs import ASCII, UNICODE
from foundry_tui.view.history import details, sentence
from foundry_tui.view.labels import glyph_of, state_text
from foundry_tui.view.patches import parse_patch
from foundry_tui.view.stepper import StepState, failure, steps
from foundry_tui.view.task_notices import turn_words
from foundry_tui.view.transcript import Standing, entry_of, entry_of_prompt
from tests.app.factories import NOW, make_detail, make_session
from tests.app.task_scenes import a_permission

NEWER: dict[str, Any] = {
    "status": "init_review_plan",
    "stage": {"name": "review_plan", "attempt": 1, "max_attempts": 3},
}


def newer(**changes: Any) -> TaskDetail:
    """A task as a newer backend tells it, with a field that we do not know either."""
    told = codec.decode(codec.encode(make_detail(1, TaskStatus.RUNNING)), dict[str, Any])
    return codec.decode(codec.encode({**told, "mood": "hopeful", **NEWER, **changes}), TaskDetail)


def test_an_unknown_word_is_read_kept_and_written_as_it_came() -> None:
    task = newer()
    assert task.status == "init_review_plan"
    assert isinstance(task.status, TaskStatus)
    assert not task.status.is_known
    assert make_detail(1).status.is_known
    assert b'"status":"init_review_plan"' in codec.encode(task)
    with pytest.raises(msgspec.ValidationError, match="Expected `str`"):
        newer(status=3)


def test_many_threads_read_unknown_words_at_once() -> None:
    documents = [
        codec.encode({**codec.decode(codec.encode(newer()), dict[str, Any]), "status": f"s{i}"}) for i in range(64)
    ]
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda document: codec.decode(document, TaskDetail).status, documents * 10))
    assert read == [f"s{i}" for i in range(64)] * 10


def test_a_task_in_an_unknown_status_is_shown_under_its_own_word() -> None:
    task = newer()
    for glyphs in (UNICODE, ASCII):
        assert glyph_of(task, glyphs, 3) == "?"
        assert state_text(task, glyphs, NOW) == "init_review_plan"
    assert group_of(task) is Group.WORKING
    assert "init_review_plan" in filter_entry(task).status


def test_an_unknown_status_is_on_no_way_that_we_know() -> None:
    unknown = newer().status
    assert not reached(unknown, TaskStatus.RUNNING)
    assert not reached(TaskStatus.IDLE, unknown)
    for old, new in ((unknown, TaskStatus.IDLE), (TaskStatus.IDLE, unknown)):
        with pytest.raises(IllegalMoveError):
            check_move(old, new)
    assert WaitCondition(TaskStatus.IDLE, since=None).of_task(newer(stages=[])) is None


def test_an_unknown_stage_has_a_step_of_its_own_where_it_stands() -> None:
    found = steps(newer(stages=[], stages_done=2))
    assert [step.name for step in found] == ["queued", "name", "sandbox", "review_plan", "agent", "session"]
    assert found[3].state is StepState.RUNNING
    whole = steps(newer(stages=[StageRecord(name=StageName("review_plan"), state=StageState("paused"))]))
    assert (whole[-1].name, whole[-1].word, whole[-1].state) == ("review_plan", "paused", StepState.UNKNOWN)


def test_an_unknown_failure_says_its_stage_and_its_reason() -> None:
    error = TaskError(
        kind=ErrorKind("policy"), message="not allowed", retryable=True, at=NOW, stage=StageName("review_plan")
    )
    for stages in ([], [StageRecord(name=StageName("review_plan"), state=StageState.FAILED, error=error)]):
        task = newer(status="error", error=error, stages=stages)
        failed = failure(task)
        assert failed is not None
        assert "review_plan" in failed.headline
        assert failed.reason == "not allowed"
        assert "review_plan failed" in state_text(task, UNICODE, NOW)
        assert any(step.state is StepState.FAILED for step in steps(task))


@pytest.mark.parametrize("stage", [None, "review_plan", 7, ["a"], {"a": 1}])
def test_an_unknown_history_event_is_told_by_its_own_kind(stage: object) -> None:
    kind = HistoryKind("plan.{reviewed}")
    event = HistoryEvent(seq=1, task_id="t", kind=kind, at=NOW, payload={"stage": stage, "message": "by Ann"})
    assert sentence(event) == "plan.{reviewed}"
    assert details(event) == "by Ann"
    started = HistoryEvent(seq=1, task_id="t", kind=HistoryKind.STAGE_STARTED, at=NOW, payload={"stage": stage})
    assert sentence(started).endswith(" started")
    assert WaitCondition(TaskStatus.IDLE, since=0).of_event(started) is None


def test_what_was_said_in_an_unknown_way_stands_in_the_conversation() -> None:
    for body in ("roses are red", {"lines": ["roses"]}):
        item = TranscriptItem(
            item_id="i", session_id="s", index=0, kind=TranscriptKind("verse"), body=body, at=NOW, revision=1
        )
        entry = entry_of(item, {}, {})
        assert entry.kind == "verse"
        assert "roses" in str(entry.body)
    prompt = Prompt(prompt_id="p", session_id="s", text="go", state=PromptState("held"), at=NOW)
    assert (entry_of_prompt(prompt).note, entry_of_prompt(prompt).standing) == ("held", Standing.WAITING)


def test_a_session_and_a_question_in_an_unknown_state_say_so() -> None:
    session = make_session(status=SessionStatus("moving"))
    words = turn_words(make_detail(1), session, UNICODE, NOW, pending=False, asks=False)
    assert "moving" in words.text
    assert words.glyph == "?"
    asked = codec.decode(codec.encode({**_plain(a_permission()), "state": "delegated"}), type(a_permission()))
    assert isinstance(asked.state, PermissionState)
    body = {"permission_id": asked.permission_id, "title": "Run make?"}
    item = TranscriptItem(
        item_id="i", session_id="s", index=0, kind=TranscriptKind.PERMISSION, body=body, at=NOW, revision=1
    )
    assert entry_of(item, {}, {asked.permission_id: asked}).note == "delegated"


def _plain(record: object) -> dict[str, Any]:
    return codec.decode(codec.encode(record), dict[str, Any])


def test_numbers_that_python_does_not_read_are_none() -> None:
    number = "9" * 5_000
    assert not is_older(number)
    assert parse_patch(f"@@ -{number} +1 @@\n-a\n") == parse_patch("@@ -x +1 @@\n-a\n")
