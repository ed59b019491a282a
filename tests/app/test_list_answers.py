"""Answers that are given from the task list: at once where all of the question was in view, else after its end was."""

import pytest

from foundry_tui.client.store import Store
from foundry_tui.contract.questions import Ask, Permission, PermissionOption, PermissionState, QuestionKind
from foundry_tui.contract.status import TaskStatus
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.preview import Preview
from foundry_tui.widgets.task_list import TaskList
from tests.app.factories import NOW, make_detail, make_task, task_id
from tests.app.harness import Stage, make_store, put, put_detail, stage
from tests.app.looking import text_of

pytestmark = pytest.mark.anyio

OPTIONS = (
    PermissionOption(option_id="yes", name="Allow", kind="allow_once"),
    PermissionOption(option_id="no", name="Deny", kind="reject_once"),
)
LONG = "\n".join(f"echo line {number}" for number in range(90))


def ask(number: int, title: str = "Run make?", **fields: object) -> Ask:
    given: dict[str, object] = {
        "permission_id": f"q{number}",
        "session_id": f"session-{number}",
        "title": title,
        "at": NOW,
        "options": OPTIONS,
        **fields,
    }
    return Ask(**given)  # type: ignore[arg-type]  # fields by name


def asking(*asks: Ask) -> Store:
    """A task for each question, in the order in which they stand, and one that works."""
    tasks = [
        make_task(number, TaskStatus.RUNNING, title=f"Task {number}", needs_input=1, asks=(each,))
        for number, each in enumerate(asks, 1)
    ]
    return make_store([*tasks, make_task(9, TaskStatus.RUNNING, title="Works")])


def answers(s: Stage) -> list[tuple[object, ...]]:
    return [call for call in s.commands.calls if call[0] == "answer"]


def cursor(s: Stage) -> str | None:
    return s.app.screen.query_one(TaskList).cursor


def previews(s: Stage) -> bool:
    return any(preview.display for preview in s.app.screen.query(Preview))


async def test_a_question_that_the_line_has_whole_is_answered_at_once_and_the_next_is_gone_to() -> None:
    async with stage(asking(ask(1), ask(2), ask(3)), size=(100, 30)) as s:
        assert "1 allow  2 deny" in text_of(s, TaskList)
        await s.press("j", "1")
        assert answers(s) == [("answer", "q2", "yes")] and cursor(s) == task_id(3)
        await s.press("2", "1")
        assert answers(s)[1:] == [("answer", "q3", "no"), ("answer", "q1", "yes")]
        await s.press("1", "1")
        assert len(answers(s)) == 3, "what was answered is not answered again"
        assert not previews(s)


async def test_answers_that_arrived_give_way_to_what_is_asked_next() -> None:
    async with stage(asking(ask(1)), size=(100, 30)) as s:
        await s.press("1")
        put(s.store, make_task(1, TaskStatus.RUNNING, title="Task 1", needs_input=1, asks=(ask(7, "Run it again?"),)))
        await s.flush()
        await s.press("1")
        assert answers(s) == [("answer", "q1", "yes"), ("answer", "q7", "yes")]


@pytest.mark.parametrize("size", [(60, 34), (160, 34)], ids=["narrow", "wide"])
async def test_a_long_question_is_allowed_only_after_its_end_was_in_view(size: tuple[int, int]) -> None:
    async with stage(asking(ask(1, text=LONG), ask(2)), size=size) as s:
        presses, seen = 0, False
        while not answers(s):
            assert not seen or presses < 60
            before, seen = seen, seen or "echo line 89" in text_of(s)
            await s.press("1")
            presses += 1
        assert before or seen, "its end was not in view"
        assert previews(s) and presses > 3
        assert answers(s) == [("answer", "q1", "yes")] and cursor(s) == task_id(2)


async def test_a_long_question_is_rejected_at_once() -> None:
    async with stage(asking(ask(1, text=LONG)), size=(100, 34)) as s:
        await s.press("2")
        assert answers(s) == [("answer", "q1", "no")]


async def test_what_the_list_has_not_whole_is_read_before_it_can_be_allowed() -> None:
    async with stage(asking(ask(1, whole=False)), size=(130, 34)) as s:
        await s.press("1", "1", "1")
        assert not answers(s) and "Reading the whole question" in text_of(s)
        asked = Permission(
            permission_id="q1",
            task_id=task_id(1),
            session_id="session-1",
            title="Run make?",
            text="make deploy",
            options=OPTIONS,
            state=PermissionState.OPEN,
            at=NOW,
        )
        put_detail(
            s.store,
            make_detail(
                1, TaskStatus.RUNNING, needs_input=1, asks=(ask(1, whole=False),), permissions=(asked,), revision=9
            ),
        )
        await s.flush()
        assert "make deploy" in text_of(s)
        await s.press("1")
        assert answers(s) == [("answer", "q1", "yes")]


