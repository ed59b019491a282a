"""Statements that are no part of the writer's commits, each a transaction of its own, over a few connections."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from backend_stub.domain.errors import StorageUnavailableError
from backend_stub.storage.postgres.address import Address
from backend_stub.storage.postgres.connections import answered, check_reachable, give_back, pool_of, prepare_connection
from backend_stub.storage.postgres.reasons import why_not
from backend_stub.storage.postgres.tables import SQL
from backend_stub.storage.tables import Row

AT_ONCE = 4
"""Connections at most."""
PATIENCE = 2.0
"""Seconds that a connection is waited for."""


class SingleStatements:
    """Executes statements that need no transaction with others. Every method raises `StorageUnavailableError`."""

    def __init__(self, address: Address, pool: AsyncConnectionPool[AsyncConnection]) -> None:
        self._address = address
        self._pool = pool

    async def fetch(self, name: str, *values: object) -> Sequence[Row]:
        """What the statement gives. Where the connection is cut it is sent again, so it must bear being done twice."""
        return await (await self._run(name, values)).fetchall()

    async def change(self, name: str, *values: object) -> int:
        """How many rows it changed; see `fetch`."""
        return (await self._run(name, values)).rowcount

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["SingleStatements"]:
        """Several statements that are done together, once."""
        async with self._connection() as connection:
            try:
                with answered(self._address):
                    async with connection.transaction():
                        yield _Together(self._address, connection)
            except psycopg.Error as error:
                raise StorageUnavailableError(why_not(self._address, error, "used")) from error

    async def _run(self, name: str, values: Sequence[object]) -> AsyncCursor[Row]:
        # Each connection that was cut meanwhile is met at most once.
        for _ in range(AT_ONCE + 1):
            async with self._connection() as connection:
                try:
                    with answered(self._address):
                        return await connection.execute(SQL[name], values, binary=True)
                except psycopg.Error as error:
                    failure = error
                    if not connection.broken:
                        break
        raise StorageUnavailableError(why_not(self._address, failure, "used")) from failure

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        try:
            connection = await self._pool.getconn()
        except PoolClosed:
            raise StorageUnavailableError("the backend is shutting down") from None
        except PoolTimeout:
            await check_reachable(self._address)
            raise StorageUnavailableError(f"the database {self._address.shown} has too much to do") from None
        try:
            yield connection
        finally:
            await give_back(self._pool, connection)


class _Together(SingleStatements):
    """Statements in one open transaction."""

    def __init__(self, address: Address, connection: AsyncConnection) -> None:
        self._address = address
        self._open = connection

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        yield self._open


@asynccontextmanager
async def open_statements(address: Address) -> AsyncIterator[SingleStatements]:
    """Statements for this database; their connections are closed at the end."""
    async with pool_of(address, prepare_connection, AT_ONCE, PATIENCE) as pool:
        yield SingleStatements(address, pool)
