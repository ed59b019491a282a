"""What every storage tells of its commits, live, as a whole and from a position on (`backend_stub.domain.events`)."""

import anyio
import pytest

from backend_stub.domain.storage import Storage
from foundry_tui.contract.codec import decode
from foundry_tui.contract.events import TASKS, EventName, Topic, TopicKind
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.requests import TasksSnapshot
from tests.backend.engines import Database, kept, lives, read, seq_of, topic_of
from tests.backend.rows import first_change, with_rows

pytestmark = pytest.mark.anyio

MANY = 100


TOPICS = [TASKS, *(Topic(kind, "t") for kind in (TopicKind.TASK, TopicKind.LOG)), Topic(TopicKind.SESSION, "s-t")]


@pytest.mark.parametrize("topic", TOPICS, ids=str)
async def test_what_was_missed_is_the_last_state_of_what_was_told(
    database: Database, storage: Storage, topic: Topic
) -> None:
    await lives(storage)
    last = await seq_of(storage)
    await database.until_told(last)
    told = [(event.seq, event.name, event.data(topic.kind)) for event in database.told if topic in event.topics()]
    assert told
    for seq in range(last + 1):
        missed = await storage.events.missed(topic, seq)
        assert missed is not None
        assert missed.seq == last
        seqs = [event.seq for event in missed.events]
        assert seqs == sorted(set(seqs))
        newest = {key_of(name, data): (at, name, decode(data, object)) for at, name, data in told if at > seq}
        got = {key_of(each.name, each.data): (each.seq, each.name, decode(each.data, object)) for each in missed.events}
        # Of a task that was pruned nothing is left but that.
        assert got == {key: event for key, event in newest.items() if key != (EventName.TASK, "u")}
    assert await storage.events.missed(topic, last + 1) is None


def key_of(name: EventName, data: bytes) -> tuple[EventName, object]:
    """Which record an event is of."""
    fields = decode(data, dict[str, object])
    ids = {EventName.REPO: "repo_id", EventName.SESSION: "session_id", EventName.TRANSCRIPT: "item_id"}
    ids |= {EventName.HISTORY: "seq", EventName.LOG: "index"}
    return name, fields[ids.get(name, "task_id")]


async def test_an_event_of_a_task_has_its_sessions_and_no_history(database: Database, storage: Storage) -> None:
    await storage.commit(with_rows("t"))
    await database.until_told(await seq_of(storage))
    event = next(event for event in database.told if event.name is EventName.TASK)
    for kind in (TopicKind.TASKS, TopicKind.TASK):
        told = decode(event.data(kind), dict[str, object])
        assert "history" not in told
        assert decode(event.data(kind), TaskSummary).sessions == with_rows("t").task.sessions


async def test_a_snapshot_has_all_that_was_committed_up_to_its_seq_and_nothing_later(
    database: Database, storage: Storage
) -> None:
    async def create_some() -> None:
        for _ in range(MANY // 4):
            await storage.commit(first_change(uuid7()))

    snapshots: list[TasksSnapshot] = []
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(create_some)
        while len(await kept(storage)) < MANY:
            snapshots.append(await read(storage, TASKS, TasksSnapshot))
    snapshots.append(await read(storage, TASKS, TasksSnapshot))
    await database.until_told(snapshots[-1].seq)
    created = {event.task_id: event.seq for event in database.told if event.name is EventName.TASK}
    assert len(snapshots) > 1
    for snapshot in snapshots:
        assert {task.task_id for task in snapshot.tasks} == {id_ for id_, seq in created.items() if seq <= snapshot.seq}


async def test_a_list_of_many_tasks_comes_in_pieces_that_are_one_document(storage: Storage) -> None:
    assert (await read(storage, TASKS, TasksSnapshot)).tasks == ()
    async with anyio.create_task_group() as tasks:
        for _ in range(3 * MANY):
            tasks.start_soon(storage.commit, first_change(uuid7()))
    assert len((await topic_of(storage, TASKS)).pieces) > 1
    assert {task.task_id for task in (await read(storage, TASKS, TasksSnapshot)).tasks} == await kept(storage)
