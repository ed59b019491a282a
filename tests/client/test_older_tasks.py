"""Ended tasks that the list's snapshot leaves out: read as somebody comes to the end, and found by a filter."""

from functools import partial

import anyio
import pytest

from foundry_tui.client import list_replica
from foundry_tui.client.older_tasks import PAGE, PAUSE
from foundry_tui.contract.events import TASKS
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.requests import CreateTask
from foundry_tui.contract.status import TaskStatus
from tests.client.app import App, with_app
from tests.client.transport import Backend, until

LEFT_OUT = 2 * PAGE + 100


def end(backend: Backend, prompt: str) -> str:
    world = backend.world
    task_id, session_id = (uuid7(lambda: world.now) for _ in range(2))
    world.create(CreateTask(repo="/repo", prompt=prompt, title=prompt, task_id=task_id, session_id=session_id))
    world.move(task_id, TaskStatus.KILLING)
    world.move(task_id, TaskStatus.KILLED)
    return task_id


def with_older(newest: int = 5, older: int = LEFT_OUT) -> tuple[Backend, list[str]]:
    """A backend whose snapshot leaves out so many tasks, and the ids of all, oldest first."""
    backend = Backend()
    backend.world.newest_ended = newest
    return backend, [end(backend, f"chore {number:04}") for number in range(newest + older)]


def pages(backend: Backend) -> int:
    return len(backend.asked("GET", "/v1/tasks"))


def is_left(app: App, count: int) -> bool:
    return app.store.older == count


async def settled(app: App) -> None:
    await until(lambda: app.store.freshness().is_live and not app.store.is_dirty)


def test_whoever_comes_to_the_end_reads_on_page_by_page_until_all_is_held() -> None:
    backend, ids = with_older()

    async def test(app: App) -> None:
        await settled(app)
        assert (len(app.store.tasks), app.store.older) == (5, LEFT_OUT)
        for left in (LEFT_OUT - PAGE, LEFT_OUT - 2 * PAGE, 0):
            app.commands.read_older()
            app.commands.read_older()
            await until(partial(is_left, app, left))
            assert len(app.store.tasks) + app.store.older == len(ids)
        assert set(app.store.tasks) == set(ids)
        assert pages(backend) == 3, "what is asked for is asked for once"
        app.commands.read_older()
        await anyio.sleep(1)
        assert pages(backend) == 3, "there is nothing more"

    with_app(test, backend)


def test_the_task_at_the_end_may_be_removed_and_what_is_not_held_is_counted() -> None:
    backend, ids = with_older(older=10)

    async def test(app: App) -> None:
        await settled(app)
        backend.world.prune(ids[10])
        backend.world.prune(ids[0])
        backend.world.rename(ids[1], "renamed")
        await until(lambda: app.store.older == 9 and len(app.store.tasks) == 4)
        assert ids[1] not in app.store.tasks, "news of a task that is not held do not bring it"
        app.commands.read_older()
        await until(lambda: app.store.older == 0)
        assert app.store.tasks[ids[1]].title == "renamed"
        assert set(app.store.tasks) == set(backend.world.tasks)

    with_app(test, backend)


def test_a_filter_finds_what_is_not_held_and_lets_it_go_again() -> None:
    backend, ids = with_older()
    marked = [end(backend, f"paint the door {number}") for number in range(3)]
    for _ in range(5):
        ids.append(end(backend, "chore of late"))

    async def test(app: App) -> None:
        await settled(app)
        held = set(app.store.tasks)
        for typed in ("p", "pa", "paint door"):
            app.commands.search_older(typed)
            await anyio.sleep(PAUSE / 2)
        await until(lambda: set(marked) < app.store.tasks.keys())
        assert set(app.store.tasks) == {*held, *marked}
        assert pages(backend) == 1, "what is typed on is not asked for"
        assert len(app.store.tasks) + app.store.older == len(backend.world.tasks)
        app.commands.read_older()
        await anyio.sleep(1)
        assert pages(backend) == 1, "the filter has found all there is"
        backend.world.rename(marked[0], "paint the other door")
        await until(lambda: app.store.tasks[marked[0]].title == "paint the other door")
        app.commands.search_older("")
        assert set(app.store.tasks) == held
        app.commands.search_older("chore")
        await until(lambda: len(app.store.tasks) > len(held))
        first = len(app.store.tasks)
        app.commands.read_older()
        await until(lambda: len(app.store.tasks) > first)
        assert pages(backend) == 3, "more of what it finds"

    with_app(test, backend)


