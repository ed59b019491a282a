"""Whatever answers at the backend's address: the app stands, says that it is not live and why, and goes on trying."""

import anyio
import pytest

from foundry_tui.app.app import FoundryApp
from foundry_tui.app.options import Options
from foundry_tui.cli.startup.prefetch import PrefetchedSnapshot
from foundry_tui.client.changes import Changes
from foundry_tui.client.connection import Target
from foundry_tui.client.creations import CreationState
from foundry_tui.client.foundry import Foundry
from foundry_tui.client.freshness import FreshnessState
from foundry_tui.client.statistics import ConnectionEvent
from foundry_tui.contract.events import TASKS, Topic, TopicKind
from foundry_tui.contract.requests import CreateTask
from foundry_tui.screens.tasks import TasksScreen
from tests.cli.strange import ANSWERS, TASK, answering

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LASTING = {
    name for name in ANSWERS if any(word in name for word in ("silence", "drip", "without an end", "without end"))
} - {"numbers without end"}
"""Kinds of which nothing is known before the client's patience (15 s) is over."""


@pytest.mark.parametrize("kind", ANSWERS)
async def test_the_app_stands_and_goes_on_trying(kind: str) -> None:
    with answering(ANSWERS[kind]) as address:
        target = Target.parse(address)
        foundry, prefetched = Foundry(target), PrefetchedSnapshot(target)
        retries: list[ConnectionEvent] = []
        app = FoundryApp(foundry.store, foundry.commands, options=Options(bell=False, terminal_notifications=False))
        async with app.run_test(size=(100, 30), notifications=True) as pilot, anyio.create_task_group() as group:
            await prefetched.apply(foundry.store)
            foundry.commands.hold(TASKS)
            foundry.commands.hold(Topic(TopicKind.TASK, str(TASK["task_id"])))
            await group.start(foundry.run)
            task_id = foundry.commands.create(CreateTask(repo="/repo", prompt="never lose this"))
            changed = anyio.Event()

            def tell(changes: Changes) -> None:
                nonlocal changed
                changed.set()
                changed = anyio.Event()

            foundry.store.listen(tell)
            with anyio.move_on_after(0.5 if kind in LASTING else 10):
                while len(retries) < 2:
                    await changed.wait()
                    log = foundry.subscriptions.log()
                    retries = [event for event in log if event.kind == "retrying" and event.topic == "tasks"]
            await pilot.pause()
            assert foundry.store.freshness().state is not FreshnessState.LIVE
            assert isinstance(app.screen, TasksScreen)
            assert foundry.store.creations[task_id].state is CreationState.PENDING
            assert len(retries) >= 2 or kind in LASTING
            assert all(event.detail and len(event.detail) < 500 for event in retries)
            group.cancel_scope.cancel()
