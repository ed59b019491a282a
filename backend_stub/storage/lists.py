"""Lists of tasks: the snapshot of topic `tasks`, pages of what it leaves out, and what is looked for among all.

Each function runs inside one read transaction.
"""

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from operator import itemgetter

from msgspec import Raw
from msgspec.structs import replace

from backend_stub.storage.documents import listed, unread, whole
from backend_stub.storage.reading import repos, seq
from backend_stub.storage.tables import Row, Tables, fetch_known, fetch_one
from foundry_tui.contract.codec import decode, encode
from foundry_tui.contract.records import SessionSummary, TaskSummary
from foundry_tui.contract.requests import NEWEST_ENDED, TasksSnapshot

_SUMMARY = unread(TaskSummary)
PIECE_BYTES = 65_536
"""Bytes of a snapshot that are sent at once."""
LOOKED_AT_ONCE = 500
"""Tasks that are looked at together when some are to be found."""
_AFTER_ALL = (1 << 62, "")
"""The age of a task that would be newer than any."""


async def sessions_by_task(tables: Tables, task_ids: Iterable[str]) -> dict[str, list[bytes]]:
    """The sessions of these tasks as they are kept, in the order in which they were asked for."""
    return _by_task(await tables.fetch("sessions.of_tasks", list(task_ids)))


def summary_with(summary: bytes, sessions: Iterable[bytes]) -> bytes:
    """JSON of a `TaskSummary`, of what its row and those of its sessions have."""
    return whole(summary, _SUMMARY, sessions=tuple(map(Raw, sessions)))


async def snapshot(tables: Tables) -> list[bytes]:
    """JSON of `TasksSnapshot`, in pieces of about `PIECE_BYTES`; the tasks oldest first."""
    living = await tables.fetch("tasks.living")
    ended = await tables.fetch("tasks.newest_ended", NEWEST_ENDED)
    sessions = _by_task(await tables.fetch("sessions.of_living_tasks"))
    sessions |= await sessions_by_task(tables, map(itemgetter(1), ended))
    (count,) = await fetch_known(tables, "meta.ended")
    # No byte of JSON is zero: that one marks where the tasks come.
    around = {
        "seq": await seq(tables),
        "older": int(count) - len(ended),
        "repos": listed(await tables.fetch("repos.all")),
        "tasks": Raw(b"[\0]"),
    }
    return list(_pieces(encode(around), heapq.merge(living, reversed(ended)), sessions))


async def ended_before(tables: Tables, task_id: str, limit: int) -> TasksSnapshot | None:
    """See `Storage.ended_before`."""
    age = await _age(tables, task_id)
    if age is None:
        return None
    rows = await tables.fetch("tasks.ended_before", *age, limit)
    (older,) = await fetch_known(tables, "tasks.count_ended_before", *age)
    return await _page(tables, [decode(summary, TaskSummary) for _, summary in rows], older - len(rows))


async def find(
    tables: Tables,
    holding: Callable[[Sequence[TaskSummary]], Collection[str]],
    before: str | None,
    limit: int,
) -> TasksSnapshot | None:
    """See `Storage.find`."""
    age = _AFTER_ALL if before is None else await _age(tables, before)
    found: list[TaskSummary] = []
    while age is not None and len(found) < limit:
        rows = await tables.fetch("tasks.all_before", *age, *age, LOOKED_AT_ONCE)
        if not rows:
            return await _page(tables, found, 0)
        tasks = [decode(summary, TaskSummary) for *_, summary in rows]
        held = await tables.compute(holding, tasks)
        found += [task for task in tasks if task.task_id in held]
        age = rows[-1][:2]
    if age is None:
        return None
    del found[limit:]
    last = found[-1]
    (older,) = await fetch_known(tables, "tasks.count_all_before", last.created_at, last.task_id)
    return await _page(tables, found, older)


def _by_task(rows: Iterable[Row]) -> dict[str, list[bytes]]:
    sessions: dict[str, list[bytes]] = {}
    for task_id, body in rows:
        sessions.setdefault(task_id, []).append(body)
    return sessions


def _pieces(around: bytes, tasks: Iterable[Row], sessions: dict[str, list[bytes]]) -> Iterator[bytes]:
    head, end = around.split(b"\0")
    piece, comma = bytearray(head), b""
    for _, task_id, summary in tasks:
        piece += comma
        piece += summary_with(summary, sessions.get(task_id, ()))
        comma = b","
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece + end)


async def _age(tables: Tables, task_id: str) -> Row | None:
    row = await fetch_one(tables, "tasks.age", task_id)
    return None if row is None else (row[0], task_id)


async def _page(tables: Tables, tasks: Sequence[TaskSummary], older: int) -> TasksSnapshot:
    sessions = await sessions_by_task(tables, (task.task_id for task in tasks))
    return TasksSnapshot(
        seq=await seq(tables),
        repos=tuple(await repos(tables)),
        tasks=tuple(
            replace(task, sessions=tuple(decode(body, SessionSummary) for body in sessions.get(task.task_id, ())))
            for task in tasks
        ),
        older=older,
    )
