"""Commits that come from many threads at once: in one order, none lost, none half answered, also while closing."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec import structs

from backend_stub.domain.errors import StaleRevisionError, StorageUnavailableError, TaskExistsError, TaskPrunedError
from backend_stub.domain.storage import Change, Event, Private
from backend_stub.storage.sqlite import SqliteStorage, open_storage
from foundry_tui.contract.codec import decode
from foundry_tui.contract.events import TASKS, Topic, TopicKind
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.records import (
    HistoryKind,
    LogLine,
    Repo,
    SessionState,
    SessionStatus,
    TaskDetail,
    TranscriptItem,
    TranscriptKind,
)
from foundry_tui.contract.requests import TasksSnapshot
from foundry_tui.contract.status import TaskStatus

pytestmark = pytest.mark.anyio

TASKS_MADE = 300


def first_change(task_id: str) -> Change:
    task = TaskDetail(
        task_id=task_id,
        repo_id="repo-1",
        repo_label="shop",
        prompt="fix it",
        agent="demo",
        provider="demo",
        status=TaskStatus.QUEUED,
        status_since=1,
        created_at=1,
        updated_at=1,
        revision=1,
    )
    return Change(
        at=1,
        expected=0,
        task=task,
        private=Private(),
        history=((HistoryKind.TASK_CREATED, {}), (HistoryKind.PROVISION_QUEUED, {})),
    )


async def kept(storage: SqliteStorage) -> set[str]:
    return set(await storage.having(frozenset(TaskStatus)))


@pytest.mark.parametrize(
    ("closed_after", "beside"),
    [(1, TASKS_MADE), (TASKS_MADE // 2, TASKS_MADE), (TASKS_MADE, TASKS_MADE), (TASKS_MADE, 0)],
)
async def test_what_is_answered_is_kept_and_the_rest_refused(tmp_path: Path, closed_after: int, beside: int) -> None:
    storage = open_storage(tmp_path)
    told: list[int] = []
    answered: set[str] = set()
    refused: set[str] = set()
    enough = anyio.Event()

    def committed(events: Sequence[Event], seconds: float) -> None:
        told.extend(event.seq for event in events)

    storage.on_commit = committed

    async def create(task_id: str) -> None:
        try:
            change, history = await storage.commit_made(partial(first_change, task_id))
        except StorageUnavailableError:
            refused.add(task_id)
        else:
            assert change.task.task_id == history[0].task_id == task_id
            answered.add(task_id)
        if len(answered) + len(refused) >= closed_after:
            enough.set()

    async with anyio.create_task_group() as tasks:
        for _ in range(TASKS_MADE):
            tasks.start_soon(create, uuid7())
        for number in range(beside):
            tasks.start_soon(storage.put_repo, Repo(repo_id=f"repo-{number}", label="shop", path=f"/{number}"))
        with anyio.move_on_after(30):
            await enough.wait()
        in_time = enough.is_set()
        # It answers what waits, so that a commit which nobody does fails this test and does not hold it up.
        await storage.close()
    assert in_time
    assert len(answered) + len(refused) == TASKS_MADE
    again = open_storage(tmp_path)
    assert await kept(again) == answered
    assert told == list(range(1, told[-1] + 1))
    assert (await again.snapshot(TASKS) or (0, b""))[0] == told[-1]
    await again.close()
    with pytest.raises(StorageUnavailableError):
        await again.commit_made(partial(first_change, uuid7()))


async def test_what_making_a_change_raises_is_raised_and_nothing_written(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)

    def refuse() -> Change:
        raise LookupError("no such folder")

    with pytest.raises(LookupError, match="no such folder"):
        await storage.commit_made(refuse)
    await storage.commit_made(partial(first_change, uuid7()))
    assert len(await kept(storage)) == 1
    await storage.close()


async def test_a_change_for_which_there_is_no_thread_is_refused_and_not_lost_sight_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(tmp_path)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched, anyio.fail_after(30):
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(StorageUnavailableError, match="thread"):
            await storage.commit_made(partial(first_change, uuid7()))
        await storage.put_repo(Repo(repo_id="repo-1", label="shop", path="/1"))
    await storage.commit_made(partial(first_change, uuid7()))
    assert len(await kept(storage)) == 1
    await storage.close()


async def test_a_change_that_is_refused_leaves_nothing_alone_and_in_company(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    told: list[int] = []
    storage.on_commit = lambda events, seconds: told.extend(event.seq for event in events)
    known, pruned = uuid7(), uuid7()
    for task_id in (known, pruned):
        await storage.commit_made(partial(first_change, task_id))
    await storage.prune(pruned)
    outcomes: list[type[Exception] | None] = []

    async def create(task_id: str) -> None:
        try:
            await storage.commit_made(partial(first_change, task_id))
        except (TaskExistsError, TaskPrunedError) as refusal:
            outcomes.append(type(refusal))
        else:
            outcomes.append(None)

    await create(known)
    await create(pruned)
    assert outcomes == [TaskExistsError, TaskPrunedError]
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            for task_id in (known, pruned, uuid7()):
                tasks.start_soon(create, task_id)
    assert [outcomes.count(kind) for kind in (TaskExistsError, TaskPrunedError, None)] == [21, 21, 20]
    assert len(await kept(storage)) == 21
    assert told == list(range(1, told[-1] + 1))
    await storage.close()


async def test_nothing_known_is_replaced_by_what_is_not_newer(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    task_id = uuid7()
    told = first_change(task_id)
    session = SessionState(
        session_id="s", task_id=task_id, name="demo", agent="demo", status=SessionStatus.READY, created_at=1,
        updated_at=1, revision=2,
    )  # fmt: skip
    item = TranscriptItem(
        item_id="i", session_id="s", index=0, kind=TranscriptKind.MESSAGE, body="the newest", at=1, revision=2
    )
    line = LogLine(index=0, stage="turn", at=1, text="the first")
    await storage.commit(
        replace(
            told, task=structs.replace(told.task, sessions=(session,)), sessions=[session], items=[item], lines=[line]
        )
    )

    async def change(revision: int, **rows: Any) -> None:
        task = structs.replace(told.task, revision=revision + 1)
        await storage.commit(replace(told, expected=revision, task=task, history=(), **rows))

    kept = await storage.snapshot(Topic(TopicKind.SESSION, "s"))
    for revision in (1, 2):
        each: dict[str, Any]
        for each in (
            {"sessions": [structs.replace(session, name="older", revision=revision)]},
            {"items": [structs.replace(item, body="older", revision=revision)]},
            {"items": [structs.replace(item, item_id="another", body="in its place", revision=9)]},
            {"lines": [structs.replace(line, text="in its place")]},
        ):
            with pytest.raises(StaleRevisionError):
                await change(1, **each)
    assert await storage.snapshot(Topic(TopicKind.SESSION, "s")) == kept
    await change(
        1,
        sessions=[structs.replace(session, revision=3)],
        items=[structs.replace(item, body="newer", revision=3)],
        lines=[structs.replace(line, index=1)],
    )
    now = await storage.snapshot(Topic(TopicKind.SESSION, "s"))
    assert now is not None
    assert b"newer" in now[1]
    await storage.close()


async def test_a_list_of_many_tasks_comes_in_pieces_that_are_one_document(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    assert decode(b"".join((await storage.tasks_snapshot())[1]), TasksSnapshot).tasks == ()
    for _ in range(TASKS_MADE):
        await storage.commit_made(partial(first_change, uuid7()))
    seq, pieces = await storage.tasks_snapshot()
    assert len(pieces) > 1
    told = decode(b"".join(pieces), TasksSnapshot)
    assert (told.seq, {task.task_id for task in told.tasks}) == (seq, await kept(storage))
    await storage.close()
