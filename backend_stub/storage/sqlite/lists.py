"""Lists of tasks: the snapshot of topic `tasks`, pages of what it leaves out, and what is looked for among all.

Each function runs inside one read transaction.
"""

import heapq
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence

from msgspec import Raw
from msgspec.structs import replace

from backend_stub.storage.sqlite.documents import listed, unread, whole
from backend_stub.storage.sqlite.reading import repos, sessions_of
from backend_stub.storage.sqlite.statements import SQL
from foundry_tui.contract.codec import decode, encode
from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.requests import NEWEST_ENDED, TasksSnapshot

SUMMARY = unread(TaskSummary)
PIECE_BYTES = 65_536
"""Of a snapshot, that are sent at once."""
LOOKED_AT_ONCE = 500
"""Tasks that are looked at together when some are to be found."""
_AFTER_ALL = (1 << 62, "")
"""The age of a task that would be newer than any."""


def seq(connection: sqlite3.Connection) -> int:
    """Where the log of events has come to."""
    return int(connection.execute(SQL["meta.seq"]).fetchone()[0])


def raw_sessions(connection: sqlite3.Connection, task_id: str) -> tuple[Raw, ...]:
    """A task's sessions, in the order in which they were asked for."""
    return listed(connection.execute(SQL["sessions.of_task"], (task_id,)))


def snapshot(connection: sqlite3.Connection) -> Iterator[bytes]:
    """JSON of `TasksSnapshot`, in pieces of about `PIECE_BYTES`; the tasks oldest first."""
    sessions: dict[str, list[Raw]] = {}
    for task_id, body in connection.execute(SQL["sessions.of_living_tasks"]):
        sessions.setdefault(task_id, []).append(Raw(body))
    ended = connection.execute(SQL["tasks.newest_ended"], (NEWEST_ENDED,)).fetchall()
    for _, task_id, _ in ended:
        sessions[task_id] = list(raw_sessions(connection, task_id))
    (count,) = connection.execute(SQL["meta.ended"]).fetchone()
    # No byte of JSON is zero: that one marks where the tasks come.
    around = {
        "seq": seq(connection),
        "older": int(count) - len(ended),
        "repos": listed(connection.execute(SQL["repos.all"])),
        "tasks": Raw(b"[\0]"),
    }
    head, end = encode(around).split(b"\0")
    piece, comma = bytearray(head), b""
    for _, task_id, summary in heapq.merge(connection.execute(SQL["tasks.living"]), reversed(ended)):
        piece += comma
        piece += whole(summary, SUMMARY, sessions=sessions.get(task_id, ()))
        comma = b","
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece + end)


def ended_before(connection: sqlite3.Connection, task_id: str, limit: int) -> TasksSnapshot | None:
    """See `Storage.ended_before`."""
    age = _age(connection, task_id)
    if age is None:
        return None
    rows = connection.execute(SQL["tasks.ended_before"], (*age, limit)).fetchall()
    (older,) = connection.execute(SQL["tasks.count_ended_before"], age).fetchone()
    return _page(connection, [decode(summary, TaskSummary) for _, summary in rows], older - len(rows))


def find(
    connection: sqlite3.Connection,
    holding: Callable[[Sequence[TaskSummary]], Collection[str]],
    before: str | None,
    limit: int,
) -> TasksSnapshot | None:
    """See `Storage.find`."""
    age = _AFTER_ALL if before is None else _age(connection, before)
    if age is None:
        return None
    rows = connection.execute(SQL["tasks.all_before"], (*age, *age))
    found: list[TaskSummary] = []
    while len(found) < limit and (batch := rows.fetchmany(LOOKED_AT_ONCE)):
        tasks = [decode(summary, TaskSummary) for *_, summary in batch]
        held = holding(tasks)
        found += [task for task in tasks if task.task_id in held]
    older = 0
    if len(found) >= limit:
        del found[limit:]
        last = found[-1]
        (older,) = connection.execute(SQL["tasks.count_all_before"], (last.created_at, last.task_id)).fetchone()
    return _page(connection, found, older)


def _age(connection: sqlite3.Connection, task_id: str) -> tuple[int, str] | None:
    row = connection.execute(SQL["tasks.age"], (task_id,)).fetchone()
    return None if row is None else (row[0], task_id)


def _page(connection: sqlite3.Connection, tasks: Sequence[TaskSummary], older: int) -> TasksSnapshot:
    return TasksSnapshot(
        seq=seq(connection),
        repos=tuple(repos(connection)),
        tasks=tuple(replace(task, sessions=sessions_of(connection, task.task_id)) for task in tasks),
        older=older,
    )
