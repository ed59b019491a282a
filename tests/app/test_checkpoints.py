"""The list of checkpoints, what differs from one, and the way back to it."""

from typing import Any

import pytest
from msgspec.structs import replace

from foundry_tui.contract.operations import Undo
from foundry_tui.contract.records import HistoryEvent, HistoryKind, OperationKind, OperationState
from foundry_tui.contract.requests import Diff
from foundry_tui.contract.status import TaskStatus
from foundry_tui.screens.confirm import ConfirmScreen
from foundry_tui.view.clock import time_of_day
from foundry_tui.widgets.bars import ActionBar
from tests.app.checkpoint_scenes import DIFFERING, KEPT
from tests.app.factories import NOW
from tests.app.harness import Stage, stage
from tests.app.looking import text_of
from tests.app.task_scenes import TASK, a_history, a_session, a_task, a_turn_kept, status_scene, store_with
from tests.app.way_home_scenes import an_operation

pytestmark = pytest.mark.anyio


UNDONE = f"before the undo of {time_of_day(KEPT[-1].at, seconds=False)}"


def operations(on: Stage) -> list[object]:
    return [call[2] for call in on.commands.calls if call[0] == "operate"]


@pytest.mark.parametrize("size", [(160, 40), (100, 30), (60, 24)])
async def test_one_is_compared_with_and_undone_to_after_a_question(size: tuple[int, int]) -> None:
    async with stage(status_scene(TaskStatus.IDLE), size=size) as on:
        on.commands.kept[TASK] = KEPT
        on.commands.diffs[TASK] = Diff(files=(DIFFERING,), computed_at=1)
        on.app.open_task(TASK)
        await on.pilot.pause()
        await on.press("Z")
        assert type(on.app.screen).__name__ == "CheckpointsScreen"
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        shown = text_of(on)
        assert shown.index(UNDONE) < shown.index("after a turn") < shown.index("before a prompt")
        assert "12 files +380 -95" in shown
        await on.press("down", "enter")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        assert "shop/auth.py" in text_of(on)
        assert "What differs from" in text_of(on)
        await on.press("escape")
        assert UNDONE in text_of(on)
        await on.press("u")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        assert type(on.app.screen).__name__ == "ConfirmScreen"
        assert "M shop/auth.py  +1 -1" in text_of(on)
        await on.press("n")
        assert operations(on) == []
        await on.press("u")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        await on.press("y")
        assert operations(on) == [Undo(checkpoint_id="after-2")]


@pytest.mark.parametrize("width", [60, 80, 120])
async def test_a_prompt_is_not_cut_away_where_there_is_little_room(width: int) -> None:
    async with stage(status_scene(TaskStatus.IDLE), size=(width, 30)) as on:
        on.commands.kept[TASK] = KEPT
        on.app.open_task(TASK)
        await on.pilot.pause()
        await on.press("Z")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        assert "fix the login redirect" in text_of(on)


def undone(to: str, seq: int = 70) -> dict[str, Any]:
    """What a task has once its files were set back to a checkpoint."""
    payload = {"checkpoint_id": f"undo-{seq}", "when": "undo", "files": 0, "added": 0, "removed": 0}
    event = HistoryEvent(seq=seq, task_id=TASK, kind=HistoryKind.CHECKPOINT_MADE, at=NOW, payload=payload)
    result = {"checkpoint_id": f"undo-{seq}", "to": to, "files": 2, "commits": []}
    operation = an_operation(
        OperationState.DONE, kind=OperationKind.UNDO, steps=(), result=result, finished_at=NOW, operation_id="undo"
    )
    return {"history": (*a_history(), *a_turn_kept(), event), "operations": (operation,)}


@pytest.mark.parametrize(
    ("changes", "offered"),
    [
        ({}, True),
        ({"history": a_history()}, False),
        (undone("before-1"), False),
        (undone("after-1"), True),
        ({**undone("before-1"), "history": (*a_history(), *a_turn_kept(), *a_turn_kept(80, 2))}, True),
    ],
    ids=["a turn has changed files", "no turn has", "it was set back", "set back to another", "a turn came after that"],
)
async def test_undoing_a_turn_is_offered_where_something_would_become_of_it(
    changes: dict[str, Any], offered: bool
) -> None:
    async with stage(store_with(a_task(**changes), a_session()), size=(160, 40)) as on:
        on.app.open_task(TASK)
        await on.quiet()
        assert ("z undo turn" in text_of(on, ActionBar)) is offered


async def test_a_key_undoes_the_last_turn_and_says_when_nothing_would_become_of_it() -> None:
    async with stage(status_scene(TaskStatus.IDLE)) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        assert "z undo turn" in text_of(on, ActionBar)
        await on.press("z")
        await on.app.workers.wait_for_complete()
        assert not isinstance(on.app.screen, ConfirmScreen)
        on.commands.kept[TASK] = KEPT
        await on.press("z")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        assert not isinstance(on.app.screen, ConfirmScreen)
        assert [note.message for note in on.app._notifications][-1] == (
            "Cannot undo: nothing differs from it now. The other states are among the checkpoints under Z."
        )
        on.commands.diffs[TASK] = Diff(files=(DIFFERING,), computed_at=1)
        await on.press("z")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        await on.press("y")
        assert operations(on) == [Undo(checkpoint_id="before-2")]


async def test_while_a_turn_runs_it_says_why_not() -> None:
    async with stage(status_scene(TaskStatus.RUNNING)) as on:
        on.commands.kept[TASK] = KEPT
        on.app.open_task(TASK)
        await on.pilot.pause()
        await on.press("z")
        assert operations(on) == []
        assert not isinstance(on.app.screen, ConfirmScreen)


async def test_what_is_asked_is_what_would_become_of_the_files_and_the_way_forward_is_named() -> None:
    added = replace(DIFFERING, path="new.py", status="A", added=3, removed=0)
    taken = replace(DIFFERING, path="old.py", status="D", added=0, removed=1)
    async with stage(status_scene(TaskStatus.IDLE)) as on:
        on.commands.kept[TASK] = KEPT
        on.commands.diffs[TASK] = Diff(files=(added, taken), computed_at=1)
        on.app.open_task(TASK)
        await on.pilot.pause()
        await on.press("Z")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        row = next(line for line in text_of(on).splitlines() if UNDONE in line)
        assert "no change" not in row
        await on.press("u")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        shown = " ".join(text_of(on).split())
        words, _, clock = UNDONE.rpartition(" ")
        assert words in shown and f" {clock}?" in shown, "the question is wrapped"
        assert "D new.py +0 -3" in shown and "A old.py +1 -0" in shown
        await on.press("y")
        assert "among the checkpoints under Z" in [note.message for note in on.app._notifications][-1]
