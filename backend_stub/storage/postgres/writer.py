"""Writes changes through one connection; what waits shares a commit."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
import psycopg
from psycopg import AsyncConnection, AsyncPipeline, errors

from backend_stub.domain.errors import OutcomeUnknownError, StorageUnavailableError
from backend_stub.domain.events import Event
from backend_stub.storage.postgres.address import Address
from backend_stub.storage.postgres.connections import answered, connect, connected, is_heard
from backend_stub.storage.postgres.event_rows import MayShorten, rows_of
from backend_stub.storage.postgres.log import Log, Own
from backend_stub.storage.postgres.one_statement import OneStatementCommits, is_kept
from backend_stub.storage.postgres.reasons import why_not, why_unreachable
from backend_stub.storage.postgres.tables import SQL, PostgresTables
from backend_stub.storage.table_storage import Job
from backend_stub.storage.tables import Query, Row
from backend_stub.storage.writing import Transaction

logger = logging.getLogger(__name__)

GATHER = 256
"""Changes that one commit takes at most."""
SETTLE_SECONDS = 5.0
"""How long the writer tries to find out what became of a commit whose connection was lost."""
WATCH_SECONDS = 1.0
"""How often, while this host waits for its turn to commit, it looks whether another host stands still in a commit."""
STILL_SECONDS = 0.8
"""How long a host may stand still in its commit, which keeps all others from theirs, before it is cut off."""
TURN_SECONDS = 8.0
"""How long this host waits for its turn, while others commit."""
TRIES = 4
"""How often a commit is tried that others cut off because this host stood still: it may do so more than once."""
COMMIT_SECONDS = 10.0
"""How long PostgreSQL may take until it is this host's turn, and as long again for the commit."""


Fence = Callable[[], tuple[str, int] | None]
"""The id and the lease of the host that writes, which must be its latest; None: there are no hosts."""


@dataclass
class _Waiting:
    """A job with what it reads first, and what became of it once that is `known`."""

    job: Job
    first: Query | None
    known: anyio.Event = field(default_factory=anyio.Event)
    result: Any = None
    error: Exception | None = None


@dataclass(frozen=True)
class _Begun:
    """An open transaction that nobody else can commit beside: the last seq, its own id, rows read at its beginning."""

    connection: AsyncConnection
    seq: int
    xid: str
    read: Mapping[Query, Sequence[Row]]


@dataclass(frozen=True)
class _Refusal:
    """Why a commit could not be made; with `unknown`, it may have been all the same."""

    why: str
    unknown: bool = False