def test_an_answer_that_comes_too_late_is_dropped() -> None:
    backend, _ = with_older()
    backend.delay = 1.0
    found = end(backend, "paint")
    for _ in range(5):
        end(backend, "chore of late")

    async def test(app: App) -> None:
        await settled(app)
        held = set(app.store.tasks)
        app.commands.search_older("paint")
        await until(lambda: pages(backend) == 1)
        app.commands.search_older("nothing like that")
        await until(lambda: pages(backend) == 2)
        await anyio.sleep(2)
        assert set(app.store.tasks) == held
        # News of what was asked for come before the answer, which has it as it was.
        app.commands.search_older("paint")
        backend.delay = 0.0
        app.commands.search_older("paint!")
        app.commands.search_older("paint")
        await until(lambda: found in app.store.tasks)

    with_app(test, backend)


def test_a_reconnect_with_a_snapshot_keeps_what_was_read_and_finds_out_what_is_gone() -> None:
    backend, ids = with_older(older=20)

    async def test(app: App) -> None:
        await settled(app)
        app.commands.read_older()
        await until(lambda: app.store.older == 0)
        backend.world.forget_log()
        backend.cut_all()
        gone, renamed = ids[3], ids[4]
        backend.world.prune(gone)
        backend.world.rename(renamed, "renamed")
        backend.world.forget_log()
        assert len(app.store.tasks) == 25
        await until(lambda: gone not in app.store.tasks)
        await until(lambda: app.store.tasks[renamed].title == "renamed")
        assert set(app.store.tasks) == set(backend.world.tasks)
        assert app.store.older == 0
        assert app.store.counter(TASKS).snapshots == 2

    with_app(test, backend)


def test_a_page_that_was_asked_for_before_some_news_is_asked_for_again() -> None:
    backend, ids = with_older(older=3)

    async def test(app: App) -> None:
        await settled(app)
        held = app.store.task_list
        page = backend.world.ended_before(ids[3], 10)
        backend.world.rename(ids[0], "renamed")
        await until(lambda: held.seq == backend.world.seq)
        assert not held.put_page(page, held.last_without_gap), "it has the task as it was, and the news were not kept"
        app.commands.read_older()
        await until(lambda: app.store.older == 0)
        assert app.store.tasks[ids[0]].title == "renamed"

    with_app(test, backend)


def test_memory_is_bounded_however_many_tasks_come_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("HELD_MOST", 15), ("LET_GO_AT_ONCE", 5), ("NEWEST_ENDED", 5)):
        monkeypatch.setattr(list_replica, name, value)
    backend, ids = with_older(older=0)

    async def test(app: App) -> None:
        await settled(app)
        for number in range(16):
            ids.append(end(backend, f"more {number}"))
        await until(lambda: len(app.store.tasks) == 15 and app.store.older == 6)
        assert set(app.store.tasks) == set(ids[6:])

    with_app(test, backend)


def test_what_is_being_edited_is_shown_so_too_when_its_page_comes() -> None:
    backend, ids = with_older(older=10)

    async def test(app: App) -> None:
        await settled(app)
        token = app.store.edit(ids[0], title="mine")
        app.commands.read_older()
        await until(lambda: app.store.older == 0)
        assert app.store.tasks[ids[0]].title == "mine"
        app.store.settle(ids[0], token)
        assert app.store.tasks[ids[0]].title == "chore 0000"

    with_app(test, backend)
