"""What goes over the wire: ids, topics, event ids, records as JSON, and problems."""

import json
from functools import partial

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.contract import codec, pull_request, questions, records, requests, transcript, work
from foundry_tui.contract.events import (
    PING_AFTER,
    SILENCE_LIMIT,
    TASKS,
    EventName,
    Topic,
    TopicKind,
    event_id,
    parse_event_id,
)
from foundry_tui.contract.ids import is_id, is_task_id, uuid7
from foundry_tui.contract.problems import NO_METHOD, NO_ROUTE, FieldError, Problem
from foundry_tui.contract.records import HistoryKind, TaskDetail, TaskSummary, summary_of
from foundry_tui.contract.status import StageName, TaskStatus
from tests.contract import checks

ID = "01a2080f-3533-711a-990c-c7ddecc9953e"
RECORDS: dict[type[msgspec.Struct], frozenset[str]] = {
    records.TaskSummary: checks.TASK_SUMMARY,
    work.Work: checks.WORK,
    pull_request.PullRequest: checks.PULL_REQUEST,
    records.TaskDetail: checks.TASK_DETAIL,
    records.TaskError: checks.TASK_ERROR | {"option"},  # where one was lacking, and nowhere else
    records.StageProgress: checks.STAGE_PROGRESS,
    records.StageRecord: checks.STAGE,
    records.Sandbox: checks.SANDBOX,
    records.SessionSummary: checks.SESSION,
    records.SessionState: checks.SESSION_STATE,
    records.SessionDetail: checks.SESSION_STATE | {"transcript"},
    records.SessionOption: checks.OPTION,
    records.Prompt: checks.PROMPT,
    transcript.TranscriptItem: checks.TRANSCRIPT_ITEM,
    questions.Permission: checks.PERMISSION,
    records.Operation: checks.OPERATION,
    questions.FormField: checks.FIELD,
    records.HistoryEvent: checks.HISTORY_EVENT,
    records.Repo: checks.REPO,
    records.LogLine: checks.LOG_LINE,
}
KINDS = """task.created, provision.queued, stage.started, stage.retrying, stage.completed, stage.failed,
provision.resumed, provision.retry_requested, task.named, sandbox.created, sandbox.resumed, agent.ready,
session.requested, session.ready, session.failed, session.closed, prompt.queued, prompt.delivered, prompt.answered,
prompt.failed, prompt.edited, prompt.withdrawn, permission.opened, permission.answered, permission.cancelled,
session.stopped, session.option_set, operation.requested, operation.completed, operation.failed, checkpoint.made,
task.running, task.idle, task.error, task.renamed, task.archive_requested,
task.kill_requested, sandbox.released, sandbox.destroyed, sandbox.leftover, task.archived, task.killed"""


@pytest.mark.parametrize("record", RECORDS)
def test_field_names_are_exact(record: type[msgspec.Struct]) -> None:
    assert set(record.__struct_encode_fields__) == RECORDS[record]


def test_history_kinds_and_event_names_are_exact() -> None:
    assert {kind.value for kind in HistoryKind} == {kind.strip() for kind in KINDS.replace("\n", " ").split(",")}
    names = "snapshot task task_removed repo session transcript log operation history resumed ping"
    assert {name.value for name in EventName} == set(names.split())


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_a_uuid7_has_its_time_version_and_variant(millis: int, entropy: bytes) -> None:
    made = uuid7(lambda: millis, lambda count: entropy[:count])
    assert is_task_id(made)
    assert is_id(made)
    assert int(made[:8] + made[9:13], 16) == millis
    assert made[14] == "7"
    assert made[19] in "89ab"