class Writer:
    """Commits jobs as long as it runs. `life` names the database; one of another name is not written to."""

    def __init__(self, address: Address, log: Log, life: str, fence: Fence, may_shorten: MayShorten) -> None:
        self.refusal: _Refusal | None = None
        """Why the last commit could not be made."""
        self._address = address
        self._log = log
        self._life = life
        self._fence = fence
        self._may_shorten = may_shorten
        self._connection: AsyncConnection | None = None
        self._waits_since: float | None = None
        """Since when this host waits for its turn to commit."""
        self.one_statement = OneStatementCommits(log, life, may_shorten)
        self._waiting: deque[_Waiting] = deque()
        self._news = anyio.Event()
        self._closed = False
        self._finished = anyio.Event()

    async def submit(self, job: Job, first: Query | None) -> Any:
        """See `TableStorage.submit`."""
        if self._closed:
            raise StorageUnavailableError("the backend is shutting down")
        waiting = _Waiting(job, first)
        self._waiting.append(waiting)
        self._news.set()
        await waiting.known.wait()
        if waiting.error is not None:
            raise waiting.error
        return waiting.result

    def refuse(self) -> None:
        """Take no more jobs."""
        self._closed = True
        self._news.set()

    async def finish(self) -> None:
        """Wait until what waits is committed, now that nothing more comes."""
        await self._finished.wait()

    async def run(self) -> None:
        """Until nothing waits and nothing more is taken."""
        try:
            while not (self._closed and not self._waiting):
                await self._news.wait()
                self._news = anyio.Event()
                while self._waiting:
                    batch = [self._waiting.popleft() for _ in range(min(GATHER, len(self._waiting)))]
                    await self._write(batch)
        finally:
            self._finished.set()
            await self._hang_up()

    async def watch(self) -> None:
        """While this host waits for its turn to commit, cut off a host that stands still in its own; until cancelled.

        This host keeps its place among those that wait.
        """
        while True:
            await anyio.sleep(WATCH_SECONDS)
            if self._waits_since is None or time.monotonic() - self._waits_since < WATCH_SECONDS:
                continue
            try:
                with answered(self._address, TURN_SECONDS):
                    async with connected(self._address) as connection:
                        await connection.execute(SQL["meta.free"], (STILL_SECONDS,))
            except (psycopg.Error, StorageUnavailableError) as error:
                logger.info("who keeps this host from its turn cannot be looked at: %s", error)

    @contextmanager
    def _waiting_for_turn(self) -> Iterator[None]:
        self._waits_since = time.monotonic()
        try:
            yield
        finally:
            self._waits_since = None

    async def _write(self, batch: Sequence[_Waiting]) -> None:
        try:
            alone = len(batch) == 1
            if not (alone and await self._commit_in_one_statement(batch[0])):
                self.refusal = await self._commit(batch, carefully=not alone)
        except BaseException:
            self.refusal = _Refusal("the backend is shutting down", unknown=True)
            raise
        finally:
            for waiting in batch:
                if self.refusal is not None:
                    kind = OutcomeUnknownError if self.refusal.unknown else StorageUnavailableError
                    waiting.error = kind(self.refusal.why)
                waiting.known.set()

    async def _commit_in_one_statement(self, waiting: _Waiting) -> bool:
        """Whether this settled the change: it was committed, or refused, or its outcome cannot be known.

        Else nothing was done, and the change has to be committed the usual way.
        """
        connection = self._connection
        if connection is None:
            return False
        with self._log.trying_to_commit():
            prepared = await self.one_statement.prepare(waiting.job, waiting.first, self._fence())
            if prepared is None or not is_heard(connection):
                return False
            self.refusal, waiting.result = None, prepared.result
            try:
                with answered(self._address, COMMIT_SECONDS), self._waiting_for_turn():
                    await prepared.statement.send(connection)
            except errors.LockNotAvailable as error:
                self.refusal = _Refusal(why_not(self._address, error, "written"))
                return True
            except psycopg.Error:
                if not connection.broken:
                    self.one_statement.alone = False
                    return False
                await self._hang_up()
            except StorageUnavailableError:
                await self._hang_up()
            else:
                self._log.committed(prepared.own)
                return True
            try:
                with answered(self._address, SETTLE_SECONDS):
                    begun = await self._begin(None)
                    if isinstance(begun, _Begun) and not await prepared.was_committed(begun.connection):
                        return False
            except (psycopg.Error, StorageUnavailableError) as error:
                why = why_unreachable(self._address, error) if isinstance(error, psycopg.Error) else str(error)
                self.refusal = _Refusal(why, unknown=True)
            else:
                if isinstance(begun, _Refusal):
                    self.refusal = _Refusal(begun.why, unknown=True)
                else:
                    self._log.committed(prepared.own)
            finally:
                await self._hang_up()
        return True

    async def _commit(self, batch: Sequence[_Waiting], *, carefully: bool, tries: int = TRIES) -> _Refusal | None:
        """Commit these changes together; None, or why the commit could not be made.

        `carefully`, a change that is refused has the others committed without it. Else, for a single change only, its
        statements go out together with the COMMIT, and no answer is waited for before; if the database refuses one of
        them, all is done again carefully. A commit that is cut off is made `tries` times at most.
        """
        started = time.perf_counter()
        try:
            with answered(self._address, COMMIT_SECONDS):
                begun = await self._begin(batch[0].first if len(batch) == 1 else None)
        except psycopg.Error as error:
            await self._hang_up()
            why = why_not(self._address, error, "written") if error.sqlstate else why_unreachable(self._address, error)
            return _Refusal(why)
        except StorageUnavailableError as error:
            await self._hang_up()
            return _Refusal(str(error))
        if isinstance(begun, _Refusal):
            await self._hang_up()
            return begun
        self.one_statement.alone = begun.seq == self._log.seq
        connection, own, sent = begun.connection, None, False
        try:
            with answered(self._address, COMMIT_SECONDS):
                async with connection.pipeline() as pipeline:
                    events = await self._do(batch, begun, pipeline, carefully)
                    if events:
                        own = Own(events, started)
                        self._log.expect(own)
                        if carefully:
                            await connection.execute(SQL["meta.tell"], (own.last,))
                    sent = True
                    await connection.execute("COMMIT")
        except psycopg.Error as error:
            if not (carefully or connection.broken or isinstance(error, psycopg.OperationalError)):
                if own is not None:
                    self._log.forget(own)
                # psycopg takes for prepared what it sent behind the refusal, and was not executed.
                await self._hang_up()
                return await self._commit(batch, carefully=True, tries=tries)
            why, again = why_not(self._address, error, "written"), tries > 1 and connection.broken
        except StorageUnavailableError as error:
            why, again = str(error), False
        else:
            if own is not None:
                self._log.committed(own)
            return None
        await self._hang_up()
        outcome = await self._was_committed(begun.xid, own) if sent else False
        if own is not None:
            (self._log.committed if outcome else self._log.forget)(own)
        if outcome is False and again:
            return await self._commit(batch, carefully=carefully, tries=tries - 1)
        return None if outcome else _Refusal(why, unknown=outcome is None)

    async def _begin(self, first: Query | None) -> _Begun | _Refusal:
        """A transaction that nobody else commits beside; or why this host may not write."""
        while True:
            if self._connection is None:
                self._connection = await connect(self._address)
                await self._connection.execute(f"SET lock_timeout = '{TURN_SECONDS}s'".encode())
            try:
                with self._waiting_for_turn():
                    return await self._take(self._connection, first)
            except psycopg.Error:
                if not self._connection.broken:
                    raise
                # It was cut before anything was done with it.
                await self._hang_up()

    async def _take(self, connection: AsyncConnection, first: Query | None) -> _Begun | _Refusal:
        # Taken before anything is asked: others may commit meanwhile, if they cut this host off for standing still.
        lease, told = self._fence(), self._log.seq
        async with connection.pipeline():
            await connection.execute("BEGIN")
            taken = await connection.execute(SQL["meta.take"])
            # Whoever holds it is not taken for lost before the commit is over.
            latest = None if lease is None else await connection.execute(SQL["hosts.is_latest"], lease)
            read = None if first is None else await connection.execute(SQL[first.name], first.values, binary=True)
        row = await taken.fetchone()
        if row is None or row[0] != self._life or row[1] < told:
            return _Refusal(f"the database {self._address.shown} was replaced by another one: restart this backend")
        if latest is not None and await latest.fetchone() is None:
            return _Refusal("this host was thought lost: it goes on once it has looked what became of its tasks")
        known = {} if first is None or read is None else {first: await read.fetchall()}
        return _Begun(connection, row[1], row[2], known)

    async def _do(
        self,
        batch: Sequence[_Waiting],
        begun: _Begun,
        pipeline: AsyncPipeline,
        carefully: bool,
    ) -> Sequence[Event]:
        """Do the jobs in the open transaction, noting result or error of each; the events of those without an error."""
        connection, seq = begun.connection, begun.seq
        events: list[Event] = []
        shared = len(batch) > 1
        for waiting in batch:
            waiting.error = None
            transaction = Transaction(PostgresTables(connection, begun.read, strict=not carefully), seq)
            if shared:
                await connection.execute("SAVEPOINT change")
            try:
                waiting.result = await waiting.job(transaction)
                if transaction.events:
                    await transaction.tables.do(
                        "events.add", *rows_of(transaction.events, may_shorten=self._may_shorten())
                    )
                    if not carefully:
                        await transaction.tables.do("meta.tell", transaction.seq)
                await transaction.tables.settle()
            except Exception as refusal:
                unknown = psycopg.OperationalError if carefully else psycopg.Error
                if connection.broken or isinstance(refusal, unknown):
                    raise
                waiting.error = refusal
                with suppress(psycopg.Error):
                    # After an error nothing is executed up to here.
                    await pipeline.sync()
                await connection.execute("ROLLBACK TO SAVEPOINT change" if shared else "ROLLBACK AND CHAIN")
            else:
                seq = transaction.seq
                events += transaction.events
            if shared:
                await connection.execute("RELEASE SAVEPOINT change")
        return events

    async def _was_committed(self, xid: str, own: Own | None) -> bool | None:
        """What became of a transaction that has these events; None when that cannot be found out.

        A server that crashed gives the name of one that it has lost to another.
        """
        with anyio.move_on_after(SETTLE_SECONDS):
            while True:
                try:
                    async with connected(self._address) as connection:
                        cursor = await connection.execute(SQL["meta.outcome"], (xid,))
                        row = await cursor.fetchone()
                        if own is not None and row == ("committed",):
                            # It may have been written in the short form or whole: hosts come and go.
                            forms = [await is_kept(own, connection, may_shorten=each) for each in (True, False)]
                            return any(forms)
                except psycopg.Error:
                    row = ("in progress",)
                if row is None or row[0] is None:
                    return None
                if row[0] != "in progress":
                    return str(row[0]) == "committed"
                await anyio.sleep(0.1)
        return None

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with anyio.CancelScope(shield=True):
                await connection.close()
