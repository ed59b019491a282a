"""The way home in the app: what can be done is done by a key, shown while it runs, and failed with its words once."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace
from textual.widgets import Static

from foundry_tui.client.commands import CommandProblem, cleared_key
from foundry_tui.client.store import Store
from foundry_tui.contract.operations import Commit, HandOver, PullRequest, Undo, Update
from foundry_tui.contract.records import ErrorKind, Operation, OperationKind, OperationState, TaskError
from foundry_tui.contract.requests import Diff
from foundry_tui.screens.confirm import ConfirmScreen
from foundry_tui.screens.way_home import Steps, WayHomeScreen
from foundry_tui.view.clock import time_of_day
from tests.app.checkpoint_scenes import DIFFERING, KEPT
from tests.app.factories import NOW
from tests.app.harness import Stage, put_detail, stage
from tests.app.looking import text_of
from tests.app.task_scenes import TASK
from tests.app.way_home_scenes import (
    WORK,
    an_operation,
    failed_scene,
    menu_scene,
    merged_scene,
    met_scene,
    proposed_scene,
    running_scene,
)

pytestmark = pytest.mark.anyio


async def test_enter_asks_for_what_is_highlighted_and_shows_it_until_it_has_failed() -> None:
    async with stage(menu_scene(), size=(100, 30)) as on:
        on.app.open_task(TASK)
        await on.press("H")
        screen = on.app.screen
        assert isinstance(screen, WayHomeScreen)
        await on.press("enter", "enter")
        (asked,) = [call for call in on.commands.calls if call[0] == "operate"]
        assert asked == ("operate", TASK, Commit())
        told = screen.query_one("#operation", Static)
        assert "commit: asked for" in str(told.content)
        held = on.store.detail(TASK)
        assert held is not None
        error = TaskError(kind=ErrorKind.GIT, message="the hook said no", retryable=False, at=NOW)
        failed = an_operation(OperationState.FAILED, error=error, finished_at=NOW)
        put_detail(on.store, replace(held, operations=(failed,), revision=held.revision + 1))
        screen._asked_id = failed.operation_id
        await on.flush()
        assert str(told.content).count("the hook said no") == 1
        await on.press("escape")
        assert not isinstance(on.app.screen, WayHomeScreen)


@pytest.mark.parametrize(("scene", "asked"), [(proposed_scene, [TASK]), (menu_scene, []), (merged_scene, [])])
async def test_an_open_pull_request_is_looked_at_when_one_wants_to_see_it(
    scene: Callable[[], Store], asked: list[str]
) -> None:
    async with stage(scene(), size=(100, 30)) as on:
        on.app.open_task(TASK)
        await on.quiet()
        on.commands.review_read.clear()
        await on.press("H")
        await on.app.workers.wait_for_complete()
        assert on.commands.review_read == asked


async def test_a_key_that_is_held_stops_at_the_ends_of_the_steps() -> None:
    async with stage(menu_scene(), size=(100, 30)) as on:
        on.app.open_task(TASK)
        await on.press("H")
        steps = on.app.screen.query_one(Steps)
        first = steps.highlighted
        await on.press("up", "k")
        assert steps.highlighted == first
        await on.press("end")
        last = steps.highlighted
        assert last != first
        await on.press("down", "j")
        assert steps.highlighted == last


def _tells(on: Stage, operation: Operation, *, runs: bool, **changes: object) -> None:
    held = on.store.detail(TASK)
    assert held is not None
    told: dict[str, object] = {"operation": operation, "operations": (operation,)}
    if not runs:
        told["operation"] = None
    put_detail(on.store, replace(held, **told, **changes, revision=held.revision + 1))


async def test_the_highlight_goes_on_to_what_comes_next_and_never_to_taking_back_what_was_begun() -> None:
    async with stage(menu_scene(), size=(100, 30)) as on:
        on.app.open_task(TASK)
        await on.press("H", "enter")
        screen = on.app.screen
        assert isinstance(screen, WayHomeScreen)
        running = an_operation(kind=OperationKind.COMMIT)
        screen._asked_id = running.operation_id
        _tells(on, running, runs=True)
        await on.flush()
        await on.press("enter")
        assert "cancel_operation" not in [call[0] for call in on.commands.calls]
        done = an_operation(OperationState.DONE, kind=OperationKind.COMMIT, steps=(), finished_at=2)
        _tells(on, done, runs=False)
        await on.flush()
        _tells(on, done, runs=False, work=replace(WORK, uncommitted=0))
        await on.flush()
        await on.press("enter")
        assert on.commands.calls[-1] == ("operate", TASK, Update())


async def test_what_failed_is_said_until_it_holds_no_more_or_is_cleared_away() -> None:
    async with stage(failed_scene(), size=(100, 30)) as on:
        on.app.open_task(TASK)
        await on.press("H")
        assert "origin does not take" in text_of(on)
        held = on.store.detail(TASK)
        assert held is not None
        moved = replace(held.work or WORK, pushed=True, at=NOW + 1)
        put_detail(on.store, replace(held, work=moved, revision=held.revision + 1))
        await on.flush()
        assert "origin does not take" not in text_of(on)
    async with stage(failed_scene(), size=(100, 30)) as on:
        on.app.open_task(TASK)
        await on.press("H")
        assert "bksp clear" in text_of(on)
        await on.press("backspace")
        assert "origin does not take" not in text_of(on) and "bksp clear" not in text_of(on)
        await on.press("escape", "H")
        assert "origin does not take" not in text_of(on)
        kept = on.commands.drafts
    async with stage(failed_scene(), size=(100, 30)) as on:
        # Of what the last run of the app has kept all is there.
        on.commands.drafts = kept
        on.app.open_task(TASK)
        await on.press("H")
        assert "origin does not take" not in text_of(on)
        await on.press("enter")
        assert kept.get(cleared_key(TASK)) is None, "another one has been asked for"


@pytest.mark.parametrize("size", [(60, 24), (80, 24)])
async def test_the_list_gives_way_to_what_failed_and_to_the_keys(size: tuple[int, int]) -> None:
    scene = failed_scene()
    held = scene.detail(TASK)
    assert held is not None
    error = TaskError(kind=ErrorKind.GIT, message=" ".join(["refused"] * 40) + " finally", retryable=False, at=NOW)
    failed = an_operation(OperationState.FAILED, error=error, finished_at=NOW)
    put_detail(scene, replace(held, operations=(failed,), revision=held.revision + 1))
    async with stage(scene, size=size) as on:
        on.app.open_task(TASK)
        await on.press("H")
        await on.pilot.pause()
        shown = text_of(on)
        assert "finally" in shown and "esc close" in shown and "Way home" in shown
        await on.press("end")
        assert "undo turn" in text_of(on)


async def test_after_conflicts_the_key_that_updated_hands_nothing_to_the_agent() -> None:
    async with stage(menu_scene(), size=(100, 30)) as on:
        held = on.store.detail(TASK)
        assert held is not None
        put_detail(on.store, replace(held, work=replace(WORK, uncommitted=0), revision=held.revision + 1))
        on.app.open_task(TASK)
        await on.press("H", "enter")
        screen = on.app.screen
        assert isinstance(screen, WayHomeScreen)
        error = TaskError(kind=ErrorKind.GIT, message="conflicts in a.py", retryable=False, at=1)
        failed = an_operation(OperationState.FAILED, kind=OperationKind.UPDATE, error=error, finished_at=2)
        screen._asked_id = failed.operation_id
        _tells(on, failed, runs=False, work=replace(WORK, uncommitted=0, conflicts=("a.py",)))
        await on.flush()
        assert "conflicts in a.py" in text_of(on)
        await on.press("enter")
        assert on.commands.calls[-1] == ("operate", TASK, Update())
        screen.refused()
        await on.press("j", "enter")
        assert on.commands.calls[-1] == ("operate", TASK, Update(resolve="agent")), "that is one key further"


async def test_an_open_pull_request_that_waits_is_looked_at_again_by_enter() -> None:
    async with stage(proposed_scene(), size=(100, 30)) as on:
        on.app.open_task(TASK)
        await on.press("H", "enter")
        assert isinstance(on.commands.calls[-1][2], PullRequest)
        held = on.store.detail(TASK)
        assert held is not None
        again = replace(held.operations[-1], operation_id="again", finished_at=NOW + 61_000)
        put_detail(on.store, replace(held, operations=(*held.operations, again), revision=held.revision + 1))
        assert isinstance(on.app.screen, WayHomeScreen)
        on.app.screen._asked_id = "again"
        await on.flush()
        shown = text_of(on)
        assert f"#212 was refreshed at {time_of_day(NOW + 61_000)}" in shown and "Pull request done" not in shown
        assert "1 ahead of origin/main · pushed" in shown, "what is ahead of the base may be at the remote all the same"


async def test_the_task_s_screen_tells_of_its_pull_request() -> None:
    for scene, told in ((proposed_scene(), "#212 open · ✓ checks"), (merged_scene(), "#212 merged: archive it")):
        for width in (120, 60):
            async with stage(scene, size=(width, 30)) as on:
                on.app.open_task(TASK)
                await on.flush()
                shown = told.partition(":")[0].replace("open · ", "") if width == 60 else told
                assert shown in text_of(on)


async def test_it_ends_with_undoing_the_last_turn_which_asks_first() -> None:
    async with stage(menu_scene(), size=(100, 30)) as on:
        on.commands.kept[TASK] = KEPT
        on.commands.diffs[TASK] = Diff(files=(DIFFERING,), computed_at=1)
        on.app.open_task(TASK)
        await on.press("H", "end")
        assert "undo turn" in text_of(on)
        await on.press("enter")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        assert isinstance(on.app.screen, ConfirmScreen)
        await on.press("y")
        assert [call[2] for call in on.commands.calls if call[0] == "operate"] == [Undo(checkpoint_id="before-2")]
        assert isinstance(on.app.screen, WayHomeScreen)


async def test_what_the_backend_refuses_can_be_asked_for_again() -> None:
    async with stage(menu_scene(), size=(100, 30)) as on:
        on.app.open_task(TASK)
        await on.press("H", "enter")
        on.commands.fail(CommandProblem(action="operate", message="A turn runs.", task_id=TASK))
        await on.press("j", "j", "enter")
        assert [call[0] for call in on.commands.calls].count("operate") == 2
        assert isinstance(on.commands.calls[-1][2], PullRequest)


async def test_it_is_cancelled_and_a_merged_one_archived() -> None:
    async with stage(running_scene(), size=(60, 30)) as on:
        on.app.open_task(TASK)
        await on.press("H", "enter")
        assert ("cancel_operation", TASK, "op-1") in on.commands.calls
    async with stage(merged_scene(), size=(100, 30)) as on:
        on.app.open_task(TASK)
        await on.press("H", "enter")
        assert ("archive", TASK, False) in on.commands.calls


@pytest.mark.parametrize(("key", "what"), [("F", "checks"), ("A", "comments")])
async def test_one_key_hands_over_what_the_pull_request_met_with(key: str, what: str) -> None:
    for opens in (True, False):
        async with stage(met_scene(), size=(100, 30)) as on:
            if opens:
                on.app.open_task(TASK)
            await on.press(key)
            assert isinstance(on.app.screen, WayHomeScreen)
            (asked,) = [call for call in on.commands.calls if call[0] == "operate"]
            assert asked == ("operate", TASK, HandOver(what=what))  # type: ignore[arg-type]  # the parameters say them
            assert "asked for" in str(on.app.screen.query_one("#operation", Static).content)
            held = on.store.detail(TASK)
            assert held is not None
            given = {"checks": ["tests", "lint"]} if what == "checks" else {"comments": 1}
            done = an_operation(
                OperationState.DONE,
                kind=OperationKind.HAND_OVER,
                result={**given, "handed_over": True},
                steps=(),
                finished_at=2,
            )
            put_detail(on.store, replace(held, operations=(done,), revision=held.revision + 1))
            on.app.screen._asked_id = done.operation_id
            await on.flush()
            told = "the log of tests, lint" if what == "checks" else "1 comment"
            shown = str(on.app.screen.query_one("#operation", Static).content)
            assert f"Hand over: the agent was given {told}" in shown


@pytest.mark.parametrize("key", ["F", "A"])
async def test_where_there_is_nothing_to_hand_over_the_key_says_why(key: str) -> None:
    for scene, why in ((menu_scene(), "it has no pull request"), (proposed_scene(), "#212")):
        async with stage(scene, size=(100, 30)) as on:
            on.app.open_task(TASK)
            await on.press(key)
            assert not isinstance(on.app.screen, WayHomeScreen)
            assert [call for call in on.commands.calls if call[0] == "operate"] == []
            assert any(why in toast.message for toast in on.app._notifications)