def test_later_ids_sort_behind_earlier_ones() -> None:
    made = [uuid7(partial(int, now)) for now in range(1_000)]
    assert made == sorted(made)
    assert len({uuid7() for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize("text", ["", "x", ID.upper(), ID + " ", " " + ID, ID.replace("-", "")])
def test_what_is_no_task_id(text: str) -> None:
    assert is_task_id(ID)
    assert not is_task_id(text)
    assert not is_task_id("0b1c2d3e-4f50-4abc-8def-0123456789ab"), "version 4"


@pytest.mark.parametrize("text", ["", "a/b", "a b", "-a", ".a", "é", "a\n", "a" * 129, "a?b", "a%b"])
def test_what_is_no_id(text: str) -> None:
    assert not is_id(text)
    assert is_id("a" * 128)
    assert is_id("A1._~-")


@pytest.mark.parametrize("text", ["tasks", "task:a", "session:b:c", "log:" + "x" * 50])
def test_topics_are_read_and_written_alike(text: str) -> None:
    assert str(Topic.parse(text)) == text
    assert Topic.parse("tasks") == TASKS


@pytest.mark.parametrize("text", ["", "task", "task:", "tasks:", "tasks:x", "Tasks", "repo:x", ":", ":x", "task :x"])
def test_what_is_no_topic(text: str) -> None:
    with pytest.raises(ValueError, match="is no topic"):
        Topic.parse(text)


@given(st.text(alphabet="0123456789abcdef", min_size=1), st.integers(0, 10**18 - 1))
def test_event_ids_are_read_and_written_alike(database: str, seq: int) -> None:
    assert parse_event_id(event_id(database, seq)) == (database, seq)


@given(st.text())
def test_no_text_breaks_the_reader_of_event_ids(text: str) -> None:
    try:
        database, seq = parse_event_id(text)
    except ValueError:
        return
    assert text == f"{database}-{text.rpartition('-')[2]}"
    assert int(text.rpartition("-")[2]) == seq


@pytest.mark.parametrize("text", ["", "-", "a-", "-1", "a-x", "a-1.0", "a-١", "a-" + "9" * 19, "a- 1"])
def test_what_is_no_event_id(text: str) -> None:
    with pytest.raises(ValueError, match="is no event id"):
        parse_event_id(text)


def test_a_ping_comes_well_before_a_silence_counts_as_death() -> None:
    assert PING_AFTER < SILENCE_LIMIT <= 15


def _task(prompt: str) -> TaskDetail:
    return TaskDetail(
        task_id=uuid7(),
        repo_id="repo-1",
        repo_label="repo",
        prompt=prompt,
        agent="demo",
        provider="demo",
        status=TaskStatus.IDLE,
        status_since=1,
        created_at=1,
        updated_at=2,
        revision=3,
    )


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_text_is_kept_as_it_came(prompt: str) -> None:
    task = _task(prompt)
    assert codec.decode(codec.encode(task), TaskDetail) == task
    summary = summary_of(task)
    assert type(summary) is TaskSummary
    assert summary.prompt == prompt[:200]
    assert summary_of(summary) is summary


def test_null_and_absent_are_the_same_and_new_fields_are_passed_over() -> None:
    whole = json.loads(codec.encode(_task("x")))
    absent = {name: value for name, value in whole.items() if value is not None}
    later = {**whole, "colour": "blue"}
    assert (
        codec.decode(json.dumps(absent), TaskDetail)
        == codec.decode(json.dumps(whole), TaskDetail)
        == codec.decode(json.dumps(later), TaskDetail)
    )


def test_requests_refuse_unknown_fields() -> None:
    with pytest.raises(msgspec.ValidationError, match="force"):
        codec.decode(b'{"repo": "/x", "prompt": "x", "force": true}', requests.CreateTask)


def test_the_types_of_events() -> None:
    for kind in TopicKind:
        assert "seq" in codec.event_type(kind, EventName.SNAPSHOT).__struct_fields__
        for name in EventName:
            codec.event_type(kind, name)
    assert codec.event_type(TopicKind.TASKS, EventName.TASK) is TaskSummary
    assert codec.event_type(TopicKind.TASK, EventName.TASK) is TaskDetail


def test_a_problem_always_has_a_type_and_leaves_out_what_it_has_not() -> None:
    told = json.loads(codec.encode(Problem(status=404, title="Not found", detail="There is no task x.")))
    assert told == {"type": "about:blank", "title": "Not found", "status": 404, "detail": "There is no task x."}
    wrong = Problem(status=422, title="Wrong value", detail="x", errors=(FieldError(field="a", message="x"),))
    assert codec.decode_problem(codec.encode(wrong)) == wrong
    assert codec.decode_problem(b"<html>") is None
    assert codec.decode_problem(b'{"status": "x"}') is None
    gone = codec.decode_problem(b'{"status": 404, "title": "x", "detail": "x"}')
    assert gone is not None and gone.status == 404
    for status, detail in ((404, NO_ROUTE), (405, NO_METHOD)):
        unknown = codec.decode_problem(codec.encode(Problem(status=status, title="x", detail=detail)))
        assert unknown is not None
        assert (unknown.status, "earlier version" in unknown.detail) == (501, True)


def test_stage_names_are_the_same_everywhere() -> None:
    assert [stage.value for stage in StageName] == list(checks.STAGES)
