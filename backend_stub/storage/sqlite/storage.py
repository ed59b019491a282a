"""The storage itself: what it does for the backend, and how it is opened and closed."""

import secrets
import sqlite3
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import anyio
import anyio.to_thread

from backend_stub.domain.clock import wall_clock
from backend_stub.domain.errors import DatabaseUnusableError, StorageUnavailableError
from backend_stub.domain.storage import Change, Fault, Reader
from backend_stub.storage import writing
from backend_stub.storage.pulse import Pulse
from backend_stub.storage.sqlite.condition import Condition
from backend_stub.storage.sqlite.files import DatabaseFiles
from backend_stub.storage.sqlite.migration import migrate
from backend_stub.storage.sqlite.opening import FILE_NAME, check_writable, connect, why_not
from backend_stub.storage.sqlite.readers import Readers
from backend_stub.storage.sqlite.tables import SQL
from backend_stub.storage.sqlite.writer import Writer
from backend_stub.storage.table_events import TableEvents
from backend_stub.storage.table_storage import Job, TableStorage
from backend_stub.storage.tables import Query, Tables
from foundry_tui.contract.records import HistoryEvent

P = ParamSpec("P")
T = TypeVar("T")

PROBE_SECONDS = 1.0
"""How long it may take to find out whether changes are still refused."""
_LEFT_OPEN: list[object] = []
"""Storages whose connections must not be closed: that would move a log which is no longer whole into the database."""


class SqliteStorage(TableStorage):
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
        self.events = TableEvents(database, self._readers.read)
        # The pulse comes before anybody is told, so that nobody ever saw more than it knows of.
        self._writer = Writer(connection, self._condition, seq, self._beat, self.events.tell)

    async def read(
        self, read: Callable[Concatenate[Tables, P], Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self._readers.read(read, *args, **kwargs)

    async def submit(self, job: Job, first: Query | None = None) -> Any:
        return await self._writer.submit(job)

    async def make_and_commit(self, make: Callable[[Reader], Change]) -> tuple[Change, Sequence[HistoryEvent]]:
        return await self._writer.make_and_submit(partial(make, self._readers))

    async def fault(self) -> Fault | None:
        if self._condition.refusal is not None:
            with suppress(StorageUnavailableError), anyio.move_on_after(PROBE_SECONDS):
                await self.submit(writing.touch)
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
