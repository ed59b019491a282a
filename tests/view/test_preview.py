"""What the preview shows of a task: the question that a digit answers, the session it belongs to, the changes."""

import pytest
from msgspec.structs import replace

from foundry_tui.contract.questions import Ask, Permission, PermissionOption, PermissionState
from foundry_tui.contract.records import FileDiff, SessionStatus, TaskDetail
from foundry_tui.contract.status import TaskStatus
from foundry_tui.view.preview import changes_words, open_question, session_in_view, shows_stages
from tests.app.factories import NOW, make_detail, make_error, make_session, make_task

OPTIONS = (PermissionOption(option_id="yes", name="Allow", kind="allow_once"),)


def ask(number: int, **fields: object) -> Ask:
    given: dict[str, object] = {
        "permission_id": f"q{number}",
        "session_id": f"session-{number}",
        "title": "Run make?",
        "at": NOW + number,
        "options": OPTIONS,
        **fields,
    }
    return Ask(**given)  # type: ignore[arg-type]  # fields by name


def question(number: int, **fields: object) -> Permission:
    given: dict[str, object] = {
        "permission_id": f"q{number}",
        "task_id": "t",
        "session_id": f"session-{number}",
        "title": "Run make?",
        "text": "make all",
        "options": OPTIONS,
        "state": PermissionState.OPEN,
        "at": NOW + number,
        **fields,
    }
    return Permission(**given)  # type: ignore[arg-type]  # fields by name


def asking(*asks: Ask, permissions: tuple[Permission, ...] = ()) -> TaskDetail:
    return make_detail(1, TaskStatus.RUNNING, needs_input=len(asks), asks=asks, permissions=permissions)


def test_the_oldest_question_is_the_one_and_what_was_answered_is_passed() -> None:
    task = asking(ask(1), ask(2))
    first, second = open_question(task), open_question(task, {"q1"})
    assert first is not None and second is not None
    assert (first.permission_id, second.permission_id) == ("q1", "q2")
    assert open_question(task, {"q1", "q2"}) is None


def test_the_whole_question_is_shown_where_it_is_known_and_none_that_the_list_has_no_more() -> None:
    cut = asking(ask(2, whole=False))
    assert isinstance(open_question(cut), Ask)
    read = replace(cut, permissions=(question(1), question(2)))
    assert open_question(read) == question(2), "the list is newer than a task that nobody reads any more"
    whole = open_question(asking(ask(1, text="make")))
    assert isinstance(whole, Permission) and whole.text == "make"
    assert open_question(make_task(1, TaskStatus.IDLE)) is None


def test_the_session_in_view_asks_or_works() -> None:
    sessions = (make_session(1), make_session(2, status=SessionStatus.RUNNING), make_session(3))
    task = make_task(1, TaskStatus.RUNNING, sessions=sessions)
    working, asked = session_in_view(task, None), session_in_view(task, ask(3))
    assert working is not None and asked is not None
    assert (working.session_id, asked.session_id) == ("session-2", "session-3")


@pytest.mark.parametrize(
    ("status", "stage", "shown"),
    [
        (TaskStatus.CREATE_SANDBOX, None, True),
        (TaskStatus.IDLE, None, False),
        (TaskStatus.ERROR, "create_sandbox", True),
        (TaskStatus.ERROR, None, False),
    ],
)
def test_stages_stand_there_while_they_matter(status: TaskStatus, stage: str | None, shown: bool) -> None:
    error = make_error(stage=stage) if status is TaskStatus.ERROR else None
    assert shows_stages(make_task(1, status, error=error)) is shown


def test_changes_are_counted() -> None:
    files = [
        FileDiff(path="a", status="M", added=10, removed=4, patch=""),
        FileDiff(path="b", status="A", added=None, removed=None, patch=""),
    ]
    assert changes_words(files) == "+10 -4 in 2 files"
    assert changes_words([]) == "nothing changed"
