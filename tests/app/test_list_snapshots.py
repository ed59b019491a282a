"""Pictures of the home screen and of what opens over it; few, since each changes with every redesign."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from foundry_tui.app.app import FoundryApp
from foundry_tui.app.options import Options
from foundry_tui.client.store import Store
from tests.app.factories import NOW
from tests.app.harness import make_app, make_store, rest
from tests.app.list_scenes import AWAY, every_state, store_of, store_of_every_state, store_of_speaking

WIDE, NARROW = (120, 34), (60, 34)


class SnapCompare(Protocol):
    def __call__(
        self,
        app: FoundryApp,
        press: tuple[str, ...] = (),
        terminal_size: tuple[int, int] = WIDE,
        run_before: Callable[[Pilot[None]], Awaitable[None] | None] | None = None,
    ) -> bool: ...


async def _still(pilot: Pilot[None]) -> None:
    for field in pilot.app.query(Input):
        field.cursor_blink = False
    await pilot.pause()
    if isinstance(pilot.app, FoundryApp):
        rest(pilot.app)
    await pilot.pause()


def app_of(store: Store, **options: object) -> FoundryApp:
    chosen = Options(bell=False, terminal_notifications=False, **options)  # type: ignore[arg-type]
    return make_app(store, options=chosen)


@pytest.mark.parametrize("size", [WIDE, (90, 34), NARROW], ids=["wide", "medium", "narrow"])
def test_every_state(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert snap_compare(app_of(store_of_every_state()), terminal_size=size, run_before=_still)


@pytest.mark.parametrize("width", [60, 80, 120, 160, 220])
def test_what_tasks_say(snap_compare: SnapCompare, width: int) -> None:
    assert snap_compare(app_of(store_of_speaking()), terminal_size=(width, 34), run_before=_after("j"))


@pytest.mark.parametrize("face", ["light", "ascii"])
def test_what_tasks_say_in_other_faces(snap_compare: SnapCompare, face: str) -> None:
    options = {"theme": "foundry-light"} if face == "light" else {"ascii": True}
    assert snap_compare(app_of(store_of_speaking(), **options), terminal_size=WIDE, run_before=_after("j"))


@pytest.mark.parametrize("theme", ["foundry-light", "ansi-dark"])
def test_themes(snap_compare: SnapCompare, theme: str) -> None:
    assert snap_compare(app_of(store_of_every_state(), theme=theme), terminal_size=WIDE, run_before=_still)


def test_ascii(snap_compare: SnapCompare) -> None:
    assert snap_compare(app_of(store_of_every_state(), ascii=True), terminal_size=WIDE, run_before=_still)


def test_empty(snap_compare: SnapCompare) -> None:
    assert snap_compare(app_of(make_store([])), terminal_size=WIDE, run_before=_still)


def test_loading(snap_compare: SnapCompare) -> None:
    assert snap_compare(app_of(Store(now_ms=lambda: NOW)), terminal_size=WIDE, run_before=_still)


def test_offline(snap_compare: SnapCompare) -> None:
    assert snap_compare(app_of(make_store([], freshness=AWAY)), terminal_size=WIDE, run_before=_still)


def test_offline_with_tasks(snap_compare: SnapCompare) -> None:
    assert snap_compare(app_of(store_of(every_state(), AWAY)), terminal_size=NARROW, run_before=_still)


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_offline_with_a_backend_of_our_own(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = make_app(store_of(every_state(), AWAY), run_backend=lambda: True)
    assert snap_compare(app, terminal_size=size, run_before=_still)


def _after(*keys: str) -> Callable[[Pilot[None]], Awaitable[None]]:
    async def run(pilot: Pilot[None]) -> None:
        await _still(pilot)
        await pilot.press(*keys)
        await _still(pilot)

    return run


@pytest.mark.parametrize("size", [(140, 34), NARROW], ids=["wide", "narrow"])
def test_preview_of_a_failed_task(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    keys = _after("end", "left_square_bracket", "down", *(["space"] if size == NARROW else []))
    assert snap_compare(app_of(store_of_every_state()), terminal_size=size, run_before=keys)


def test_filter(snap_compare: SnapCompare) -> None:
    app = app_of(store_of_every_state())
    assert snap_compare(app, terminal_size=WIDE, run_before=_after("slash", *"repo:bill !status:done api"))


def test_selection(snap_compare: SnapCompare) -> None:
    app = app_of(store_of_every_state())
    assert snap_compare(app, terminal_size=WIDE, run_before=_after("v", "down", "space"))


def test_help(snap_compare: SnapCompare) -> None:
    assert snap_compare(app_of(store_of_every_state()), terminal_size=(100, 40), run_before=_after("question_mark"))
