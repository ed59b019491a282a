"""What every storage tells of many tasks: those that have ended are left out but for the newest, paged, and found."""

from collections.abc import Sequence
from dataclasses import replace

import anyio
import pytest
from msgspec import structs

from backend_stub.domain.storage import Change, Storage
from foundry_tui.contract.events import TASKS
from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.requests import NEWEST_ENDED, TasksSnapshot
from foundry_tui.contract.status import ENDED, READY, TaskStatus
from tests.backend.engines import Database, read
from tests.backend.rows import first_change, leftover, next_change, session, summary_of_session

pytestmark = pytest.mark.anyio

OLDER = 30
"""Ended tasks that the snapshot leaves out."""

THOUSANDS = pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True
)
"""Of a test that makes so many tasks."""


def task_id_of(number: int) -> str:
    return f"task-{number:05}"


def created(number: int, *, at: int | None = None) -> Change:
    """A new task with one session; its number is its age, unless that is said."""
    task_id = task_id_of(number)
    state = session(task_id, f"session-{number}")
    change = first_change(task_id, sessions=[state])
    task = structs.replace(
        change.task,
        created_at=number if at is None else at,
        title=f"no {number}",
        sessions=(summary_of_session(state),),
    )
    return replace(change, task=task)


def with_status(last: Change, status: TaskStatus) -> Change:
    change = next_change(last)
    return replace(change, task=structs.replace(change.task, status=status))


async def make(storage: Storage, numbers: Sequence[int], status: TaskStatus = TaskStatus.ARCHIVED) -> None:
    async def one(number: int) -> None:
        change = created(number)
        await storage.commit(change)
        await storage.commit(with_status(change, status))

    async with anyio.create_task_group() as tasks:
        for number in numbers:
            tasks.start_soon(one, number)


def numbers_of(page: TasksSnapshot | None) -> list[int]:
    assert page is not None
    return [task.created_at for task in page.tasks]


@THOUSANDS
async def test_the_snapshot_has_all_living_tasks_the_newest_ended_ones_and_how_many_older_there_are(
    database: Database,
) -> None:
    ended = range(100, 100 + NEWEST_ENDED + OLDER)
    async with database.open() as storage:
        await make(storage, ended)
        await make(storage, [1, 50, 10_000], TaskStatus.IDLE)
        snapshot = await read(storage, TASKS, TasksSnapshot)
        assert numbers_of(snapshot) == [1, 50, *ended[OLDER:], 10_000]
        assert snapshot.older == OLDER
        assert all(len(task.sessions) == 1 for task in snapshot.tasks)
        assert {each.task_id for each in await storage.sessions()} == {task_id_of(each) for each in (1, 50, 10_000)}
        # One that ends is one of the ended by its age; what ends twice counts once; what is pruned counts no more.
        change = with_status(with_status(created(1), TaskStatus.IDLE), TaskStatus.KILLED)
        await storage.commit(change)
        await storage.commit(next_change(change))
        assert (await read(storage, TASKS, TasksSnapshot)).older == OLDER + 1
        for number in (1, 100):
            await storage.prune(task_id_of(number))
    async with database.open() as storage:
        snapshot = await read(storage, TASKS, TasksSnapshot)
        assert numbers_of(snapshot) == [50, *ended[OLDER:], 10_000]
        assert snapshot.older == OLDER - 1
        assert numbers_of(await storage.ended_before(task_id_of(ended[OLDER]), 1000)) == [*reversed(ended[1:OLDER])]
        assert await storage.having(READY) == [task_id_of(50), task_id_of(10_000)]
        assert len(await storage.having(READY | ENDED)) == NEWEST_ENDED + OLDER - 1 + 2


async def test_ended_tasks_are_paged_newest_first_from_any_task_on(storage: Storage) -> None:
    await make(storage, range(10, 20))
    await make(storage, [5, 15_000], TaskStatus.IDLE)
    page = await storage.ended_before(task_id_of(15_000), 4)
    assert page is not None
    assert (numbers_of(page), page.older) == ([19, 18, 17, 16], 6)
    assert all([each.task_id for each in task.sessions] == [task.task_id] for task in page.tasks)
    assert page.seq == (await read(storage, TASKS, TasksSnapshot)).seq
    page = await storage.ended_before(task_id_of(16), 4)
    assert page is not None
    assert (numbers_of(page), page.older) == ([15, 14, 13, 12], 2)
    page = await storage.ended_before(task_id_of(12), 4)
    assert page is not None
    assert (numbers_of(page), page.older) == ([11, 10], 0)
    for oldest in (5, 10):
        page = await storage.ended_before(task_id_of(oldest), 4)
        assert page is not None
        assert (page.tasks, page.older) == ((), 0)
    assert await storage.ended_before("nothing", 4) is None


async def test_of_tasks_made_at_one_time_the_id_says_which_is_older(storage: Storage) -> None:
    for number in (3, 1, 2):
        change = created(number, at=7)
        await storage.commit(change)
        await storage.commit(with_status(change, TaskStatus.KILLED))
    page = await storage.ended_before(task_id_of(3), 1)
    assert page is not None
    assert ([task.task_id for task in page.tasks], page.older) == ([task_id_of(2)], 1)
    found = await storage.find(lambda tasks: {task.task_id for task in tasks}, None, 10)
    assert found is not None
    assert [task.task_id for task in found.tasks] == [task_id_of(3), task_id_of(2), task_id_of(1)]


@THOUSANDS
async def test_some_are_found_among_all_and_it_is_said_how_many_were_not_looked_at(storage: Storage) -> None:
    await make(storage, [number for number in range(10, 1210) if number != 700])
    await make(storage, [5, 700, 15_000], TaskStatus.IDLE)
    looked_at: list[int] = []

    def holding(tasks: Sequence[TaskSummary]) -> set[str]:
        looked_at.extend(task.created_at for task in tasks)
        return {task.task_id for task in tasks if task.created_at % 100 == 0}

    page = await storage.find(holding, None, 3)
    assert page is not None
    assert numbers_of(page) == [15_000, 1200, 1100]
    assert all([each.task_id for each in task.sessions] == [task.task_id] for task in page.tasks)
    assert page.older == 1100 - 10 - 1 + 2
    assert looked_at == sorted(looked_at, reverse=True)
    page = await storage.find(holding, task_id_of(1100), 100)
    assert page is not None
    assert numbers_of(page) == [1000, 900, 800, 700, 600, 500, 400, 300, 200, 100]
    assert page.older == 0
    page = await storage.find(lambda tasks: (), None, 3)
    assert page is not None
    assert (page.tasks, page.older) == ((), 0)
    assert await storage.find(holding, "nothing", 3) is None


async def test_what_one_task_left_behind_is_read_alone(storage: Storage) -> None:
    change = created(1)
    await storage.commit(replace(change, leftover=leftover(change.task)))
    assert await storage.leftover(task_id_of(1)) == leftover(change.task)
    assert await storage.leftover(task_id_of(2)) is None
