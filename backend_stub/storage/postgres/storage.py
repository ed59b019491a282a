"""The storage itself: how it is opened and closed, and what it is made of."""

import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import anyio
import anyio.from_thread
import anyio.to_thread
import psycopg

from backend_stub.domain.clock import wall_clock
from backend_stub.domain.errors import DatabaseUnusableError, StorageUnavailableError
from backend_stub.domain.events import Committed
from backend_stub.domain.storage import Change, Fault, Reader
from backend_stub.storage import reading, writing
from backend_stub.storage.postgres.address import Address, parse_address
from backend_stub.storage.postgres.connections import Readers, answered, check_server, connected
from backend_stub.storage.postgres.event_rows import MayShorten
from backend_stub.storage.postgres.log import KEPT_SECONDS, Follower, Log
from backend_stub.storage.postgres.migration import migrate
from backend_stub.storage.postgres.reasons import why_not, why_unreachable
from backend_stub.storage.postgres.tables import SQL
from backend_stub.storage.postgres.writer import Fence, Writer
from backend_stub.storage.pulse import Pulse
from backend_stub.storage.table_events import TableEvents
from backend_stub.storage.table_storage import Job, TableStorage
from backend_stub.storage.tables import Query, Tables
from foundry_tui.contract.records import HistoryEvent, Repo

MAKERS = 40
"""Threads that make changes at once; one that looks at a disk which does not answer is lost until it does."""
PROBE_SECONDS = 2.0
"""What finding out takes at most, whether it can be read and written."""

P = ParamSpec("P")
T = TypeVar("T")


class PostgresStorage(TableStorage):
    """See `backend_stub.domain.storage.Storage`. Open with `open_storage`."""

    def __init__(
        self,
        address: Address,
        database: str,
        seq: int,
        pulse: Pulse,
        now: Callable[[], int],
        kept_seconds: float,
        fence: Fence,
        may_shorten: MayShorten,
    ) -> None:
        last = pulse.last()
        self.last_alive = last.at if last is not None and last.database == database else None
        self.readers = Readers(address)
        self.events = TableEvents(database, self.read)
        self._address = address
        self._pulse = pulse
        self._clock = now
        self._log = Log(self._tell, seq)
        self.writer = Writer(address, self._log, database, fence, may_shorten)
        self.follower = Follower(address, self._log, self._changed_life, kept_seconds)
        self._makers = anyio.CapacityLimiter(MAKERS)
        self._closed = False
        self._replaced = False

    async def read(
        self, read: Callable[Concatenate[Tables, P], Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self._check_open()
        return await self.readers.read(read, *args, **kwargs)

    async def submit(self, job: Job, first: Query | None = None) -> Any:
        self._check_open()
        return await self.writer.submit(job, first)

    async def make_and_commit(self, make: Callable[[Reader], Change]) -> tuple[Change, Sequence[HistoryEvent]]:
        self._check_open()
        change = await anyio.to_thread.run_sync(make, _Waiter(self), limiter=self._makers)
        result: tuple[Change, Sequence[HistoryEvent]] = await self.submit(
            partial(writing.apply_made, change), writing.first_read(change)
        )
        return result

    async def fault(self) -> Fault | None:
        try:
            with answered(self._address, PROBE_SECONDS):
                if self.writer.refusal is not None:
                    await self.submit(writing.touch)
                await self.read(reading.seq)
        except StorageUnavailableError as error:
            return Fault("unavailable", str(error))
        return None

    def beat(self) -> None:
        self._pulse.beat(self.events.database, self._log.seq, self._clock())

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.writer.refuse()
        with anyio.CancelScope(shield=True):
            await self.writer.finish()
            await self.readers.close()
        self.beat()
        self._pulse.close()

    def _tell(self, committed: Committed) -> None:
        # The pulse comes before anybody is told, so that nobody ever saw more than it knows of.
        self.beat()
        self.writer.one_statement.follow(committed)
        self.events.tell(committed)

    def _check_open(self) -> None:
        if self._closed:
            raise StorageUnavailableError("the backend is shutting down")
        if self._replaced:
            raise StorageUnavailableError(
                f"the database {self._address.shown} was replaced by another one, or by an older copy: "
                "restart this backend"
            )

    def _changed_life(self, database: str, seq: int, known: int) -> bool:
        """Whether what is connected to is not what was; then nothing that is known here is true of it."""
        self._replaced = database != self.events.database or seq < known
        return self._replaced


class _Waiter:
    """The `Reader` of a thread: it waits for the event loop, which reads."""

    def __init__(self, storage: PostgresStorage) -> None:
        self._storage = storage

    def request_of(self, task_id: str) -> bytes | None:
        return anyio.from_thread.run(self._storage.read, reading.request_of, task_id)

    def branch_holder(self, repo_id: str, branch: str) -> str | None:
        return anyio.from_thread.run(self._storage.read, reading.branch_holder, repo_id, branch)

    def repo(self, repo_id: str) -> Repo | None:
        return anyio.from_thread.run(self._storage.read, reading.repo, repo_id)


@asynccontextmanager
async def open_storage(
    url: str,
    folder: Path,
    now: Callable[[], int] = wall_clock,
    *,
    kept_seconds: float = KEPT_SECONDS,
    fence: Fence = lambda: None,
    may_shorten: MayShorten = lambda: True,
    application: str = "foundry",
) -> AsyncIterator[PostgresStorage]:
    """The storage in this database, its tables made or migrated if need be; closed at the end.

    `folder` is the backend's own, where it keeps how far it had come. `now` is the time of day in milliseconds. Other
    processes are told of commits for `kept_seconds`; one that was away for longer reads the rows. `fence` tells under
    which lease this host writes, `may_shorten` whether the log may have records of very many parts in the short form;
    `application` is what its connections are called.
    Raises `DatabaseUnusableError` with a sentence that says what to do when the database cannot be used.
    """
    address = parse_address(url, application)
    pulse = _pulse(folder)
    try:
        database, seq = await _prepared(address, pulse)
    except BaseException:
        pulse.close()
        raise
    storage = PostgresStorage(address, database, seq, pulse, now, kept_seconds, fence, may_shorten)
    await storage.readers.open()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(storage.writer.run)
        tasks.start_soon(storage.writer.watch)
        tasks.start_soon(storage.follower.run)
        try:
            yield storage
        finally:
            await storage.close()
            tasks.cancel_scope.cancel()


def _pulse(folder: Path) -> Pulse:
    try:
        return Pulse(folder)
    except OSError as error:
        raise DatabaseUnusableError(
            f"the data folder {folder} cannot be written ({error.strerror}): check its owner and permissions"
        ) from error


async def _prepared(address: Address, pulse: Pulse) -> tuple[str, int]:
    """The database's name and seq, once all is as it must be."""
    try:
        async with connected(address) as connection:
            try:
                await check_server(connection, address)
                await migrate(connection, address)
                row = await (await connection.execute(SQL["meta.life"])).fetchone()
                database, seq = row or ("", 0)
                last = pulse.last()
                if last is not None and last.database == database and last.seq > seq:
                    # An older copy has taken its place: what clients know of its earlier life is no longer true.
                    database = secrets.token_hex(6)
                    await connection.execute(SQL["meta.begin_life"], (database,))
                return str(database), int(seq)
            except psycopg.Error as error:
                raise DatabaseUnusableError(why_not(address, error, "used")) from None
    except psycopg.Error as error:
        raise DatabaseUnusableError(why_unreachable(address, error)) from None
