"""The list holds the newest of the tasks that have ended: it says how many older there are, and reads on at its end."""

import pytest
from textual.events import MouseScrollDown

from foundry_tui.client.store import Store
from foundry_tui.contract.events import TASKS, EventName
from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.requests import TasksSnapshot
from foundry_tui.contract.status import TaskStatus
from tests.app.factories import NOW, make_task, task_id
from tests.app.harness import LIVE, stage
from tests.app.test_tasks_screen import bar, cursor, face, the_list

pytestmark = pytest.mark.anyio

HELD = range(100, 200)


def task(number: int, **changes: object) -> TaskSummary:
    # The lower its number, the older it is.
    status = TaskStatus.IDLE if number == HELD[-1] else TaskStatus.KILLED
    return make_task(number, status, title=f"Task {number}", created_at=number, **changes)


def page(*numbers: int, older: int) -> TasksSnapshot:
    return TasksSnapshot(seq=1, repos=(), tasks=tuple(task(number) for number in numbers), older=older)


def with_older(older: int = 98_988) -> Store:
    store = Store(now_ms=lambda: NOW)
    store.open(TASKS)
    store.apply(TASKS, EventName.SNAPSHOT, page(*HELD, older=older), 1)
    store.set_freshness(TASKS, LIVE)
    store.flush()
    return store


async def test_the_bar_says_how_many_older_ones_there_are() -> None:
    async with stage(with_older()) as s:
        assert "100 tasks" in bar(s) and "98,988 older" in bar(s)
    async with stage(with_older(0)) as s:
        assert "100 tasks" in bar(s) and "older" not in bar(s)


@pytest.mark.parametrize("way", ["end", "G", "pagedown", "wheel"])
async def test_older_ones_are_read_when_the_end_of_the_list_is_seen_and_not_before(way: str) -> None:
    async with stage(with_older()) as s:
        await s.press("j", "j")
        assert s.commands.older_read == 0
        if way == "wheel":
            for _ in range(60):
                the_list(s).post_message(
                    MouseScrollDown(the_list(s), 5, 5, 0, 1, 0, shift=False, meta=False, ctrl=False)
                )
            await s.pilot.pause()
        else:
            await s.press(*[way] * (5 if way == "pagedown" else 1))
        assert s.commands.older_read > 0
        where = cursor(s)
        store = s.store.task_list
        assert store.put_page(page(*range(99, 49, -1), older=98_938), task(HELD[0]))
        await s.flush()
        assert cursor(s) == where
        assert "150 tasks" in bar(s) and "98,938 older" in bar(s)
        await s.press("end")
        assert cursor(s) == "Task 50"


async def test_with_all_held_nothing_is_asked_for() -> None:
    async with stage(with_older(0)) as s:
        await s.press("end")
        assert s.commands.older_read == 0


async def test_the_filter_asks_for_older_ones_and_what_it_finds_is_merged_where_it_belongs() -> None:
    async with stage(with_older()) as s:
        await s.press("slash", *"task 12")
        assert s.commands.searched[-1] == "task 12"
        await s.press("down", "down")
        where = cursor(s)
        shown = the_list(s).order.shown
        assert s.store.task_list.put_found(page(12, older=0), more=False)
        await s.flush()
        assert cursor(s) == where
        assert the_list(s).order.shown == shown + 1
        assert "98,987 older" in bar(s)
        await s.press("escape")
        assert s.commands.searched[-1] == ""
        s.store.task_list.let_found_go()
        await s.flush()
        assert cursor(s) == where
        assert task_id(12) not in s.store.tasks
        assert "98,988 older" in bar(s)


async def test_where_nothing_matches_it_says_that_older_ones_are_looked_through() -> None:
    async with stage(with_older()) as s:
        await s.press("slash", *"zzzz")
        assert "98,988 older ones are being looked through" in face(s)
