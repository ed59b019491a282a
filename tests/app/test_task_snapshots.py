"""Pictures of the task screen in every status of the contract, and in the states that have a face of their own."""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Protocol

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from foundry_tui.app.app import FoundryApp
from foundry_tui.app.options import Options
from foundry_tui.client.store import Store
from foundry_tui.contract.records import Cost, FileDiff, Usage
from foundry_tui.contract.requests import Diff
from foundry_tui.contract.status import TaskStatus
from foundry_tui.widgets import changes
from tests.app import task_scenes as scenes
from tests.app.diff_scenes import REVIEW
from tests.app.harness import FakeCommands, make_app
from tests.app.task_scenes import TASK

WIDE, MEDIUM, NARROW = (120, 34), (100, 30), (60, 28)


class SnapCompare(Protocol):
    def __call__(
        self,
        app: FoundryApp,
        press: tuple[str, ...] = (),
        terminal_size: tuple[int, int] = WIDE,
        run_before: Callable[[Pilot[None]], Awaitable[None] | None] | None = None,
    ) -> bool: ...


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times of day are the machine's own; here it stands in Greenwich."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def app_of(
    store: Store,
    *,
    theme: str = "foundry-dark",
    ascii_only: bool = False,
    files: Sequence[FileDiff] = (),
) -> FoundryApp:
    commands = FakeCommands()
    commands.diffs[TASK] = Diff(files=tuple(files), computed_at=1) if files else scenes.a_diff()
    commands.files[TASK] = scenes.FILES
    options = Options(bell=False, terminal_notifications=False, theme=theme, ascii=ascii_only, repo="/src/shop")
    return make_app(store, commands=commands, options=options)


def opened(*keys: str) -> Callable[[Pilot[None]], Awaitable[None]]:
    """Open the task, press keys, and hold still."""

    async def run(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, FoundryApp)
        app.open_task(TASK)
        await pilot.pause()
        await _press(pilot, keys)

    return run


def dialog(*keys: str) -> Callable[[Pilot[None]], Awaitable[None]]:
    """Open the new-task dialog, press keys, and hold still."""

    async def run(pilot: Pilot[None]) -> None:
        await pilot.press("n")
        await pilot.pause()
        await _press(pilot, keys)

    return run


async def _press(pilot: Pilot[None], keys: tuple[str, ...]) -> None:
    for field in (*pilot.app.screen.query(Input), *pilot.app.screen.query(TextArea)):
        field.cursor_blink = False
    for key in keys:
        # The changes come from the backend: keys that go through them wait until they are there.
        if key == "wait":
            await pilot.app.workers.wait_for_complete()
            await pilot.pause()
        else:
            await pilot.press(key)
            # What a key opens or closes has its room, and its neighbours theirs, before the next key.
            await pilot.pause()
            await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


@pytest.mark.parametrize("status", list(TaskStatus), ids=str)
def test_every_status(snap_compare: SnapCompare, status: TaskStatus) -> None:
    assert snap_compare(app_of(scenes.status_scene(status)), terminal_size=MEDIUM, run_before=opened())


@pytest.mark.parametrize("scene", list(scenes.SCENES))
def test_every_other_state(snap_compare: SnapCompare, scene: str) -> None:
    assert snap_compare(app_of(scenes.SCENES[scene]()), terminal_size=WIDE, run_before=opened())


@pytest.mark.parametrize("scene", ["permission", "refused", "waiting", "queue"])
def test_narrow(snap_compare: SnapCompare, scene: str) -> None:
    assert snap_compare(app_of(scenes.SCENES[scene]()), terminal_size=NARROW, run_before=opened())


