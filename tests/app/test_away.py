"""While the backend is away: nothing past is told as the present, and a backend of ours can be started again."""

import threading

import pytest
from msgspec.structs import replace
from textual.widgets import Input

from foundry_tui.app.app import FoundryApp
from foundry_tui.app.options import Options
from foundry_tui.client.errors import UnreachableError
from foundry_tui.client.freshness import Freshness, FreshnessState
from foundry_tui.client.store import Store
from foundry_tui.contract.events import TASKS, Topic, TopicKind
from foundry_tui.contract.requests import Diff
from foundry_tui.contract.status import TaskStatus
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.changes import ChangesView
from foundry_tui.widgets.permission import PermissionRequest
from foundry_tui.widgets.stepper import Stepper
from foundry_tui.widgets.task_header import TaskHeader
from foundry_tui.widgets.task_list import TaskList
from foundry_tui.widgets.task_notices import TurnLine
from tests.app import task_scenes as scenes
from tests.app.factories import NOW, SECOND, make_task
from tests.app.harness import LIVE, FakeCommands, Stage, make_store, stage
from tests.app.looking import text_of, words_of
from tests.app.task_scenes import SESSION, TASK
from tests.fixed_clock import FixedClock

pytestmark = pytest.mark.anyio

LOST = Freshness(FreshnessState.RECONNECTING, NOW, retry_at=NOW + 3 * SECOND, reason="the connection was closed")
AWAY = replace(LOST, state=FreshnessState.OFFLINE)
TOPICS = (TASKS, Topic(TopicKind.TASK, TASK), Topic(TopicKind.SESSION, SESSION), Topic(TopicKind.LOG, TASK))


async def become(on: Stage, freshness: Freshness) -> None:
    """All topics become this fresh."""
    for topic in TOPICS:
        on.store.set_freshness(topic, freshness)
    await on.flush()


async def wait(on: Stage, seconds: int) -> None:
    on.clock.advance(seconds * SECOND)
    on.app._tick()
    await on.pilot.pause()


@pytest.mark.parametrize("freshness", [LOST, AWAY], ids=["reconnecting", "offline"])
async def test_seconds_stand_still_until_the_backend_is_heard_again(freshness: Freshness) -> None:
    async with stage(scenes.status_scene(TaskStatus.CREATE_SANDBOX)) as on:
        assert "sandbox 12s" in text_of(on, TaskList)
        on.app.open_task(TASK)
        await on.pilot.pause()
        await wait(on, 3)
        assert "sandbox 15s" in text_of(on, TaskHeader)
        await become(on, replace(freshness, since=on.clock.now_ms()))
        await wait(on, 40)
        assert "sandbox 15s" in text_of(on, TaskHeader)
        assert "15s" in text_of(on, Stepper)
        assert text_of(on, TurnLine).strip() == "◌ When last heard: preparing environment"
        await on.press("escape")
        assert "sandbox 15s" in text_of(on, TaskList)
        await become(on, replace(LIVE, since=on.clock.now_ms()))
        assert "sandbox 55s" in text_of(on, TaskList)
        on.app.open_task(TASK)
        await on.pilot.pause()
        assert "sandbox 55s" in text_of(on, TaskHeader)
        assert "last heard" not in text_of(on)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (TaskStatus.IDLE, "When last heard: ready for the next prompt"),
        (TaskStatus.RUNNING, "When last heard: the agent is working, 8s"),
        (TaskStatus.ARCHIVED, "Archived: the sandbox is released, the task is kept for reading"),
    ],
)
async def test_what_a_session_does_is_told_as_of_when_it_was_last_heard(status: TaskStatus, told: str) -> None:
    async with stage(scenes.away_scene(status)) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        assert told in words_of(on, TurnLine)
        assert "The backend is away: connection refused. This is how things stood" in words_of(on)


async def test_a_task_is_as_fresh_as_the_list_before_its_own_topic_was_heard() -> None:
    store = make_store([make_task(1, TaskStatus.IDLE)])
    async with stage(store) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        assert "Ready for the next prompt" in text_of(on)


async def test_a_creation_that_cannot_be_sent_says_so_and_counts_no_seconds() -> None:
    async with stage(scenes.unsent_scene()) as on:
        assert "not sent yet" in text_of(on, TaskList)
        on.app.open_task(TASK)
        await on.pilot.pause()
        await wait(on, 9)
        assert "queued   not sent" in text_of(on, Stepper)
        assert "9s" not in text_of(on, Stepper)
        assert "not sent yet" in text_of(on, TaskHeader)
        for claim in ("asking the backend", "Handing the task", "sending"):
            assert claim not in text_of(on)
        await become(on, LIVE)
        assert "asking the backend" in text_of(on, TaskHeader)
        assert "Handing the task to the backend" in text_of(on)


# A backend of our own.


class Backend:
    """A backend that is started by hand: `run` blocks until it is told to be `up`."""

    def __init__(self) -> None:
        self.starts = 0
        self.up = threading.Event()

    def run(self) -> bool:
        self.starts += 1
        return self.up.wait(10)


def an_app(store: Store, backend: Backend | None) -> tuple[FoundryApp, FakeCommands]:
    commands = FakeCommands()
    app = FoundryApp(
        store,
        commands,
        clock=FixedClock(NOW),
        options=Options(bell=False, terminal_notifications=False),
        run_backend=backend.run if backend is not None else None,
    )
    app.animation_level = "none"
    return app, commands


