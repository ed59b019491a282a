"""Connections to PostgreSQL: how each is set, what the server must be, and what reads from a pool of them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

import anyio
import msgspec
import psycopg
from psycopg import AsyncConnection, IsolationLevel
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from backend_stub.domain.errors import DatabaseUnusableError, StorageUnavailableError
from backend_stub.storage import reading
from backend_stub.storage.postgres import texts
from backend_stub.storage.postgres.address import Address
from backend_stub.storage.postgres.migration import SCHEMA
from backend_stub.storage.postgres.reasons import why_not, why_silent, why_unreachable
from backend_stub.storage.postgres.tables import PostgresTables
from backend_stub.storage.tables import Tables

OLDEST = 140_000
"""Version of PostgreSQL, as it counts them."""
AT_ONCE = 8
"""Connections that read at once."""
_PATIENCE = 0.7
"""Seconds after which it is looked why there is no connection to read with."""
_BUSY_SECONDS = 10.0
"""How long is waited for one that others use."""
ANSWER_SECONDS = 15.0
"""How long PostgreSQL may take for what is asked of it, all in all."""
STILL_SECONDS = 0.5
"""However long this process stands still, no more than this of that time is taken to have gone by."""
_SETTINGS = f"""
    SET search_path = {SCHEMA};
    SET idle_in_transaction_session_timeout = '5s';
    SET lock_timeout = '10s';
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""
"""A process that is frozen in a transaction keeps no other one waiting, and what is answered is durable."""

P = ParamSpec("P")
T = TypeVar("T")

# What it cannot do is told by whoever asked it; that what waits is ended at the end is no news.
logging.getLogger("psycopg").setLevel(logging.ERROR)


async def connect(address: Address) -> AsyncConnection:
    """A connection of its own; raises `psycopg.Error`."""
    connection = await AsyncConnection.connect(**address.parameters, autocommit=True)
    try:
        await prepare_connection(connection)
    except BaseException:
        await connection.close()
        raise
    return connection


@asynccontextmanager
async def connected(address: Address) -> AsyncIterator[AsyncConnection]:
    """The same, closed at the end."""
    connection = await connect(address)
    try:
        yield connection
    finally:
        await connection.close()


async def check_reachable(address: Address) -> None:
    """For who got no connection in time: raises `StorageUnavailableError` with the reason if there can be none."""
    try:
        async with connected(address):
            pass
    except psycopg.Error as error:
        raise StorageUnavailableError(why_unreachable(address, error)) from error


def is_heard(connection: AsyncConnection) -> bool:
    """Whether the server still hears what is sent: of the end of a connection it tells, and then it ends it."""
    try:
        for _ in range(2):
            connection.pgconn.consume_input()
    except psycopg.Error:
        return False
    return True


@contextmanager
def answered(address: Address, seconds: float = ANSWER_SECONDS) -> Iterator[None]:
    """What is asked of PostgreSQL in here is answered within this time, or given up, with the connections that it was
    asked over; raises `StorageUnavailableError` then.

    Time in which this process stood still is none: it could not hear an answer.
    """
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle | None = None

    def wait(left: float) -> None:
        nonlocal timer
        if left > 0:
            timer = loop.call_later(min(left, STILL_SECONDS), wait, left - STILL_SECONDS)
        else:
            scope.cancel()

    with anyio.CancelScope() as scope:
        wait(seconds)
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()
    if scope.cancelled_caught:
        raise StorageUnavailableError(why_silent(address))


async def prepare_connection(connection: AsyncConnection) -> None:
    """Give a connection the settings that each of ours has; raises `psycopg.Error`."""
    texts.adapt(connection)
    await connection.execute(_SETTINGS.encode())


def pool_of(
    address: Address, configure: Callable[[AsyncConnection], Awaitable[None]], at_once: int, patience: float
) -> AsyncConnectionPool[AsyncConnection]:
    """Connections in common, `at_once` at most, to be opened; one is waited for `patience` seconds."""
    return AsyncConnectionPool(
        kwargs={**address.parameters, "autocommit": True},
        configure=configure,
        min_size=1,
        max_size=at_once,
        timeout=patience,
        # Whoever asks next has it try again.
        reconnect_timeout=0,
        open=False,
    )


