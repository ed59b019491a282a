"""From question to question without a way over the list."""

import pytest

from foundry_tui.contract.status import TaskStatus
from foundry_tui.screens.task import TaskScreen
from foundry_tui.screens.tasks import TasksScreen
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.task_list import TaskList
from tests.app.factories import make_task, task_id
from tests.app.harness import Stage, put, stage
from tests.app.looking import text_of
from tests.app.test_footer import messages
from tests.app.test_list_answers import ask, asking

pytestmark = pytest.mark.anyio


def shown(s: Stage) -> str:
    assert isinstance(s.app.screen, TaskScreen)
    return s.app.screen.task_id


async def test_one_key_leads_from_a_task_to_the_next_that_asks_and_escape_to_the_list() -> None:
    async with stage(asking(ask(1), ask(2), ask(3)), size=(100, 30)) as s:
        await s.press("tab", "tab", "enter")
        assert shown(s) == task_id(3) and ". next ask" in text_of(s, ActionBar)
        await s.press("full_stop")
        assert shown(s) == task_id(1), "from the end on to the beginning"
        await s.press("comma", "comma")
        assert shown(s) == task_id(2)
        await s.press("full_stop")
        assert shown(s) == task_id(3)
        await s.press("escape")
        assert isinstance(s.app.screen, TasksScreen)
        assert s.app.screen.query_one(TaskList).cursor == task_id(3), "the list stands where one was last"


async def test_once_one_is_answered_the_same_key_goes_on_also_where_a_filter_hides_the_task() -> None:
    async with stage(asking(ask(1), ask(2)), size=(100, 30)) as s:
        await s.press("slash", *"works", "enter", "full_stop")
        assert messages(s) == ["None of the tasks that the filter shows waits for you."]
        await s.press("enter")
        assert shown(s) == task_id(9)
        await s.press("full_stop")
        assert shown(s) == task_id(1)
        put(s.store, make_task(1, TaskStatus.RUNNING, title="Task 1"))
        await s.flush()
        await s.press("full_stop")
        assert shown(s) == task_id(2)


async def test_where_no_other_task_asks_the_key_says_so_and_stands_in_no_footer() -> None:
    async with stage(asking(ask(1)), size=(100, 30)) as s:
        await s.press("tab", "enter")
        assert "next ask" not in text_of(s, ActionBar)
        await s.press("full_stop")
        assert shown(s) == task_id(1) and messages(s) == ["Not now: no other task waits for you."]