@pytest.mark.parametrize("size", [(80, 30), (160, 40), (220, 50)], ids=str)
def test_the_work_at_every_width(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert snap_compare(app_of(scenes.status_scene(TaskStatus.IDLE)), terminal_size=size, run_before=opened())


@pytest.mark.parametrize(
    ("doing", "keys"),
    [("search", ("slash", *"next")), ("files", ("f", "j")), ("marked", ("K", "K"))],
)
def test_reading(snap_compare: SnapCompare, doing: str, keys: tuple[str, ...]) -> None:
    store = scenes.status_scene(TaskStatus.IDLE)
    assert snap_compare(app_of(store), terminal_size=WIDE, run_before=opened(*keys))


@pytest.mark.parametrize(
    ("view", "key"), [("history", "h"), ("log", "l"), ("changes", "d"), ("details", "D"), ("composer", "i")]
)
def test_every_view(snap_compare: SnapCompare, view: str, key: str) -> None:
    assert snap_compare(app_of(scenes.status_scene(TaskStatus.IDLE)), terminal_size=MEDIUM, run_before=opened(key))


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_changing_what_waits(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    store = scenes.queue_scene("one", "two", "three", "four", "five")
    assert snap_compare(app_of(store), terminal_size=size, run_before=opened("i", "up", *", and six"))


@pytest.mark.parametrize(("named", "size"), [("/t", WIDE), ("@", NARROW)], ids=["commands", "files-narrow"])
def test_naming(snap_compare: SnapCompare, named: str, size: tuple[int, int]) -> None:
    store = scenes.naming_scene()
    assert snap_compare(app_of(store), terminal_size=size, run_before=opened("i", *named))


@pytest.mark.parametrize("theme", ["foundry-light", "ansi-dark"])
def test_themes(snap_compare: SnapCompare, theme: str) -> None:
    assert snap_compare(app_of(scenes.permission_scene(), theme=theme), terminal_size=WIDE, run_before=opened())


def test_ascii(snap_compare: SnapCompare) -> None:
    assert snap_compare(app_of(scenes.permission_scene(), ascii_only=True), terminal_size=WIDE, run_before=opened())


def test_killing_asks(snap_compare: SnapCompare) -> None:
    assert snap_compare(app_of(scenes.permission_scene()), terminal_size=MEDIUM, run_before=opened("x"))


def test_new_session(snap_compare: SnapCompare) -> None:
    keys = ("t", *"review", "tab", *"cod")
    assert snap_compare(app_of(scenes.status_scene(TaskStatus.IDLE)), terminal_size=NARROW, run_before=opened(*keys))


def test_options(snap_compare: SnapCompare) -> None:
    error = "This model is not on your account."
    options = (
        scenes.an_option("mode", "bypassPermissions", *scenes.MODES),
        scenes.an_option("fast", False, error=error),
    )
    usage = Usage(used=85_000, size=100_000, cost=Cost(amount=0.12, currency="USD"))
    store = scenes.options_scene(options=options, mode="Bypass Permissions", usage=usage)
    assert snap_compare(app_of(store), terminal_size=NARROW, run_before=opened("M", "up"))


def test_new_task(snap_compare: SnapCompare) -> None:
    store = scenes.status_scene(TaskStatus.IDLE)
    assert snap_compare(app_of(store), terminal_size=MEDIUM, run_before=dialog(*"fix it"))


def test_new_task_with_a_wrong_branch(snap_compare: SnapCompare) -> None:
    keys = (*"fix it", "ctrl+o", "tab", *"bad", "full_stop", "full_stop", "x")
    store = scenes.status_scene(TaskStatus.IDLE)
    assert snap_compare(app_of(store), terminal_size=MEDIUM, run_before=dialog(*keys))


def test_new_task_narrow(snap_compare: SnapCompare) -> None:
    store = scenes.status_scene(TaskStatus.IDLE)
    assert snap_compare(app_of(store), terminal_size=(60, 24), run_before=dialog("ctrl+s", "ctrl+o"))


COMMENTING = (
    *("right_square_bracket", "right_square_bracket", "n", "j", "m", *"why unquote it here?", "ctrl+s", "n", "v", "j"),
    *("m", *"say why", "ctrl+s"),
)
REVIEW_SIZE = {"wide": (160, 40), "usual": (100, 40), "narrow": (60, 34)}


@pytest.mark.parametrize(
    ("size", "theme", "keys"),
    [
        ("wide", "foundry-dark", ("right_square_bracket", "right_square_bracket")),
        ("usual", "foundry-dark", ()),
        ("narrow", "foundry-dark", ("slash", *"target")),
        ("usual", "foundry-light", ("W", "n", "n", "n")),
        ("usual", "ansi-dark", ("O", "j", "j")),
        ("wide", "foundry-dark", COMMENTING),
        ("usual", "foundry-light", (*COMMENTING, "n", "m", *"and log it")),
    ],
    ids=["side-by-side", "usual", "search-narrow", "light", "folded-ansi", "comments", "writing-a-comment"],
)
def test_review(
    snap_compare: SnapCompare, monkeypatch: pytest.MonkeyPatch, size: str, theme: str, keys: tuple[str, ...]
) -> None:
    # A comment that is being written appears in the diff once it is saved; here that is when a key says so.
    monkeypatch.setattr(changes, "SAVE_SECONDS", 1_000)
    app = app_of(scenes.status_scene(TaskStatus.IDLE), theme=theme, files=REVIEW)
    assert snap_compare(app, terminal_size=REVIEW_SIZE[size], run_before=opened("d", "wait", *keys))
