"""The way of a key: one look at what it would act on, then one footer for what it led to."""

from collections import Counter

import pytest

from foundry_tui.actions.context import Context
from foundry_tui.contract.status import TaskStatus
from foundry_tui.screens.tasks import TasksScreen
from tests.app.factories import make_task
from tests.app.harness import make_store, stage

pytestmark = pytest.mark.anyio


async def test_a_key_looks_once_and_fills_the_footer_once(monkeypatch: pytest.MonkeyPatch) -> None:
    done = Counter[str]()
    context, show_actions = TasksScreen.context, TasksScreen.show_actions

    def counted_context(screen: TasksScreen) -> Context:
        done["contexts"] += 1
        return context(screen)

    def counted_footer(screen: TasksScreen) -> None:
        done["footers"] += 1
        show_actions(screen)

    monkeypatch.setattr(TasksScreen, "context", counted_context)
    monkeypatch.setattr(TasksScreen, "show_actions", counted_footer)
    async with stage(make_store([make_task(number, TaskStatus.IDLE) for number in range(3)])) as s:
        await s.quiet()
        done.clear()
        await s.press("j")
        # The second look is at what the footer is filled for: the next task.
        assert done == {"contexts": 2, "footers": 1}
