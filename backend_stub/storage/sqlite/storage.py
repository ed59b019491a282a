"""The storage itself: what it does for the backend, and how it is opened and closed."""

import secrets
import sqlite3
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from backend_stub.domain.clock import wall_clock
from backend_stub.domain.errors import DatabaseUnusableError, StorageUnavailableError
from backend_stub.domain.storage import Change, Fault, ItemKey, LeftoverRow, Reader, TaskState
from backend_stub.storage.sqlite import lists, reading, writing
from backend_stub.storage.sqlite.condition import Condition
from backend_stub.storage.sqlite.events import SqliteEvents
from backend_stub.storage.sqlite.files import DatabaseFiles
from backend_stub.storage.sqlite.migration import migrate
from backend_stub.storage.sqlite.opening import FILE_NAME, check_writable, connect, why_not
from backend_stub.storage.sqlite.pulse import Pulse
from backend_stub.storage.sqlite.readers import Readers
from backend_stub.storage.sqlite.statements import SQL
from backend_stub.storage.sqlite.writer import Writer
from foundry_tui.contract.attachments import NewAttachments
from foundry_tui.contract.records import HistoryEvent, LogLine, Operation, Repo, SessionSummary, TaskDetail, TaskSummary
from foundry_tui.contract.requests import TasksSnapshot
from foundry_tui.contract.status import TaskStatus

PROBE_SECONDS = 1.0
"""What finding out takes at most, whether changes are refused still."""
_LEFT_OPEN: list[object] = []
"""Storages whose connections must not be closed: that would move a log which is no longer whole into the database."""


