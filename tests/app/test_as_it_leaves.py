"""What comes by itself while the app leaves, when its screens have gone and it has not: timers, news, problems."""

from collections.abc import Callable
from typing import Any

import pytest

from foundry_tui.client.commands import CommandProblem
from foundry_tui.contract.problems import Problem
from foundry_tui.contract.status import TaskStatus
from tests.app.factories import NOW, make_detail, make_repo, task_id
from tests.app.harness import FakeCommands, Stage, make_app, make_store, put
from tests.fixed_clock import FixedClock

pytestmark = pytest.mark.anyio

LOSING = CommandProblem(
    action="archive",
    message="it would lose work",
    task_id=task_id(1),
    problem=Problem(status=409, title="Conflict", detail="it would lose work", would_lose=("notes.md",)),
)


def timers_go_off(scene: Stage) -> None:
    for timer in list(scene.app._timers):
        if timer._callback is not None:
            timer._callback()


def news_come(scene: Stage) -> None:
    put(scene.store, make_detail(1, TaskStatus.ERROR, revision=99))
    scene.store.flush()


def a_problem_comes(scene: Stage) -> None:
    scene.commands.fail(LOSING)


def the_backend_was_started(scene: Stage) -> None:
    scene.app.backend.note(starting=False)


COMES: tuple[Callable[[Stage], None], ...] = (timers_go_off, news_come, a_problem_comes, the_backend_was_started)


@pytest.mark.parametrize("keys", [(), ("a",), ("enter",), ("n",), ("question_mark",), ("ctrl+p",), ("enter", "K")])
@pytest.mark.parametrize("comes", COMES, ids=lambda comes: comes.__name__)
async def test_it_leaves_in_peace(
    keys: tuple[str, ...], comes: Callable[[Stage], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store([make_detail(number, TaskStatus.IDLE) for number in (1, 2)], [make_repo("shop")])
    commands, clock = FakeCommands(), FixedClock(NOW)
    app = make_app(store, commands=commands, clock=clock)
    close_all = app._close_all

    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        scene = Stage(app, pilot, store, commands, clock)
        await scene.press(*keys)
        # a question that came by itself waits for a pause in the typing
        commands.fail(LOSING)
        await pilot.pause()

        async def close_and_go_on(*arguments: Any) -> None:
            comes(scene)
            await close_all(*arguments)
            comes(scene)

        monkeypatch.setattr(app, "_close_all", close_and_go_on)