async def test_a_form_takes_no_digit() -> None:
    async with stage(asking(ask(1, kind=QuestionKind.FORM, options=())), size=(100, 30)) as s:
        await s.press("1")
        assert not answers(s) and not previews(s)
        assert [note.message for note in s.app._notifications] == [
            "Not now: it is answered in the task itself: open it."
        ]


@pytest.mark.parametrize(
    ("width", "title", "first"),
    [
        (140, "Let Foundry in?", "enter, then the digit"),
        (120, "Let Foundry into the issue tracker?", "enter first"),
    ],
)
async def test_the_preview_says_which_key_comes_before_the_digits_of_a_page(width: int, title: str, first: str) -> None:
    page = ask(1, kind=QuestionKind.URL, options=())
    async with stage(asking(page, ask(2)), size=(width, 34)) as s:
        asked = Permission(
            permission_id="q1",
            task_id=task_id(1),
            session_id="session-1",
            title=title,
            kind=QuestionKind.URL,
            url="https://example.com/",
            options=(),
            state=PermissionState.OPEN,
            at=NOW,
        )
        put_detail(
            s.store, make_detail(1, TaskStatus.RUNNING, needs_input=1, asks=(page,), permissions=(asked,), revision=9)
        )
        await s.flush()
        told = text_of(s)
        assert f"? {title}" in told and f"1 Done    2 Decline   {first}" in told
        assert ("the agent asks" in told) is (width == 140)
        await s.press("j")
        await s.flush()
        assert first not in text_of(s)


async def test_the_footer_has_each_digit_though_its_answer_has_a_long_name() -> None:
    long = f"Always allow `make` and access to /home/{'x' * 80}"
    options = (PermissionOption(option_id="always", name=long, kind="allow_always"), *OPTIONS)
    async with stage(asking(ask(1, options=options)), size=(100, 30)) as s:
        assert s.app.screen.query_one(ActionBar).render().plain.startswith("1 Allow  2 always  3 Deny")


async def test_the_same_digit_allows_once_whatever_order_an_agent_has() -> None:
    options = tuple(
        PermissionOption(option_id=kind, name=kind.title(), kind=kind)
        for kind in ("reject_once", "allow_always", "allow_once")
    )
    async with stage(asking(ask(1, options=options), ask(2, options=options)), size=(100, 30)) as s:
        assert "1 allow  2 always  3 deny" in text_of(s, TaskList)
        await s.press("1", "3")
        assert answers(s) == [("answer", "q1", "allow_once"), ("answer", "q2", "reject_once")]


async def test_the_cursor_keeps_its_row_when_its_task_is_archived() -> None:
    tasks = [make_task(number, TaskStatus.IDLE, title=f"Task {number}") for number in range(1, 4)]
    async with stage(make_store(tasks), size=(100, 30)) as s:
        await s.press("j")
        assert cursor(s) == task_id(2)
        put(s.store, make_task(2, TaskStatus.ARCHIVING, title="Task 2"))
        await s.flush()
        assert cursor(s) == task_id(3)
        put(s.store, make_task(1, TaskStatus.ERROR, title="Task 1"))
        await s.flush()
        assert cursor(s) == task_id(3), "it stays with a task that moves for another reason"


async def test_the_cursor_does_not_follow_the_last_task_of_a_group_into_what_has_ended() -> None:
    tasks = [make_task(number, TaskStatus.ERROR, title=f"Task {number}") for number in (1, 2)]
    async with stage(make_store(tasks), size=(100, 30)) as s:
        await s.press("end")
        put(s.store, make_task(2, TaskStatus.KILLED, title="Task 2"))
        await s.flush()
        assert cursor(s) == task_id(1)
        put(s.store, make_task(1, TaskStatus.KILLED, title="Task 1"))
        await s.flush()
        assert cursor(s) == task_id(1), "nothing that lives is left"


async def test_after_a_retry_the_cursor_goes_on_to_the_next_failed_task() -> None:
    tasks = [make_task(number, TaskStatus.ERROR, title=f"Task {number}") for number in range(1, 4)]
    async with stage(make_store([*tasks, make_task(4, TaskStatus.IDLE)]), size=(100, 30)) as s:
        await s.press("end", "k", "r")
        assert cursor(s) == task_id(3)
        put(s.store, make_task(2, TaskStatus.RUNNING, title="Task 2"))
        await s.flush()
        await s.press("r")
        assert cursor(s) == task_id(1), "none is left below: the one above"
        put(s.store, make_task(3, TaskStatus.RUNNING, title="Task 3"))
        await s.flush()
        await s.press("r")
        assert cursor(s) == task_id(1), "it was the last one"
        assert s.commands.calls == [("retry", task_id(number)) for number in (2, 3, 1)]