class SqliteStorage:
    """See `backend_stub.domain.storage.Storage`. Open with `open_storage`, inside an event loop."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, database: str, seq: int, pulse: Pulse, now: Callable[[], int]
    ) -> None:
        """Raises `OSError` when the files of the connection cannot be looked at, and `sqlite3.Error`."""
        last = pulse.last()
        self.last_alive = None if last is None else last.at
        self._database = database
        self._pulse = pulse
        self._clock = now
        self._condition = Condition(path, DatabaseFiles(path))
        self._readers = Readers(path, self._condition)
        self.events = SqliteEvents(database, self._readers)
        # The pulse comes before anybody is told, so that nobody ever saw more than it knows of.
        self._writer = Writer(connection, self._condition, seq, self._beat, self.events.tell)

    async def commit(self, change: Change) -> Sequence[HistoryEvent]:
        result: Sequence[HistoryEvent] = await self._writer.submit(partial(writing.apply, change))
        return result

    async def make_and_commit(self, make: Callable[[Reader], Change]) -> tuple[Change, Sequence[HistoryEvent]]:
        return await self._writer.make_and_submit(partial(make, self._readers))

    async def prune(self, task_id: str) -> None:
        await self._writer.submit(partial(writing.prune, task_id))

    async def put_repo(self, repo: Repo) -> tuple[Repo, bool]:
        result: tuple[Repo, bool] = await self._writer.submit(partial(writing.put_repo, repo))
        return result

    async def drop_leftover(self, task_id: str) -> None:
        await self._writer.submit(partial(writing.drop_leftover, task_id))

    async def sessions(self) -> Sequence[SessionSummary]:
        return await self._readers.read(reading.sessions)

    async def load(self, task_id: str) -> TaskState | None:
        return await self._readers.read(reading.load, task_id)

    async def item_keys(self, session_id: str) -> dict[str, ItemKey]:
        return await self._readers.read(reading.item_keys, session_id)

    async def task_of_session(self, session_id: str) -> str | None:
        return await self._readers.read(reading.task_of_session, session_id)

    async def attachments(self, prompt_id: str) -> NewAttachments:
        return await self._readers.read(reading.attachments, prompt_id)

    async def task_of_permission(self, permission_id: str) -> str | None:
        return await self._readers.read(reading.task_of_permission, permission_id)

    async def operation(self, operation_id: str) -> Operation | None:
        return await self._readers.read(reading.operation, operation_id)

    async def last_words(self, task_id: str) -> str | None:
        return await self._readers.read(reading.last_words, task_id)

    async def repo(self, repo_id: str) -> Repo | None:
        return await self._readers.read(reading.repo, repo_id)

    async def repos(self) -> Sequence[Repo]:
        return await self._readers.read(reading.repos)

    async def held_branches(self, repo_id: str, names: Sequence[str]) -> dict[str, str]:
        return await self._readers.read(reading.held_branches, repo_id, names)

    async def having(self, statuses: frozenset[TaskStatus]) -> Sequence[str]:
        return await self._readers.read(reading.having, statuses)

    async def operating(self) -> Sequence[str]:
        return await self._readers.read(reading.operating)

    async def in_turn(self, status: TaskStatus) -> Sequence[str]:
        return await self._readers.read(reading.in_turn, status)

    async def leftovers(self) -> Sequence[LeftoverRow]:
        return await self._readers.read(reading.leftovers)

    async def leftover(self, task_id: str) -> LeftoverRow | None:
        return await self._readers.read(reading.leftover, task_id)

    async def history(self, task_id: str | None, after: int, limit: int) -> Sequence[HistoryEvent]:
        return await self._readers.read(reading.history, task_id, after, limit)

    async def task(self, task_id: str) -> TaskDetail | None:
        return await self._readers.read(reading.task, task_id)

    async def ended_before(self, task_id: str, limit: int) -> TasksSnapshot | None:
        return await self._readers.read(lists.ended_before, task_id, limit)

    async def find(
        self, holding: Callable[[Sequence[TaskSummary]], Collection[str]], before: str | None, limit: int
    ) -> TasksSnapshot | None:
        return await self._readers.read(lists.find, holding, before, limit)

    async def lines(self, task_id: str, stage: str | None, after: int, limit: int) -> Sequence[LogLine]:
        return await self._readers.read(reading.lines, task_id, stage, after, limit)

    async def fault(self) -> Fault | None:
        if self._condition.refusal is not None:
            with suppress(StorageUnavailableError), anyio.move_on_after(PROBE_SECONDS):
                await self._writer.submit(writing.touch)
        return await anyio.to_thread.run_sync(self._condition.fault)

    def beat(self) -> None:
        self._beat(self._writer.seq)

    async def close(self) -> None:
        """Commit what waits and close the file; later changes raise `StorageUnavailableError`."""
        if not self._writer.refuse():
            return
        with anyio.CancelScope(shield=True):
            is_closed = await anyio.to_thread.run_sync(self._writer.finish)
        self.beat()
        self._pulse.close()
        if is_closed:
            self._readers.close()
            # After every connection, see `DatabaseFiles`.
            self._condition.files.close()
        else:
            _LEFT_OPEN.append(self)

    def _beat(self, seq: int) -> None:
        self._pulse.beat(self._database, seq, self._clock())


def open_storage(folder: Path, now: Callable[[], int] = wall_clock) -> SqliteStorage:
    """The storage in `folder`, made or migrated if need be; call it inside an event loop.

    `now` is the time of day in milliseconds. Raises `DatabaseUnusableError` with a sentence that names the path when
    the file cannot be used.
    """
    path = folder / FILE_NAME
    try:
        pulse = Pulse(folder)
        if pulse.last() is not None and path.exists() and not path.stat().st_size:
            raise DatabaseUnusableError(
                f"the database {path} is damaged (it is empty): restore a copy, or remove the file to start empty"
            )
        connection = connect(path, make=True)
        migrate(path, connection)
        check_writable(connection)
        meta: dict[str, str] = dict(connection.execute(SQL["meta.all"]).fetchall())
        database, seq = meta["database"], int(meta["seq"])
        if not _is_continued(pulse, database, seq):
            database = _begin_life(connection)
        return SqliteStorage(path, connection, database, seq, pulse, now)
    except OSError as error:
        raise DatabaseUnusableError(
            f"the data folder {folder} cannot be written ({error.strerror}): check its owner and permissions"
        ) from error
    except sqlite3.DatabaseError as error:
        raise DatabaseUnusableError(why_not(path, error)) from error
    except (KeyError, ValueError) as error:
        raise DatabaseUnusableError(
            f"the database {path} is damaged (its meta table lacks {error}): restore a copy, or move the file away"
        ) from error


def _is_continued(pulse: Pulse, database: str, seq: int) -> bool:
    """Whether the database is the one that was last worked on, and not a copy that knows less."""
    last = pulse.last()
    return last is not None and last.database == database and last.seq <= seq and pulse.is_untouched(last)


def _begin_life(connection: sqlite3.Connection) -> str:
    """Name the database anew: what clients know of its earlier life is no longer true of it."""
    name = secrets.token_hex(6)
    connection.execute(SQL["meta.set_database"], (name,))
    return name
