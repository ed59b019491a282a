"""Moments that once ended the app: a screen that is only being opened, a click on what is gone, a view without room."""

from collections.abc import Callable
from typing import Any

import pytest
from textual.command import CommandList
from textual.events import AppBlur, AppFocus, MouseDown
from textual.screen import Screen
from textual.widgets._toast import Toast

from foundry_tui.actions import table as actions
from foundry_tui.app.app import FoundryApp
from foundry_tui.client.changes import Changes
from foundry_tui.client.freshness import Freshness, FreshnessState
from foundry_tui.client.statistics import Diagnostics
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.transcript import TranscriptKind
from foundry_tui.screens.checkpoints import CheckpointsScreen
from foundry_tui.screens.confirm import ConfirmScreen
from foundry_tui.screens.diagnostics import DiagnosticsScreen
from foundry_tui.screens.form import FormScreen
from foundry_tui.screens.help import HelpScreen
from foundry_tui.screens.new_session import NewSessionScreen
from foundry_tui.screens.new_task import NewTaskScreen
from foundry_tui.screens.rename import RenameScreen
from foundry_tui.screens.session_options import SessionOptionsScreen
from foundry_tui.screens.task import TaskScreen
from foundry_tui.screens.tasks import TasksScreen
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.composer import Composer
from foundry_tui.widgets.task_header import TaskHeader
from foundry_tui.widgets.transcript import Transcript
from tests.app import task_scenes as scenes
from tests.app.factories import NOW, make_detail, make_task, task_id
from tests.app.harness import make_store, put_detail, stage
from tests.app.question_scenes import RELEASE
from tests.bench.reader import Reader

pytestmark = pytest.mark.anyio

A_FORM = scenes.a_permission(fields=RELEASE)
OPENED: dict[str, Callable[[FoundryApp], Screen[Any]]] = {
    "task": lambda _: TaskScreen(task_id(1)),
    "new-task": lambda _: NewTaskScreen(),
    "new-session": lambda _: NewSessionScreen(make_task(1)),
    "options": lambda app: SessionOptionsScreen("session-1", app.store),
    "checkpoints": lambda app: CheckpointsScreen(task_id(1), app.store),
    "form": lambda app: FormScreen(A_FORM, app.store),
    "confirm": lambda _: ConfirmScreen("Remove it?", (), "Remove"),
    "rename": lambda _: RenameScreen(make_task(1)),
    "help": lambda app: HelpScreen(app.context(), []),
    "diagnostics": lambda _: DiagnosticsScreen(),
}


def nothing_known() -> Diagnostics:
    return Diagnostics(
        at=NOW,
        freshness=Freshness(FreshnessState.LIVE, NOW),
        topics=(),
        log=(),
        tasks=1,
        creations=0,
        flushes=1,
        unsettled_commands=0,
    )


@pytest.mark.parametrize("opened", OPENED)
async def test_a_second_and_news_pass_while_a_screen_is_being_opened(opened: str) -> None:
    store = make_store([make_task(1)])
    told: list[Changes] = []
    store.listen(told.append)
    async with stage(store) as s:
        s.app.diagnostics = nothing_known
        put_detail(store, make_detail(1, title="Mend the gate", permissions=(A_FORM,)))
        store.flush()
        screen = OPENED[opened](s.app)
        s.app.push_screen(screen)
        assert not screen.is_mounted
        s.app._tick()
        s.app.on_foundry_app_store_changed(FoundryApp.StoreChanged(told[-1]))
        await s.pilot.pause()
        s.app._tick()
        assert s.app.screen is screen


async def test_what_comes_while_a_task_is_being_opened_is_shown_once_it_stands() -> None:
    store = make_store([make_task(1, title="Build a gate")])
    told: list[Changes] = []
    async with stage(store) as s:
        screen = TaskScreen(task_id(1))
        composed = screen.compose

        def compose() -> object:
            yield from composed()
            s.app._unlisten()
            store.listen(told.append)
            put_detail(store, make_detail(1, title="Mend the gate"))
            store.flush()
            s.app.on_foundry_app_store_changed(FoundryApp.StoreChanged(told[-1]))

        screen.compose = compose  # type: ignore[method-assign,assignment]
        s.app.push_screen(screen)
        await s.pilot.pause()
        assert "Mend the gate" in screen.query_one(TaskHeader).render_line(0).text


async def test_a_transcript_that_became_shorter_without_room_is_drawn_when_it_has_some() -> None:
    app = Reader(Transcript)
    async with app.run_test(size=(60, 12)) as pilot:
        transcript = app.query_one(Transcript)
        items = [scenes.item(index, TranscriptKind.MESSAGE, "one line\n" * 4) for index in range(1, 21)]
        transcript.show(items)
        await pilot.pause()
        transcript.move(-20)
        await pilot.pause()
        transcript.styles.width = 0
        await pilot.pause()
        transcript.show(())
        transcript.show(items[:2])
        transcript.styles.width = "1fr"
        await pilot.pause()
        assert transcript.line_count == len(transcript._strips(0)) + len(transcript._strips(1))
        assert "one line" in transcript.render_line(0).text


