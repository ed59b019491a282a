"""What a change of a task makes of its records: cheap however many they are, and only what has changed is new."""

import sys
from collections.abc import Callable

from backend_stub.domain.storage import Private, TaskState
from backend_stub.task.rows import TaskRows
from backend_stub.task.task_change import TaskChange
from foundry_tui.contract.activity import ActivityKind
from foundry_tui.contract.questions import Permission, PermissionState
from foundry_tui.contract.records import (
    ErrorKind,
    OptionType,
    Prompt,
    PromptState,
    SessionOption,
    SessionStatus,
    SessionSummary,
    TaskDetail,
    TaskError,
)
from foundry_tui.contract.replace import replace
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.task_words import waits_for_host

THEN, NOW = 1_000, 2_000
ERROR = TaskError(kind=ErrorKind.CANCELLED, message="over", retryable=False, at=NOW)


def state(sessions: int = 1, **private: object) -> TaskState:
    """An idle task as it was written at `THEN`; each session has a prompt that waits."""
    names = [f"s{number}" for number in range(sessions)]
    task = TaskDetail(
        task_id="t",
        repo_id="r",
        repo_label="r",
        prompt="do it",
        agent="demo",
        provider="demo",
        status=TaskStatus.IDLE,
        status_since=THEN,
        created_at=THEN,
        updated_at=THEN,
        revision=7,
        unread=True,
        sessions=tuple(
            SessionSummary(
                session_id=name,
                task_id="t",
                name=name,
                agent="demo",
                status=SessionStatus.READY,
                created_at=THEN,
                updated_at=THEN,
                revision=3,
                unread=True,
            )
            for name in names
        ),
    )
    prompts = {
        name: (Prompt(prompt_id=f"p-{name}", session_id=name, text="x", state=PromptState.QUEUED, at=THEN),)
        for name in names
    }
    return TaskState(task, Private(**private), prompts, 0)  # type: ignore[arg-type]  # fields by name


def draft_of(before: TaskState) -> TaskChange:
    return TaskChange(before, NOW, lambda: "new")


def calls_of(work: Callable[[], object]) -> int:
    """How many functions, and steps of generators, the work enters."""
    count = 0

    def entered(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(entered)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def test_closing_all_sessions_costs_in_proportion_to_how_many_they_are() -> None:
    def close_all(before: TaskState) -> None:
        draft = draft_of(before)
        draft.begin_release(archive=False, force=False, delete_branch=False)
        sealed = draft.seal()
        assert sealed is not None
        assert {session.status for session in sealed[1].task.sessions} == {SessionStatus.CLOSED}

    few, many = state(50), state(200)
    assert calls_of(lambda: close_all(many)) < 5 * calls_of(lambda: close_all(few))


def test_a_mark_of_reading_is_a_change_of_nothing_else() -> None:
    draft = draft_of(state(2))
    draft.mark_unread(False)
    draft.mark_session_unread("s1", False)
    sealed = draft.seal()
    assert sealed is not None
    task = sealed[1].task
    assert (task.revision, task.updated_at, task.unread) == (8, THEN, False)
    assert [(each.revision, each.updated_at, each.unread) for each in task.sessions] == [
        (3, THEN, True),
        (4, THEN, False),
    ]


def test_what_is_set_before_a_session_is_opened_takes_the_place_of_what_was_asked_for() -> None:
    model = SessionOption(option_id="m", name="Model", category="model", type=OptionType.SELECT, value="default")
    fast = SessionOption(option_id="fast", name="Fast", type=OptionType.BOOLEAN, value=False)
    draft = draft_of(state(2, asked_options={"s0": {"model": "no such", "effort": "high"}}))
    for session_id in ("s0", "s1"):
        draft.offers.learn_options(session_id, (model, fast))
        assert draft.offers.differs(session_id, model, "default") == (session_id == "s0")
        draft.offers.set(session_id, model, "large")
        draft.offers.set(session_id, fast, True)
    sealed = draft.seal()
    assert sealed is not None
    assert sealed[1].private.asked_options == {"s0": {"m": "large", "effort": "high"}}
    unsent = sealed[1].private.values_before_unsent
    assert unsent == {each: {"m": "default", "fast": False} for each in ("s0", "s1")}


def test_what_is_done_beside_a_mark_of_reading_counts() -> None:
    draft = draft_of(state(2))
    draft.mark_session_unread("s0", False)
    draft.close_session("s1", ERROR)
    sealed = draft.seal()
    assert sealed is not None
    assert sealed[1].task.updated_at == NOW
    assert [each.updated_at for each in sealed[1].task.sessions] == [THEN, NOW]


def test_a_prompt_that_waits_no_more_goes_before_no_others() -> None:
    draft = draft_of(state(2, go_first=("p-s0", "p-s1")))
    draft.fail_prompt(draft.prompts("s0")[0], ERROR)
    assert draft.private.go_first == ("p-s1",)


def asked(number: int, session: str, question_state: PermissionState = PermissionState.ANSWERED) -> Permission:
    return Permission(
        permission_id=f"q{number}",
        task_id="t",
        session_id=session,
        title="?",
        options=(),
        state=question_state,
        at=THEN,
    )


def test_the_last_fifty_questions_that_have_ended_are_kept_beside_those_that_are_open() -> None:
    rows = TaskRows(state(), NOW, {})
    rows.put_questions(
        [
            asked(number, "s0", PermissionState.OPEN if number >= 60 else PermissionState.ANSWERED)
            for number in range(63)
        ]
    )
    sealed = rows.seal()
    assert sealed is not None
    assert [each.permission_id for each in sealed[1].task.permissions] == [f"q{number}" for number in range(10, 63)]


def test_a_turn_that_goes_on_keeps_its_answers_however_many_questions_another_session_had_since() -> None:
    rows = TaskRows(state(sessions=2), NOW, {})
    rows.put_session(replace(rows.session("s0"), status=SessionStatus.RUNNING))
    rows.put_questions([asked(0, "s0"), *(asked(number, "s1") for number in range(1, 60))])
    sealed = rows.seal()
    assert sealed is not None
    kept = [each.permission_id for each in sealed[1].task.permissions]
    assert kept == ["q0", *(f"q{number}" for number in range(10, 60))]


def test_a_task_that_asks_says_too_that_its_host_is_away() -> None:
    asking = state()
    question = asked(1, "s0", PermissionState.OPEN)
    task = replace(asking.task, host="build-7", permissions=(question,))
    draft = draft_of(TaskState(task, asking.private, asking.prompts, 0))
    draft.host.wait()
    sealed = draft.seal()
    assert sealed is not None
    assert waits_for_host(sealed[1].task)
    draft = draft_of(sealed[1])
    draft.host.be_back()
    sealed = draft.seal()
    assert sealed is not None
    activity = sealed[1].task.activity
    assert activity is not None
    assert activity.kind is ActivityKind.QUESTION