async def give_back(pool: AsyncConnectionPool[AsyncConnection], connection: AsyncConnection) -> None:
    """Whatever becomes of who had it: one that is not given back is one less for ever."""
    with anyio.CancelScope(shield=True):
        await pool.putconn(connection)


async def check_server(connection: AsyncConnection, address: Address) -> None:
    """See to it that the server can do what is needed.

    Raises `DatabaseUnusableError`, `psycopg.Error`.
    """
    info = connection.info
    if info.server_version < OLDEST:
        raise DatabaseUnusableError(
            f"the database {address.shown} is PostgreSQL {_version(info.server_version)}, which is too old: "
            f"it must be {_version(OLDEST)} or newer"
        )
    if info.parameter_status("server_encoding") != "UTF8":
        raise DatabaseUnusableError(
            f"the database {address.shown} has the encoding {info.parameter_status('server_encoding')}: make one that "
            "can hold every text (createdb --encoding UTF8 --template template0)"
        )
    if await _is_pooled(connection, address):
        raise DatabaseUnusableError(
            f"the database {address.shown} is reached through a pooler that gives each transaction another connection "
            "(as PgBouncer does with pool_mode = transaction), so that nothing could be told of changes: name the "
            "server itself, or have this database pooled with pool_mode = session"
        )


async def _is_pooled(connection: AsyncConnection, address: Address) -> bool:
    """Whether something is in between that gives a connection to another client after each transaction."""
    if connection.info.backend_pid == await _pid(connection):
        return False
    # Whatever is in between has a name of its own for this connection. Does another client get the same one?
    async with connected(address) as other:
        seen: set[tuple[int, int]] = {(await _pid(connection), await _pid(other)) for _ in range(3)}
    return len(seen) > 1 or any(first == second for first, second in seen)


async def _pid(connection: AsyncConnection) -> int:
    row = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
    return 0 if row is None else int(row[0])


def _version(number: int) -> str:
    return str(number // 10_000)


class Readers:
    """Reads in transactions, several at once. Open it inside an event loop."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._pool = pool_of(address, _for_reading, AT_ONCE, _PATIENCE)

    async def open(self) -> None:
        await self._pool.open()

    async def close(self) -> None:
        await self._pool.close()

    async def read(
        self, read: Callable[Concatenate[Tables, P], Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `read` in one transaction that sees what is committed now; raises `StorageUnavailableError`."""
        # Each connection that was cut meanwhile is met at most once.
        for _ in range(AT_ONCE + 1):
            connection = await self._take()
            try:
                with answered(self._address):
                    if read in reading.OF_ONE_STATEMENT:
                        return await read(PostgresTables(connection), *args, **kwargs)
                    async with connection.pipeline(), connection.transaction():
                        return await read(PostgresTables(connection), *args, **kwargs)
            except psycopg.Error as error:
                failure = error
                if not connection.broken:
                    break
            except msgspec.DecodeError as error:
                raise StorageUnavailableError(
                    f"the database {self._address.shown} is damaged, a row cannot be read ({error}): restore a copy"
                ) from error
            finally:
                await give_back(self._pool, connection)
        raise StorageUnavailableError(why_not(self._address, failure, "read")) from failure

    async def _take(self) -> AsyncConnection:
        try:
            return await self._pool.getconn()
        except PoolClosed:
            raise StorageUnavailableError("the backend is shutting down") from None
        except PoolTimeout:
            await check_reachable(self._address)
        try:
            return await self._pool.getconn(_BUSY_SECONDS)
        except (PoolTimeout, PoolClosed):
            raise StorageUnavailableError(f"the database {self._address.shown} has too much to do") from None


async def _for_reading(connection: AsyncConnection) -> None:
    await prepare_connection(connection)
    await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    await connection.set_read_only(True)