@pytest.mark.parametrize(("before", "behind"), [(0, 3), (4, 5), (4, 30), (30, 32)])
async def test_what_comes_while_a_transcript_is_hidden_is_in_sight_once_it_is_not(before: int, behind: int) -> None:
    """As comments that are sent from the changes, and what the agent answers."""
    app = Reader(Transcript)
    async with app.run_test(size=(60, 20)) as pilot:
        transcript = app.query_one(Transcript)
        items = [scenes.item(index, TranscriptKind.MESSAGE, f"message {index}") for index in range(1, behind + 1)]
        transcript.show(items[:before])
        await pilot.pause()
        transcript.display = False
        await pilot.pause()
        transcript.show(items)
        await pilot.pause()
        transcript.display = True
        await pilot.pause()
        shown = [strip.text.strip() for strip in app.screen._compositor.render_strips()]
        assert f"● message {behind}" in shown
        assert transcript.following


@pytest.mark.parametrize("key", ["pagedown", "pageup", "down", "enter"])
@pytest.mark.parametrize("size", [(60, 1), (3, 10), (8, 8)])
async def test_the_palette_moves_where_its_list_has_no_room(size: tuple[int, int], key: str) -> None:
    async with stage(make_store([make_task(1)]), size=(60, 20)) as s:
        await s.press("ctrl+p")
        await s.pilot.resize_terminal(*size)
        await s.press(key)
        assert s.app.is_running


async def test_a_click_on_a_notification_that_is_just_gone_is_no_click() -> None:
    async with stage(make_store([make_task(1)]), notifications=True) as s:
        s.app.notify("Here for a moment", timeout=60)
        await s.quiet()
        toast = s.app.screen.query_one(Toast)
        x, y = toast.content_region.offset
        rack = toast.parent
        # Removed, as by an earlier click, and still in the picture.
        toast._detach()
        assert s.app.screen.get_widget_and_offset_at(x, y)[0] is toast
        await s.app.on_event(MouseDown(None, x, y, 0, 0, 1, False, False, False))
        assert rack is not None
        toast._attach(rack)


BRACKETS = "Mend [/] and [bold]this[/bold]"


@pytest.mark.parametrize("typed", ["", "mend", "[/]"])
async def test_a_title_that_looks_like_markup_is_found_in_the_palette_as_it_stands(typed: str) -> None:
    tasks = [make_task(1, title=BRACKETS, branch="fix/[x]", repo_label="[/shop]")]
    async with stage(make_store(tasks)) as s:
        await s.press("ctrl+p", *typed)
        found = s.app.screen.query_one(CommandList)
        await s.found()
        assert any(BRACKETS in str(option.prompt) for option in found._options)


@pytest.mark.parametrize("key", ["a", "x"])
async def test_a_title_that_looks_like_markup_is_told_as_it_stands(key: str) -> None:
    async with stage(make_store([make_task(1, title=BRACKETS)]), notifications=True) as s:
        await s.press(key)
        assert s.app.is_running


async def test_a_palette_that_is_clicked_away_twice_at_once_leaves_what_is_below_it_open() -> None:
    async with stage(make_store([make_task(1)])) as s:
        s.app.open_task(task_id(1))
        await s.press("ctrl+p")
        s.type("\x1b[<0;1;1M\x1b[<0;1;1m" * 2)
        await s.quiet()
        assert isinstance(s.app.screen, TaskScreen)


async def test_a_second_click_on_a_footer_whose_screen_is_left_is_no_click() -> None:
    async with stage(make_store([make_task(1)])) as s:
        await s.press("f1")
        bar = s.app.screen.query_one(ActionBar)
        s.app.post_message(ActionBar.Pressed(bar, actions.find("close")))
        s.app.post_message(ActionBar.Pressed(bar, actions.find("close")))
        await s.quiet()
        assert s.app.is_running
        assert isinstance(s.app.screen, TasksScreen)


async def test_a_composer_that_went_while_nobody_looked_at_the_terminal_takes_no_keys() -> None:
    store = scenes.status_scene(TaskStatus.IDLE)
    async with stage(store) as s:
        s.app.open_task(scenes.TASK)
        await s.press("i")
        s.app.post_message(AppBlur())
        await s.quiet()
        put_detail(store, scenes.a_task(TaskStatus.ARCHIVED, revision=9))
        await s.flush()
        s.app.post_message(AppFocus())
        await s.quiet()
        assert isinstance(s.app.screen, TaskScreen)
        assert not s.app.screen.query_one(Composer).display
        assert s.app.focused is None
