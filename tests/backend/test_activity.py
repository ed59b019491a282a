"""What a task says in one line: what it is, how often it changes, and that streaming costs lists nothing."""

from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

import pytest

from backend_stub.task.activity import LEAST_GAP_MS, MOST_A_SECOND, Pace, Said, asks_of, heard, paced, tell
from foundry_tui.contract.activity import Activity, ActivityKind, PlanProgress
from foundry_tui.contract.codec import decode
from foundry_tui.contract.events import TASKS
from foundry_tui.contract.questions import FileEdit, Permission, PermissionState
from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.replace import replace
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.transcript import TranscriptKind
from tests.backend.in_process import InProcess, settings

NOTHING = Said()


def message(text: str, at: int = 0) -> Said:
    return tell(NOTHING, ActivityKind.MESSAGE, text, at)


def text_of(said: Said) -> str:
    return said.activity.text if said.activity is not None else ""


def question(**fields: object) -> Permission:
    given: dict[str, object] = {
        "permission_id": "q",
        "task_id": "t",
        "session_id": "s",
        "title": "Run make?",
        "options": (),
        "state": PermissionState.OPEN,
        "at": 1,
        **fields,
    }
    return Permission(**given)  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    ("kind", "body", "new", "expected"),
    [
        (TranscriptKind.MESSAGE, "  The fix\n\nis\u2028small ", True, "The fix is small"),
        (TranscriptKind.MESSAGE, "x" * 300, False, "x" * 199 + "…"),
        (TranscriptKind.MESSAGE, " \n", True, ""),
        (TranscriptKind.THOUGHT, "Hm", True, ""),
        (TranscriptKind.TOOL_CALL, {"title": "pytest", "status": "in_progress"}, False, "pytest"),
        (TranscriptKind.TOOL_CALL, {"title": "pytest", "status": "completed"}, True, "pytest"),
        (TranscriptKind.TOOL_CALL, {"title": "pytest", "status": "completed"}, False, ""),
        (TranscriptKind.TOOL_CALL, {"title": 5}, True, ""),
    ],
)
def test_an_item_says_its_first_words_on_one_line(
    kind: TranscriptKind, body: str | dict[str, object], new: bool, expected: str
) -> None:
    assert text_of(heard(NOTHING, kind, body, 0, new=new)) == expected


def test_a_plan_is_counted_and_says_what_is_worked_on_unless_there_is_more_to_say() -> None:
    entries = [{"content": "read", "status": "completed"}, {"content": "write", "status": "in_progress"}]
    said = heard(NOTHING, TranscriptKind.PLAN, {"entries": entries}, 0, new=True)
    assert (said.plan, text_of(said)) == (PlanProgress(done=1, total=2), "write")
    beside = heard(message("Look"), TranscriptKind.PLAN, {"entries": entries}, 0, new=True)
    assert (beside.plan, text_of(beside)) == (PlanProgress(done=1, total=2), "Look")


def test_a_message_that_grows_is_said_at_its_pace_and_to_its_end() -> None:
    shown, pace, times = NOTHING, Pace(), []
    for now in range(0, 3_000, 20):
        before = shown
        shown, pace = paced(pace, shown, message(f"word {now}"), None, now, turn_ended=False)
        if shown != before:
            times.append(now)
    assert all(later - sooner >= LEAST_GAP_MS for sooner, later in pairwise(times))
    assert len(times) >= 3 * (MOST_A_SECOND - 1) - 1
    assert pace.due
    # Its end comes with the turn's, or in time with a commit that says nothing else.
    ended, _ = paced(pace, shown, NOTHING, None, 2_990, turn_ended=True)
    later, rest = paced(pace, shown, NOTHING, None, 2_980 + LEAST_GAP_MS, turn_ended=False)
    assert text_of(ended) == text_of(later) == "word 2980"
    assert not rest.due


def test_ends_and_errors_need_no_gap_but_there_are_never_more_than_four_a_second() -> None:
    shown, pace, count = NOTHING, Pace(), 0
    for now in range(0, 1_000, 10):
        before = shown
        news = tell(NOTHING, ActivityKind.ERROR, f"failed {now}", now)
        shown, pace = paced(pace, shown, news, None, now, turn_ended=True)
        count += shown != before
    assert count == MOST_A_SECOND


def test_while_a_question_is_open_that_is_what_the_task_says() -> None:
    asked = Activity(kind=ActivityKind.QUESTION, text="Run make?", at=10)
    shown, pace = paced(Pace(), NOTHING, tell(NOTHING, ActivityKind.TOOL, "make", 0), None, 0, turn_ended=False)
    shown, pace = paced(pace, shown, NOTHING, asked, 10, turn_ended=False)
    assert text_of(shown) == "Run make?" and not pace.due
    shown, pace = paced(pace, shown, message("Meanwhile"), asked, 500, turn_ended=False)
    assert text_of(shown) == "Run make?" and not pace.due
    shown, _ = paced(pace, shown, NOTHING, None, 900, turn_ended=False)
    assert text_of(shown) == "Meanwhile"


def test_asks_are_the_oldest_open_questions_and_say_when_they_are_not_whole() -> None:
    many = [question(permission_id=f"q{number}") for number in range(7)]
    many[1] = replace(many[1], state=PermissionState.ANSWERED)
    assert [ask.permission_id for ask in asks_of(many)] == ["q0", "q2", "q3", "q4", "q5"]
    (short,) = asks_of([question(text="make")])
    assert (short.text, short.whole) == ("make", True)
    (long,) = asks_of([question(text="x" * 3_000)])
    assert (len(long.text or ""), long.whole) == (2_000, False)
    (edit,) = asks_of([question(edits=(FileEdit(path="a", new="b"),))])
    assert not edit.whole


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_streaming_agent_costs_the_list_nothing(tmp_path: Path) -> None:
    world = InProcess(tmp_path)
    steps = [
        {"plan": ["read", "write"], "ms": 10},
        {"tool": "pytest -q", "ms": 400},
        {"message": "It lived in three places. " * 40, "ms": 1_200},
    ]
    world.set_script({"default": {"turn": {"ms": 300, "steps": steps, "reply": "Done now."}}})
    seen: list[TaskSummary] = []
    async with world.backend(world.provider(), settings()) as backend:
        await world.create(backend)
        async with aclosing(backend.streams.stream(TASKS, None)) as frames:
            async for sent in frames:
                if b"event: task\n" not in sent:
                    continue
                seen.append(decode(sent.split(b"data: ", 1)[1], TaskSummary))
                if seen[-1].status is TaskStatus.IDLE:
                    break
    told = [task for task in seen if task.status is TaskStatus.RUNNING and task.activity is not None]
    kinds = [task.activity.kind for task in told if task.activity is not None]
    assert kinds.index(ActivityKind.TOOL) < kinds.index(ActivityKind.MESSAGE)
    # Of the twenty pieces of the message only those within its first words are told, at their pace.
    assert kinds.count(ActivityKind.MESSAGE) <= 6
    times = [task.activity.at for task in told if task.activity is not None]
    assert all(sum(start <= at < start + 1_000 for at in set(times)) <= MOST_A_SECOND for start in times)
    last = seen[-1]
    assert last.activity is not None and last.activity.text == "Done now."
    assert last.plan == PlanProgress(done=2, total=2)
