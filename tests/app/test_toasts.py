"""What is told in passing stands where nothing is written and no key is named."""

import pytest
from textual.widget import Widget
from textual.widgets._toast import Toast

from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.composer import Composer
from tests.app import task_scenes as scenes
from tests.app.harness import make_app
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
