"""What is told in passing stands where nothing is written and no key is named."""

import pytest
from textual.widget import Widget
from textual.widgets import Button
from textual.widgets._toast import Toast

from foundry_tui.app.textual_compat import strips_of
from foundry_tui.contract.status import TaskStatus
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.composer import Composer
from foundry_tui.widgets.transcript import Transcript
from tests.app import task_scenes as scenes
from tests.app.factories import make_task, task_id
from tests.app.harness import make_app, make_store, put, stage
from tests.app.list_scenes import store_of_every_state
from tests.app.task_scenes import TASK

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("size", [(120, 36), (100, 30), (60, 24)])
async def test_toasts_cover_neither_the_composer_nor_the_keys(size: tuple[int, int]) -> None:
    app = make_app(scenes.permission_scene())
    async with app.run_test(size=size, notifications=True) as pilot:
        app.open_task(TASK)
        await pilot.pause()
        for number in range(3):
            app.notify(f"The task number {number} became ready.", title="Ready")
        await pilot.pause()
        shown = app.screen.query(Toast)
        assert len(shown) == 3
        below: list[type[Widget]] = [Composer, ActionBar]
        for widget in below:
            region = app.screen.query_one(widget).region
            assert not any(toast.region.overlaps(region) for toast in shown)


@pytest.mark.parametrize("size", [(120, 36), (60, 24), (60, 16)])
async def test_toasts_cover_no_answer_of_a_dialog(size: tuple[int, int]) -> None:
    app = make_app(store_of_every_state())
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press("x")
        for number in range(4):
            app.notify(f"The task number {number} became ready, and said a lot about what it did.", title="Ready")
        await pilot.pause()
        buttons = list(app.screen.query(Button))
        assert len(buttons) == 2 and app.screen.query(Toast)
        for button in buttons:
            for x in button.region.column_range:
                assert app.screen.get_widget_at(x, button.region.y)[0] is button


@pytest.mark.parametrize("size", [(120, 36), (60, 16)])
@pytest.mark.parametrize("opens", [(), ("enter",)], ids=["list", "task"])
async def test_with_a_dialog_open_each_stands_once_and_the_mark_of_freshness_is_seen(
    size: tuple[int, int], opens: tuple[str, ...]
) -> None:
    app = make_app(store_of_every_state())
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press(*opens)
        app.notify("The task became ready.", title="Ready", timeout=60)
        await pilot.pause()
        await pilot.press("n")
        await pilot.pause()
        lines = [strip.text for strip in strips_of(app)]
        assert sum("The task became" in line for line in lines) == 1
        assert ("stale" if opens else "live") in lines[0]


async def test_opening_a_task_takes_away_the_toast_that_told_of_it() -> None:
    tasks = [make_task(number, TaskStatus.RUNNING, title=f"Task {number}") for number in (1, 2, 3)]
    async with stage(make_store(tasks), notifications=True) as on:
        on.app.open_task(task_id(3))
        await on.pilot.pause()
        put(on.store, *(make_task(number, TaskStatus.ERROR, title=f"Task {number}") for number in (1, 2)))
        await on.flush()
        assert len(on.app._notifications) == 2
        on.app.open_task(task_id(1))
        await on.pilot.pause()
        (left,) = on.app._notifications
        assert left.message.startswith("Task 2: sandbox failed: ")
        assert len(on.app.screen.query(Toast)) == 1


async def test_what_is_told_stays_however_long_a_test_takes() -> None:
    app = make_app(make_store([]))
    async with app.run_test(notifications=True) as pilot:
        app.notify("Over at once.", timeout=0.001)
        await pilot.pause()
        assert len(app._notifications) == len(app.screen.query(Toast)) == 1


@pytest.mark.parametrize("size", [(120, 32), (160, 40), (220, 50)])
async def test_beside_a_conversation_nothing_that_is_told_in_passing_covers_it(size: tuple[int, int]) -> None:
    app = make_app(scenes.permission_scene())
    async with app.run_test(size=size, notifications=True) as pilot:
        app.open_task(TASK)
        await pilot.pause()
        for number in range(2):
            app.notify(f"The task number {number} became ready, and said a lot about it.", timeout=60)
        await pilot.pause()
        read = app.screen.query_one(Transcript).region
        shown = app.screen.query(Toast)
        assert len(shown) == 2 and not any(toast.region.overlaps(read) for toast in shown)


@pytest.mark.parametrize("size", [(80, 24), (120, 32), (160, 50)])
async def test_the_head_and_the_end_of_the_keys_are_read_below_what_is_told_in_passing(size: tuple[int, int]) -> None:
    app = make_app(scenes.permission_scene())
    async with app.run_test(size=size, notifications=True) as pilot:
        app.open_task(TASK)
        await pilot.pause()
        await pilot.press("question_mark")
        for number in range(2):
            app.notify(f"The task number {number} became ready.", timeout=60)
        await pilot.pause()
        keys = app.screen.query_one("#keys").region
        shown = [toast.region for toast in app.screen.query(Toast)]
        assert len(shown) == 2 and min(each.y for each in shown) > keys.y + 5
        assert max(each.bottom for each in shown) <= app.screen.query_one(ActionBar).region.y
