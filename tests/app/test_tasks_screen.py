"""The home screen, key by key, on a real store that is fed by hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.widgets import Input

from foundry_tui.app import archiving, confirmations
from foundry_tui.app.options import Options
from foundry_tui.client.store import Store
from foundry_tui.contract.events import Topic, TopicKind
from foundry_tui.contract.problems import Problem
from foundry_tui.contract.records import (
    ErrorKind,
    FileDiff,
    HistoryEvent,
    HistoryKind,
    PromptState,
    Sandbox,
    SessionStatus,
)
from foundry_tui.contract.replace import replace
from foundry_tui.contract.requests import CreateTask, Diff
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.work import Work
from foundry_tui.screens import list_preview
from foundry_tui.screens.tasks import TasksScreen
from foundry_tui.view.groups import Heading
from foundry_tui.view.unread import READ_AFTER
from foundry_tui.widgets.bars import ActionBar, TopBar
from foundry_tui.widgets.empty_state import EmptyList
from foundry_tui.widgets.preview import Preview
from foundry_tui.widgets.task_list import TaskList
from foundry_tui.widgets.transcript import Transcript
from tests.app.factories import NOW, SECOND, make_detail, make_error, make_session, make_task, task_id
from tests.app.harness import OFFLINE, Stage, make_store, put, put_detail, remove, stage
from tests.app.list_scenes import many, store_of_every_state
from tests.app.looking import check_drawn, text_of
from tests.app.task_scenes import SESSION, TASK, a_session, a_transcript, store_with, turn_failed_scene

pytestmark = pytest.mark.anyio

S = TaskStatus


def some_tasks() -> Store:
    return make_store(
        [
            make_task(1, S.RUNNING, needs_input=1, title="Asks one"),
            make_task(2, S.RUNNING, needs_input=1, title="Asks two"),
            make_task(3, S.CREATE_SANDBOX, title="Provisions"),
            make_task(4, S.RUNNING, title="Works"),
            make_task(5, S.IDLE, title="Ready", unread=True),
            make_task(6, S.ERROR, title="Failed"),
            make_task(7, S.ARCHIVED, title="Archived"),
        ]
    )


def many_tasks(count: int) -> Store:
    return make_store(make_task(number, S.IDLE, title=f"Task {number}") for number in range(count))


def the_list(s: Stage) -> TaskList:
    return s.app.screen_stack[0].query_one(TaskList)


def lines(s: Stage) -> list[str]:
    """What the list shows, line by line, without trailing spaces."""
    tasks = the_list(s)
    return [tasks.render_line(y).text.rstrip() for y in range(tasks.scrollable_content_region.height)]


def cursor(s: Stage) -> str:
    current = the_list(s).current
    return current.title or "" if current is not None else ""


def shown(s: Stage) -> str:
    return "\n".join(lines(s))


def bar(s: Stage) -> str:
    return s.app.screen_stack[0].query_one(TopBar).render().plain


def footer(s: Stage) -> str:
    return s.app.screen.query_one(ActionBar).render().plain


def face(s: Stage) -> str:
    return str(s.app.screen_stack[0].query_one(EmptyList).render())


def calls(s: Stage) -> list[tuple[object, ...]]:
    return s.commands.calls


# The list.


async def test_tasks_stand_in_their_groups_with_counts() -> None:
    async with stage(some_tasks()) as s:
        headings = [line for line in the_list(s).order.lines if isinstance(line, Heading)]
        assert [(heading.label, heading.count) for heading in headings] == [
            ("Needs input", 2),
            ("Working", 2),
            ("Ready", 1),
            ("Failed", 1),
            ("Done", 1),
        ]
        assert "Needs input 2 ─" in shown(s)
        assert "7 tasks · 2 need you · 2 working · 1 ready · 1 failed" in bar(s)
        assert bar(s).endswith("● live")


async def test_the_cursor_moves_over_tasks_only() -> None:
    async with stage(some_tasks()) as s:
        seen = [cursor(s)]
        for _ in range(7):
            await s.press("down")
            seen.append(cursor(s))
        assert seen == ["Asks one", "Asks two", "Provisions", "Works", "Ready", "Failed", "Archived", "Archived"]
        await s.press("k", "k")
        assert cursor(s) == "Ready"
        await s.press("j", "up")
        assert cursor(s) == "Ready"


async def test_a_list_that_is_scrolled_is_drawn_again_where_it_changed() -> None:
    async with stage(many_tasks(200), size=(100, 24)) as s:
        await s.press("end")
        for key in ("k", "k", "pageup", "j"):
            await s.press(key)
            marked = [line for line in text_of(s, TaskList).splitlines() if line.startswith("▌")]
            assert [cursor(s) in line for line in marked] == [True], f"after {key}: {marked}"
            check_drawn(s.app)
        put(s.store, make_task(int(cursor(s).removeprefix("Task ")), S.IDLE, title="Renamed elsewhere", revision=2))
        await s.flush()
        assert "Renamed elsewhere" in text_of(s, TaskList)
        s.clock.now += 120_000
        the_list(s).tick()
        await s.pilot.pause()
        check_drawn(s.app)


@pytest.mark.parametrize("how", ["terminal", "preview"])
async def test_the_highlighted_row_stays_on_the_screen_when_the_list_becomes_smaller(how: str) -> None:
    async with stage(many_tasks(60), size=(60, 40)) as s:
        await s.press("end", "k", "k") if how == "terminal" else await s.press("pagedown")
        before = cursor(s)
        if how == "terminal":
            await s.pilot.resize_terminal(60, 14)
        else:
            await s.press("space")
        await s.quiet()
        assert cursor(s) == before
        (marked,) = [line for line in text_of(s, TaskList).splitlines() if line.startswith("▌")]
        assert before in marked


async def test_the_list_is_left_where_one_comes_back_to() -> None:
    async with stage(many_tasks(60), size=(100, 24)) as s:
        s.store.create(CreateTask(repo="/code/shop", prompt="Mend the gate", task_id=task_id(99), session_id="s99"))
        s.app.open_task(task_id(99))
        await s.flush()
        await s.press("escape")
        assert the_list(s).cursor == task_id(99)
        s.app.open_task(task_id(50))
        await s.press("escape")
        assert cursor(s) == "Task 50"
        (marked,) = [line for line in text_of(s, TaskList).splitlines() if line.startswith("▌")]
        assert "Task 50" in marked


async def test_home_end_pages_and_groups() -> None:
    async with stage(many_tasks(200), size=(100, 24)) as s:
        await s.press("end")
        assert cursor(s) == "Task 199"
        await s.press("home")
        assert cursor(s) == "Task 0"
        await s.press("pagedown")
        height = the_list(s).scrollable_content_region.height
        assert cursor(s) == f"Task {height - 1}"
        await s.press("pageup")
        assert cursor(s) == "Task 0"
        await s.press("G", "ctrl+b", "ctrl+f")
        assert cursor(s) == "Task 199"
    async with stage(some_tasks()) as s:
        await s.press("right_square_bracket")
        assert cursor(s) == "Provisions"
        await s.press("right_square_bracket", "down", "left_square_bracket")
        assert cursor(s) == "Ready"


async def test_tab_jumps_between_tasks_that_wait_for_a_person() -> None:
    async with stage(some_tasks()) as s:
        await s.press("end", "tab")
        assert cursor(s) == "Asks one"
        await s.press("tab")
        assert cursor(s) == "Asks two"
        await s.press("tab")
        assert cursor(s) == "Asks one"
        await s.press("shift+tab")
        assert cursor(s) == "Asks two"


async def test_the_cursor_stays_with_its_task_when_tasks_move() -> None:
    async with stage(some_tasks()) as s:
        await s.press("down", "down", "down")
        assert cursor(s) == "Works"
        put(s.store, make_task(4, S.ERROR, title="Works"), make_task(9, S.QUEUED, created_at=NOW, prompt="newest"))
        await s.flush()
        assert cursor(s) == "Works"
        line = the_list(s).order.position[task_id(4)]
        assert lines(s)[line].startswith("▌")


async def test_the_cursor_goes_to_the_next_task_when_its_own_is_removed() -> None:
    async with stage(some_tasks()) as s:
        await s.press("down")
        remove(s.store, task_id(2))
        await s.flush()
        assert cursor(s) == "Provisions"
        assert "6 tasks" in bar(s)


async def test_scrolled_lists_do_not_jump_when_tasks_come_above() -> None:
    async with stage(many_tasks(100), size=(100, 24)) as s:
        await s.press("pagedown", "pagedown", "pagedown")
        tasks = the_list(s)
        before = tasks.order.position[tasks.cursor or ""] - tasks.scroll_offset.y
        put(s.store, *(make_task(number, S.QUEUED, created_at=NOW) for number in range(500, 510)))
        await s.flush()
        after = tasks.order.position[tasks.cursor or ""] - tasks.scroll_offset.y
        assert after == before


async def test_lines_fill_the_list_with_its_scroll_bar_and_without() -> None:
    async with stage(make_store(many(60)), size=(120, 30)) as s:
        tasks = the_list(s)
        for keys, has_bar in (((), True), (("slash", *"totals", "enter"), False), (("escape", "escape"), True)):
            await s.press(*keys)
            assert tasks.show_vertical_scrollbar is has_bar
            room = tasks.scrollable_content_region.width
            for strip in tasks.render_lines(tasks.size.region)[1:]:
                assert strip.crop(0, room).cell_length == room
                assert all(segment.style is not None and segment.style.bgcolor for segment in strip.crop(0, room))


async def test_a_changed_task_is_drawn_again_and_the_others_are_not() -> None:
    async with stage(some_tasks()) as s:
        tasks = the_list(s)
        drawn: list[int] = []
        inner = tasks.render_line

        def counting(y: int) -> object:
            drawn.append(y)
            return inner(y)

        tasks.render_line = counting  # type: ignore[method-assign, assignment]
        put(s.store, make_task(4, S.RUNNING, title="Works harder"))
        await s.flush()
        assert drawn == [tasks.order.position[task_id(4)]]
        assert "Works harder" in shown(s)


async def test_seconds_tick_on_their_own_lines_only() -> None:
    async with stage(some_tasks()) as s:
        tasks = the_list(s)
        asked: list[int] = []
        inner = tasks.refresh_line

        def counting(y: int) -> None:
            asked.append(y)
            inner(y)

        tasks.refresh_line = counting  # type: ignore[method-assign]
        s.clock.advance(SECOND)
        tasks.tick()
        await s.pilot.pause()
        moving = [tasks.order.position[task_id(number)] for number in (1, 2, 3, 4)]
        assert sorted(asked) == sorted(moving)
        assert "sandbox 13s" in shown(s)


async def test_unread_tasks_carry_a_mark() -> None:
    async with stage(some_tasks()) as s:
        assert any(line.startswith(" •● Ready") for line in lines(s))
        await s.press("m")
        assert calls(s) == [("mark", task_id(1), True)]
        await s.press("right_square_bracket", "right_square_bracket", "m")
        assert calls(s)[-1] == ("mark", task_id(5), False)


async def test_ten_thousand_tasks_stand_at_once() -> None:
    async with stage(many_tasks(10_000)) as s:
        assert "10,000 tasks" in bar(s)
        await s.press("end")
        assert cursor(s) == "Task 9999"
        assert "Task 9999" in shown(s)


# Filter.


async def test_the_filter_narrows_as_one_types_and_esc_clears_it() -> None:
    async with stage(some_tasks()) as s:
        await s.press("slash", *"status:failed")
        assert the_list(s).order.ids() == [task_id(6)]
        assert cursor(s) == "Failed"
        assert "1 shown" in bar(s)
        await s.press("escape")
        assert the_list(s).order.shown == 7
        assert cursor(s) == "Failed"
        assert s.app.screen.query_one("#filter", Input).value == ""


async def test_how_many_are_shown_and_marked_is_not_cut_beside_the_counts_of_groups() -> None:
    tasks = [
        make_task(number, status, needs_input=int(number <= 2))
        for number, status in enumerate([TaskStatus.RUNNING] * 10 + [TaskStatus.IDLE] * 10 + [TaskStatus.ERROR] * 3, 1)
    ]
    async with stage(make_store(tasks), size=(80, 24)) as s:
        await s.press("slash", *"status:ready", "enter", "v")
        assert "23 tasks · 10 shown · 1 marked · 2 need you" in bar(s)


async def test_enter_keeps_the_filter_and_gives_the_keys_back() -> None:
    async with stage(some_tasks()) as s:
        await s.press("slash", *"asks", "enter", "j")
        assert cursor(s) == "Asks two"
        assert the_list(s).order.shown == 2
        await s.press("escape")
        assert the_list(s).order.shown == 7


async def test_arrows_move_the_list_while_one_filters() -> None:
    async with stage(some_tasks()) as s:
        await s.press("slash", *"asks", "down")
        assert cursor(s) == "Asks two"


async def test_letters_that_are_keys_are_text_in_the_filter() -> None:
    async with stage(some_tasks()) as s:
        await s.press("slash", *"qnx ")
        assert s.app.is_running
        assert s.app.screen.query_one("#filter", Input).value == "qnx "
        assert not calls(s)


async def test_no_match_says_so_and_how_to_get_back() -> None:
    async with stage(some_tasks()) as s:
        await s.press("slash", *"zzzz")
        assert "No task matches" in face(s) and "esc" in face(s)
        await s.press("escape")
        assert not s.app.screen.query_one(EmptyList).display


async def test_a_task_that_comes_to_match_appears() -> None:
    async with stage(some_tasks()) as s:
        await s.press("slash", *"status:failed")
        put(s.store, make_task(4, S.ERROR, title="Works"))
        await s.flush()
        assert set(the_list(s).order.ids()) == {task_id(4), task_id(6)}


# Preview, group, sort.


def previews(s: Stage) -> bool:
    """Whether the preview is there."""
    return any(preview.display for preview in s.app.screen_stack[0].query(Preview))


async def test_the_preview_shows_the_highlighted_task_and_follows_the_cursor() -> None:
    async with stage(some_tasks()) as s:
        assert previews(s), "there is room for it"
        preview = s.app.screen.query_one(Preview)
        assert "Asks one" in str(preview.query_one("#preview-head").render())
        await s.press("end", "up")
        assert "Failed" in str(preview.query_one("#preview-head").render())
        assert "sandbox failed" in str(preview.query_one("#preview-head").render())
        assert "no room left" in text_of(s, Preview)
        await s.press("space")
        assert not previews(s)
        await s.press("space")
        assert previews(s)
        await s.pilot.resize_terminal(100, 36)
        await s.quiet()
        assert not previews(s)


async def test_the_preview_tells_a_working_agents_time_without_what_it_waited_for_a_person() -> None:
    begun = NOW - 100 * SECOND
    kinds = HistoryKind.PROMPT_DELIVERED, HistoryKind.PERMISSION_OPENED, HistoryKind.PERMISSION_ANSWERED
    history = tuple(
        HistoryEvent(
            seq=seq,
            task_id=task_id(1),
            kind=kind,
            at=begun + after * SECOND,
            payload={"session_id": "session-1", "permission_id": "q"},
        )
        for seq, (kind, after) in enumerate(zip(kinds, (0, 2, 95), strict=True), 1)
    )
    working = {"status_since": begun, "sessions": (make_session(1, status=SessionStatus.RUNNING),)}
    async with stage(make_store([make_task(1, TaskStatus.RUNNING, **working)])) as s:
        put_detail(s.store, make_detail(1, TaskStatus.RUNNING, history=history, **working))
        await s.flush()
        await s.quiet()
        assert "working 7s" in text_of(s, Preview)


async def test_the_preview_says_once_why_a_turn_failed() -> None:
    scene = turn_failed_scene()
    known, task = scene.session(SESSION), scene.detail(TASK)
    assert known is not None and task is not None
    error = make_error("the agent ended by itself with exit code 137", kind=ErrorKind.AGENT, stage=None)
    prompts = tuple(replace(prompt, state=PromptState.FAILED, error=error) for prompt in known.prompts)
    failed = a_session(SessionStatus.ERROR, prompts=prompts, transcript=a_transcript()[:1])
    async with stage(store_with(task, failed), size=(220, 50)) as s:
        await s.quiet()
        assert "failed" in text_of(s, Transcript)
        assert text_of(s, Preview).count("exit code 137") == 1


async def test_the_preview_holds_the_tasks_topic_only_while_it_shows_it() -> None:
    async with stage(some_tasks()) as s:
        screen = s.app.screen
        assert isinstance(screen, TasksScreen)
        screen.preview.hold_highlighted()
        assert set(s.commands.held) == {Topic(TopicKind.TASK, task_id(1)), Topic(TopicKind.SESSION, "session-1")}
        await s.press("j")
        screen.preview.hold_highlighted()
        assert set(s.commands.held) == {Topic(TopicKind.TASK, task_id(2)), Topic(TopicKind.SESSION, "session-2")}
        await s.press("space")
        assert s.commands.held == []


SANDBOX = Sandbox(sandbox_id=task_id(1), cwd="/sandboxes/1", created_at=NOW)


@asynccontextmanager
async def counted(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """The changes of a task that works are counted in the preview, and there are none."""
    monkeypatch.setattr(list_preview, "CHANGES_AFTER", 0.001)
    async with stage(make_store([make_task(1, S.RUNNING)])) as s:
        s.commands.diffs[task_id(1)] = Diff(files=(), computed_at=1)
        put_detail(s.store, make_detail(1, S.RUNNING, sandbox=SANDBOX))
        await s.flush()
        await s.flush()
        assert "nothing changed" in text_of(s, Preview)
        yield s


async def test_the_preview_counts_changes_again_once_the_agent_has_worked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with counted(monkeypatch) as s:
        assert isinstance(s.app.screen, TasksScreen)
        s.app.screen.preview.hold_highlighted()
        file = FileDiff(path="a.py", status="M", added=3, removed=1, patch="")
        s.commands.diffs[task_id(1)] = Diff(files=(file,), computed_at=2)
        put(s.store, make_task(1, S.IDLE))
        put_detail(s.store, make_detail(1, S.IDLE, sandbox=SANDBOX))
        await s.flush()
        await s.flush()
        assert "+3 -1 in 1 file" in text_of(s, Preview)


async def test_the_preview_counts_changes_again_once_the_list_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async with counted(monkeypatch) as s:
        await s.press("enter")
        file = FileDiff(path="a.py", status="M", added=3, removed=1, patch="")
        s.commands.diffs[task_id(1)] = Diff(files=(file,), computed_at=2)
        await s.press("escape")
        await s.flush()
        await s.flush()
        assert "+3 -1 in 1 file" in text_of(s, Preview)


def read(s: Stage) -> list[tuple[object, ...]]:
    """Let as many seconds pass as reading takes; what was marked as read by now."""
    screen = s.app.screen_stack[0]
    assert isinstance(screen, TasksScreen)
    for _ in range(READ_AFTER):
        screen.on_tick()
    return [call for call in calls(s) if call[0] == "mark"]


async def test_what_is_read_in_the_preview_for_some_seconds_is_unread_no_longer() -> None:
    detail = make_detail(1, S.IDLE, title="Ready", unread=True, sessions=(make_session(1),))
    store = store_with(detail, a_session(transcript=a_transcript()))
    async with stage(store) as s:
        assert read(s) == [], "nobody has pressed a key yet"
        await s.press("j")
        s.app.app_focus = False
        assert read(s) == [], "nobody looks at this terminal"
        s.app.app_focus = True
        assert read(s) == [("mark", TASK, False)]


async def test_what_is_not_seen_in_the_preview_stays_unread() -> None:
    async with stage(some_tasks()) as s:
        await s.press("end", "up", "up")
        assert cursor(s) == "Ready" and read(s) == [], "nothing of what was said has come"
    detail = make_detail(1, S.IDLE, title="Ready", unread=True, sessions=(make_session(1),))
    async with stage(store_with(detail, a_session(transcript=a_transcript()))) as s:
        await s.press("slash", *"is:unread", "enter")
        assert cursor(s) == "Ready" and read(s) == [], "it would go from under one's eyes"
        await s.press("escape", "space")
        assert read(s) == [], "it is not shown"
        await s.press("space", "question_mark")
        assert read(s) == [], "the help lies over it"
        await s.press("escape")
        assert read(s) == [("mark", TASK, False)]


async def test_b_groups_by_repository_and_back() -> None:
    store = make_store([make_task(1, repo_label="shop"), make_task(2, repo_label="docs")])
    async with stage(store) as s:
        await s.press("b")
        assert "docs 1" in shown(s) and "by repository" in bar(s)
        await s.press("b")
        assert "Ready 2" in shown(s)


async def test_shift_s_goes_through_the_sortings() -> None:
    store = make_store([make_task(1, title="b"), make_task(2, title="a")])
    async with stage(store) as s:
        assert the_list(s).order.ids() == [task_id(1), task_id(2)]
        await s.press("S", "S")
        assert "by title" in bar(s)
        assert the_list(s).order.ids() == [task_id(2), task_id(1)]
        await s.press("S", "S")
        assert the_list(s).order.ids() == [task_id(1), task_id(2)]


# Acting on tasks.


async def test_retry_archive_and_kill_act_on_the_highlighted_task() -> None:
    async with stage(some_tasks()) as s:
        await s.press("slash", *"status:failed", "enter", "r")
        assert calls(s) == [("retry", task_id(6))]
        await s.press("x", "y")
        assert calls(s)[-1] == ("kill", task_id(6), False, False)


async def test_kill_asks_first_and_no_is_no() -> None:
    async with stage(some_tasks()) as s:
        await s.press("x", "n")
        await s.press("x", "escape")
        assert calls(s) == []


async def test_a_question_about_several_tasks_names_them_and_what_is_not_committed() -> None:
    work = Work(base="main", ahead=0, behind=0, files=2, added=1, removed=0, uncommitted=2, at=NOW)
    tasks = (make_task(1, title="Move CI", work=work), make_task(2, title="Pin the runners"))
    async with stage(make_store(tasks)) as s:
        await s.press("v", "v", "x")
        told = text_of(s)
        assert "Kill 2 tasks?" in told
        assert "• Move CI: 2 uncommitted" in told and "• Pin the runners" in told
        assert "• Pin the runners:" not in told


async def test_retrying_one_task_after_the_other_is_said_in_one_place() -> None:
    async with stage(make_store(make_task(number, TaskStatus.ERROR) for number in (1, 2, 3))) as s:
        await s.press("r", "j", "r", "j", "r")
        assert len([call for call in calls(s) if call[0] == "retry"]) == 3
        assert len(s.app._notifications) == 1


async def test_before_a_removal_the_backend_is_made_to_look_at_what_would_be_lost() -> None:
    async with stage(some_tasks()) as s:
        await s.press("x")
        [first] = s.commands.looked_at
        await s.press("n", "down", "a")
        assert len(s.commands.looked_at) == 2
        assert s.commands.looked_at[1] != first
        assert calls(s) == []


async def test_archive_can_be_undone() -> None:
    async with stage(some_tasks()) as s:
        await s.press("a")
        assert calls(s) == [] and "undo" in footer(s)
        assert "archived in a moment" in shown(s)
        await s.press("u")
        assert "archived in a moment" not in shown(s)
        assert calls(s) == [] and "undo" not in footer(s)


async def test_archiving_goes_on_to_the_next_task_and_each_can_be_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiving, "UNDO_SECONDS", 60)
    async with stage(some_tasks()) as s:
        await s.press("a", "a")
        assert shown(s).count("archived in a moment") == 2 and cursor(s) == "Provisions"
        await s.press("u")
        assert shown(s).count("archived in a moment") == 1 and cursor(s) == "Asks two"
        assert "undo" in footer(s)
        await s.press("u")
        assert "archived in a moment" not in shown(s) and cursor(s) == "Asks one"
        assert calls(s) == [] and "undo" not in footer(s)


async def test_archiving_the_last_that_lives_goes_back_to_the_one_above() -> None:
    async with stage(some_tasks()) as s:
        await s.press("end", "up", "a")
        assert cursor(s) == "Ready", "what has ended is not gone on to"
        await s.press("v", "k", "k", "v", "a")
        assert cursor(s) == "Provisions", "nor what was marked and archived"


async def test_archivings_that_were_not_undone_are_sent_when_the_app_is_left() -> None:
    async with stage(some_tasks()) as s:
        await s.press("a", "a", "ctrl+q")
    assert calls(s) == [("archive", task_id(1), False), ("archive", task_id(2), False)]


async def test_what_would_be_lost_is_named_before_it_is_forced() -> None:
    from foundry_tui.client.commands import CommandProblem
    from foundry_tui.screens.confirm import ConfirmScreen

    async with stage(some_tasks()) as s:
        problem = Problem(status=409, title="Conflict", detail="work would be lost", would_lose=("a.py, uncommitted",))
        s.commands.fail(CommandProblem(action="kill", message="no", task_id=task_id(1), problem=problem))
        await s.pilot.pause()
        assert isinstance(s.app.screen, ConfirmScreen)
        assert "a.py, uncommitted" in text_of(s)
        await s.press("y")
        assert calls(s) == [("kill", task_id(1), True, False)]


async def test_what_several_tasks_would_lose_is_asked_in_one_question(monkeypatch: pytest.MonkeyPatch) -> None:
    from foundry_tui.client.commands import CommandProblem
    from foundry_tui.screens.confirm import ConfirmScreen

    monkeypatch.setattr(confirmations, "QUIET_SECONDS", 0.05)
    async with stage(some_tasks()) as s:
        await s.press("question_mark")
        for number in (1, 2):
            losses = (f"{number}.py, uncommitted",)
            problem = Problem(status=409, title="Conflict", detail="work would be lost", would_lose=losses)
            s.commands.fail(CommandProblem(action="archive", message="no", task_id=task_id(number), problem=problem))
        await s.press("escape")
        await s.opens(ConfirmScreen)
        told = text_of(s)
        assert "Archive 2 tasks?" in told
        assert all(f"{s.store.tasks[task_id(number)].title}: {number}.py" in told for number in (1, 2))
        await s.press("y")
        assert calls(s) == [("archive", task_id(1), True), ("archive", task_id(2), True)]


async def test_losses_that_do_not_fit_are_told_and_scrolled_to_with_keys() -> None:
    from foundry_tui.client.commands import CommandProblem

    losses = tuple(f"{each} uncommitted files in the submodule vendor/{each}" for each in range(30))
    async with stage(some_tasks(), size=(60, 20)) as s:
        problem = Problem(status=409, title="Conflict", detail="work would be lost", would_lose=losses)
        s.commands.fail(CommandProblem(action="kill", message="no", task_id=task_id(1), problem=problem))
        await s.quiet()
        assert "more lines: pgdn" in text_of(s)
        assert "Keep it" in text_of(s) and "Kill all the same" in text_of(s)
        await s.press("end")
        assert "vendor/29" in text_of(s)
        await s.press("n")
        assert calls(s) == []


async def test_an_ended_task_is_removed_for_good_with_the_same_key() -> None:
    async with stage(some_tasks()) as s:
        await s.press("end")
        assert "remove" in footer(s) and "kill" not in footer(s)
        await s.press("x", "y")
        assert calls(s) == [("prune", task_id(7))]


async def test_the_first_press_marks_and_more_presses_mark_more() -> None:
    async with stage(some_tasks()) as s:
        await s.press(*"vvv")
        assert the_list(s).marked == {task_id(1), task_id(2), task_id(3)}
        assert "3 marked" in bar(s)
        await s.press("k", "v", "k", "k", "space", "space")
        assert the_list(s).marked == {task_id(1), task_id(3)}
        await s.press("escape")
        assert not the_list(s).marked and not the_list(s).selecting


async def test_marked_tasks_are_acted_on_together_and_then_marked_no_longer() -> None:
    async with stage(some_tasks(), size=(160, 36)) as s:
        await s.press("v", "space", "space")
        assert "open" not in footer(s) and "new task" not in footer(s)
        assert "a archive 3" in footer(s) and "x kill 3" in footer(s)
        await s.press("x", "n")
        assert len(the_list(s).marked) == 3
        await s.press("x", "y")
        assert [call[:2] for call in calls(s)] == [("kill", task_id(number)) for number in (1, 2, 3)]
        assert not the_list(s).marked and not the_list(s).selecting
        assert "a archive  " in footer(s)


@pytest.mark.parametrize("key", ["a", "x", "r", "m"])
async def test_with_nothing_marked_nothing_is_acted_on(key: str) -> None:
    async with stage(some_tasks()) as s:
        await s.press("v", "k", "v", key)
        assert the_list(s).selecting
        assert calls(s) == [] and not s.app.undoable
        assert s.app.screen.query(TaskList)
        assert [said.message for said in s.app._notifications] == ["Not now: no task is marked."]


async def test_archiving_the_marked_ones_says_how_many() -> None:
    async with stage(some_tasks()) as s:
        await s.press("v", "v", "a")
        assert [said.message for said in s.app._notifications] == ["Archiving 2 tasks. Press u to undo."]
        assert not the_list(s).selecting


async def test_the_group_is_marked_then_all_then_none_and_what_is_filtered_at_once() -> None:
    async with stage(some_tasks()) as s:
        await s.press("down", "ctrl+a")
        assert the_list(s).marked == {task_id(1), task_id(2)}
        await s.press("ctrl+a")
        assert len(the_list(s).marked) == 7
        await s.press("ctrl+a")
        assert not the_list(s).marked
        await s.press("v", "end", "slash", *"s", "enter", "ctrl+a")
        filtered = set(the_list(s).order.ids())
        assert len(filtered) > 2 and the_list(s).marked == filtered | {task_id(2)}
        await s.press("ctrl+a")
        assert the_list(s).marked == {task_id(2)} - filtered


async def test_all_are_marked_and_retried_where_that_is_possible() -> None:
    async with stage(some_tasks()) as s:
        await s.press("ctrl+a", "ctrl+a", "r")
        assert calls(s) == [("retry", task_id(6))]
        assert [said.title for said in s.app._notifications] == ["Retry “Failed”"]
        assert not the_list(s).selecting


async def test_the_footer_counts_the_marked_tasks_that_an_action_is_for() -> None:
    async with stage(some_tasks(), size=(160, 36)) as s:
        await s.press("ctrl+a", "ctrl+a")
        assert "r retry 1" in footer(s) and "a archive 6" in footer(s)


@pytest.mark.parametrize("width", [60, 80, 160])
async def test_the_way_to_all_keys_is_told_while_tasks_are_marked(width: int) -> None:
    async with stage(some_tasks(), size=(width, 36)) as s:
        await s.press("v")
        assert "? keys" in footer(s)


async def test_marks_that_a_filter_hides_stay_when_the_others_are_acted_on() -> None:
    async with stage(some_tasks(), size=(160, 36)) as s:
        await s.press("ctrl+a", "ctrl+a", "slash", *"Failed", "enter")
        assert "1 marked, 6 more hidden" in bar(s)
        await s.press("r")
        assert calls(s) == [("retry", task_id(6))]
        assert len(the_list(s).marked) == 6 and the_list(s).selecting
        await s.press("escape")
        assert "6 marked" in bar(s) and "hidden" not in bar(s)


async def test_what_is_done_to_an_open_task_leaves_the_marks_of_others() -> None:
    async with stage(some_tasks()) as s:
        await s.press("v", "v", "enter", "m", "escape")
        assert the_list(s).marked == {task_id(1), task_id(2)}


async def test_a_mark_set_with_the_mouse_is_counted() -> None:
    async with stage(some_tasks(), size=(160, 36)) as s:
        await s.press("v", "k", "v")
        assert "0 marked" in bar(s)
        await s.pilot.click(TaskList, offset=(2, the_list(s).order.position[task_id(1)] + 1))
        assert "1 marked" in bar(s) and "a archive 1" in footer(s)


async def test_marks_of_removed_tasks_are_forgotten() -> None:
    async with stage(some_tasks()) as s:
        await s.press("v")
        remove(s.store, task_id(1))
        s.store.flush()
        # Its line goes with the next frame; until then it is none of what keys act on.
        screen = s.app.screen
        assert isinstance(screen, TasksScreen)
        assert screen.context().marked == ()
        await s.flush()
        assert the_list(s).marked == set()


async def test_keys_that_cannot_do_anything_say_why() -> None:
    async with stage(some_tasks()) as s:
        await s.press("r")
        toast = list(s.app._notifications)
        assert toast[-1].message == "Not now: this task has not failed."
        assert calls(s) == []


async def test_a_task_is_renamed_from_the_list_and_what_is_typed_is_its_title() -> None:
    async with stage(some_tasks(), size=(120, 40)) as s:
        await s.burst("\x1bOQ\x01\x0bxea  new title\r")
        assert calls(s) == [("rename", task_id(1), "xea new title")]
        assert isinstance(s.app.screen, TasksScreen)
        await s.press("j", "f2")
        assert "enter save" in footer(s) and "esc cancel" in footer(s)
        await s.press("x", "escape")
        assert len(calls(s)) == 1
        await s.press("f2", "x", "ctrl+s")
        assert len(calls(s)) == 2


@pytest.mark.parametrize("written", ["", "   ", "Asks one"])
async def test_a_title_that_is_empty_or_the_same_renames_nothing(written: str) -> None:
    async with stage(some_tasks()) as s:
        await s.burst(f"\x1bOQ\x01\x0b{written}\r")
        assert calls(s) == []


async def test_a_creation_without_an_answer_is_not_renamed() -> None:
    store = some_tasks()
    store.create(CreateTask(repo="/src/shop", prompt="new", task_id=task_id(80), session_id="s-80"))
    async with stage(store) as s:
        the_list(s).put_cursor(task_id(80))
        await s.press("f2")
        assert [said.message for said in s.app._notifications] == [
            "Not now: the backend has not answered for this task yet."
        ]


async def test_copying_branch_and_id() -> None:
    async with stage(some_tasks()) as s:
        await s.press("y")
        assert s.app.clipboard == "fix/login-redirect-1"
        await s.press("Y")
        assert s.app.clipboard == task_id(1)


# Creations.


async def test_a_creation_stands_in_the_list_before_any_answer() -> None:
    async with stage(some_tasks()) as s:
        request = CreateTask(repo="/src/shop", prompt="mend it", task_id=task_id(80), session_id="s-80")
        s.store.create(request)
        await s.flush()
        assert "asking the backend" in shown(s)
        assert any("mend it" in line and "↑" in line for line in lines(s))


async def test_a_refused_creation_stays_with_its_reason_and_can_be_retried_or_discarded() -> None:
    async with stage(make_store([])) as s:
        request = CreateTask(repo="/src/shop", prompt="mend it", task_id=task_id(80), session_id="s-80")
        s.store.create(request)
        s.store.refused(task_id(80), Problem(status=422, title="Wrong", detail="branch exists already"))
        await s.flush()
        assert "branch exists already" in shown(s) and "Failed 1" in shown(s)
        await s.press("r")
        assert calls(s) == [("retry_creation", task_id(80))]
        await s.press("x")
        assert calls(s)[-1] == ("discard_creation", task_id(80))


# Faces.


async def test_an_empty_list_teaches_the_first_key() -> None:
    async with stage(make_store([])) as s:
        assert "No tasks yet" in face(s) and "n  create your first task" in face(s)
        put(s.store, make_task(1))
        await s.flush()
        assert not s.app.screen.query_one(EmptyList).display
        assert cursor(s).startswith("Fix the login redirect")


async def test_before_the_first_answer_it_says_that_it_reads() -> None:
    async with stage(Store(now_ms=lambda: NOW)) as s:
        assert "Reading tasks" in shown(s) and bar(s).endswith("◌ connecting")


async def test_offline_with_nothing_to_show_says_why_and_what_helps() -> None:
    async with stage(make_store([], freshness=OFFLINE)) as s:
        assert "Cannot reach the backend" in face(s) and "connection refused" in face(s) and "^r" in face(s)
        await s.press("ctrl+r")
        assert calls(s) == [("reconnect",)]


async def test_offline_with_tasks_keeps_showing_them_and_says_so() -> None:
    async with stage(make_store([make_task(1)], freshness=OFFLINE)) as s:
        assert "connection refused" in str(s.app.screen.query_one("#banner").render())
        assert s.app.screen.query_one("#banner").display
        assert bar(s).endswith("○ offline")
        assert "Fix the login" in shown(s)


# Mouse.


async def test_clicks_highlight_then_open() -> None:
    async with stage(some_tasks()) as s:
        line = the_list(s).order.position[task_id(4)]
        await s.pilot.click(TaskList, offset=(20, line + 1))
        assert cursor(s) == "Works"


async def test_a_click_on_a_footer_key_does_what_the_key_does() -> None:
    async with stage(some_tasks(), size=(160, 36)) as s:
        at = footer(s).index("sort") + 2
        await s.pilot.click(ActionBar, offset=(at, 0))
        await s.pilot.pause()
        assert "last changed first" in bar(s)


async def test_narrow_screens_keep_title_state_and_age() -> None:
    async with stage(some_tasks(), size=(60, 24)) as s:
        row = next(line for line in lines(s) if "Provisions" in line)
        assert "▰▰▱▱▱ sandbox 12s" in row and row.endswith("5m")
        assert all(len(line) <= 60 for line in lines(s))


async def test_ascii_screens_hold_ascii_only() -> None:
    async with stage(some_tasks(), options=Options(ascii=True, bell=False, terminal_notifications=False)) as s:
        assert shown(s).isascii() and bar(s).isascii() and footer(s).isascii()


async def test_nothing_wakes_for_spinners_when_nothing_turns() -> None:
    async with stage(make_store([make_task(1, S.IDLE)])) as s:
        s.app.animation_level = "full"
        tasks = the_list(s)
        tasks.turn()
        assert not tasks.turning
        put(s.store, make_task(1, S.CREATE_SANDBOX))
        await s.flush()
        assert tasks.turning


@pytest.mark.parametrize("keys", [(), ("slash", *"api"), ("v", "space")])
async def test_the_bar_of_a_narrow_list_cuts_no_count(keys: tuple[str, ...]) -> None:
    async with stage(store_of_every_state(), size=(60, 28)) as s:
        await s.press(*keys)
        line = text_of(s, TopBar)
        assert "3 failed" in line
        assert "…" not in line


async def test_what_was_said_is_shown_also_where_it_came_while_nothing_was_to_be_shown() -> None:
    async with stage(store_with(make_detail(1), a_session(transcript=a_transcript())), size=(120, 30)) as s:
        s.app.open_task(TASK)
        await s.flush()
        transcript = s.app.screen.query_one(Transcript)
        items, lines_of_it = list(transcript._items), transcript.line_count
        transcript.show(())
        transcript.display = False
        await s.pilot.pause()
        transcript.show(items)
        transcript.display = True
        await s.pilot.pause()
        assert transcript.line_count == lines_of_it > 0
