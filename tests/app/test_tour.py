"""The demo's tour: it goes on with the keys that it names, on every screen, and is left with escape."""

import pytest

from foundry_tui.actions import table as actions
from foundry_tui.app.tour import TourGuide
from foundry_tui.view.tour import STOPS, Tour
from foundry_tui.widgets.tour_line import TourLine
from tests.app import task_scenes
from tests.app.harness import stage
from tests.app.looking import text_of

pytestmark = pytest.mark.anyio


def test_it_has_ten_stops_each_of_which_is_an_action_with_a_key() -> None:
    assert len(STOPS) == 10
    assert all(actions.find(stop.action).keys for stop in STOPS)


def test_it_goes_on_with_the_key_that_it_names_alone() -> None:
    tour = Tour(STOPS[:2])
    assert not tour.pressed(STOPS[1].action)
    assert tour.pressed(STOPS[0].action)
    assert tour.words("tab")[:2] == ("2 of 2", "tab")
    assert tour.pressed(STOPS[1].action)
    assert tour.stop is None


async def test_it_leads_through_the_screens_and_ends_with_a_dialog() -> None:
    async with stage(task_scenes.permission_scene(), size=(100, 30)) as on:
        on.app.lead(TourGuide(on.app))
        await on.quiet()
        for number, key in enumerate(("G", "tab", "enter", "1", "O", "escape", "slash", "escape", "b"), 2):
            await on.press(key)
            assert f"{number} of 10" in text_of(on, TourLine)
        await on.press("n")
        assert not on.app.screen_stack[0].query(TourLine)
        assert [call[0] for call in on.commands.calls] == ["answer"]


async def test_escape_leaves_it_and_does_nothing_else() -> None:
    async with stage(task_scenes.permission_scene(), size=(100, 30)) as on:
        on.app.lead(TourGuide(on.app))
        await on.press("G", "tab", "enter")
        await on.press("escape")
        assert len(on.app.screen_stack) == 2
        assert not on.app.screen.query(TourLine)
        await on.press("escape")
        assert len(on.app.screen_stack) == 1