async def test_a_first_start_says_that_the_backend_is_starting() -> None:
    backend = Backend()
    app, commands = an_app(make_store([], freshness=AWAY), backend)
    async with app.run_test(size=(100, 30)) as pilot:
        on = Stage(app, pilot, app.store, commands, FixedClock(NOW))
        starting = app.run_worker(app.backend.start())
        await pilot.pause()
        assert "Starting the backend…" in text_of(on)
        assert "starting" in text_of(on).splitlines()[0]
        assert "Cannot reach" not in text_of(on)
        backend.up.set()
        while ("reconnect",) not in commands.calls:
            await pilot.pause()
        # It runs, and is not connected to yet.
        assert "Starting the backend…" in text_of(on)
        await become(on, LIVE)
        await starting.wait()
        await pilot.pause()
        assert "No tasks yet" in text_of(on)


async def test_a_backend_that_could_not_be_started_is_not_said_to_be_starting() -> None:
    backend = Backend()
    backend.run = lambda: False  # type: ignore[method-assign]
    app, commands = an_app(make_store([], freshness=AWAY), backend)
    async with app.run_test(size=(100, 30)) as pilot:
        await app.backend.start()
        await pilot.pause()
        assert "Cannot reach the backend" in text_of(Stage(app, pilot, app.store, commands, FixedClock(NOW)))
        assert commands.calls == []


@pytest.mark.parametrize("opened", [False, True], ids=["list", "task"])
async def test_a_backend_of_ours_that_is_away_is_started_by_the_key_that_the_banner_names(opened: bool) -> None:
    backend = Backend()
    app, commands = an_app(scenes.away_scene(), backend)
    async with app.run_test(size=(100, 30)) as pilot:
        on = Stage(app, pilot, app.store, commands, FixedClock(NOW))
        if opened:
            app.open_task(TASK)
        await pilot.pause()
        assert "B starts it again." in words_of(on)
        await pilot.press("B", "B")
        await pilot.pause()
        assert "Starting the backend: until it answers" in words_of(on)
        assert backend.starts == 1, "it is being started"
        backend.up.set()
        while ("reconnect",) not in commands.calls:
            await pilot.pause()
        await become(on, LIVE)
        await app.workers.wait_for_complete()
        assert "backend" not in words_of(on, TurnLine if opened else TaskList)


async def test_a_task_that_is_said_to_be_offline_says_how_to_start_the_backend_while_the_list_still_tries() -> None:
    backend = Backend()
    backend.up.set()
    app, commands = an_app(scenes.status_scene(TaskStatus.IDLE), backend)
    async with app.run_test(size=(100, 30)) as pilot:
        on = Stage(app, pilot, app.store, commands, FixedClock(NOW))
        app.open_task(TASK)
        await become(on, LOST)
        assert "starts it again" not in words_of(on)
        on.store.set_freshness(Topic(TopicKind.TASK, TASK), AWAY)
        await on.flush()
        assert "offline" in text_of(on, TaskHeader)
        assert "B starts it again." in words_of(on)
        await pilot.press("B")
        while ("reconnect",) not in commands.calls:
            await pilot.pause()
        assert backend.starts == 1


async def test_a_backend_of_somebody_else_is_never_started() -> None:
    app, commands = an_app(make_store([], freshness=AWAY), None)
    async with app.run_test(size=(100, 30)) as pilot:
        on = Stage(app, pilot, app.store, commands, FixedClock(NOW))
        await pilot.pause()
        assert "start it" not in text_of(on)
        await pilot.press("B")
        await pilot.pause()
        assert [news.message for news in app._notifications] == ["Not now: this backend is not ours to start."]
        assert commands.calls == []


async def test_the_palette_starts_it_too_and_says_when_that_is_not_needed() -> None:
    backend = Backend()
    app, commands = an_app(make_store([]), backend)
    async with app.run_test(size=(100, 30)) as pilot:
        on = Stage(app, pilot, app.store, commands, FixedClock(NOW))
        await pilot.press("ctrl+p")
        app.screen.query_one(Input).cursor_blink = False
        await pilot.press(*"start backend")
        await on.found()
        assert "Start backend  B" in text_of(on)
        assert "Not now: it has not gone away." in text_of(on)
    assert backend.starts == 0


async def test_changes_that_could_not_be_read_are_read_once_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with stage(scenes.status_scene(TaskStatus.IDLE), size=(130, 40)) as on:

        async def unheard(*asked: object) -> Diff:
            raise UnreachableError("it is away")

        with monkeypatch.context() as patch:
            patch.setattr(on.commands, "diff", unheard)
            await become(on, AWAY)
            on.app.open_task(TASK)
            await on.press("d")
            await on.pilot.pause()
            assert "The changes could not be read." in text_of(on, ChangesView)
        await become(on, LIVE)
        await on.pilot.pause()
        assert "No file was changed." in text_of(on, ChangesView)


async def test_an_answer_is_said_to_be_kept_while_the_backend_is_away_and_is_given_once() -> None:
    async with stage(scenes.permission_scene()) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        await become(on, AWAY)
        await on.press("1")
        assert "Allow: kept, and given once the backend is back" in text_of(on, PermissionRequest)
        assert "1 Allow" not in text_of(on, ActionBar)
        await on.press("2")
        assert [call for call in on.commands.calls if call[0] == "answer"] == [("answer", "permission-1", "allow")]
        said = [note.message for note in on.app._notifications][-1]
        assert said == "Not now: your answer is kept, and given once the backend is back."
        await become(on, LIVE)
        assert "kept" not in text_of(on, PermissionRequest)
