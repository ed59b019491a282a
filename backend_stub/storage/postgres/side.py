"""A database in PostgreSQL that is copied from or to."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psycopg
from psycopg import AsyncConnection, IsolationLevel, sql

from backend_stub.domain.errors import DatabaseUnusableError
from backend_stub.storage.copying import ORDERED
from backend_stub.storage.postgres.address import Address, parse_address
from backend_stub.storage.postgres.connections import check_server, connected
from backend_stub.storage.postgres.migration import SCHEMA, migrate
from backend_stub.storage.postgres.reasons import why_not, why_unreachable
from backend_stub.storage.postgres.tables import PostgresTables
from backend_stub.storage.tables import Row, fetch_known


class PostgresSide:
    """See `backend_stub.storage.copying.Side`."""

    def __init__(self, address: Address, connection: AsyncConnection) -> None:
        self.shown = address.shown
        self._connection = connection
        self._tables = PostgresTables(connection)

    async def columns(self, table: str) -> Sequence[str]:
        rows = await self._tables.fetch("meta.columns", SCHEMA, table)
        return [name for (name,) in rows]

    async def rows(self, table: str, columns: Sequence[str]) -> AsyncIterator[Row]:
        statement = sql.SQL("SELECT {} FROM {}").format(_names(columns), sql.Identifier(table))
        if table in ORDERED:
            statement += sql.SQL(" ORDER BY number")
        async with self._connection.cursor("rows", binary=True) as cursor:
            await cursor.execute(statement)
            async for row in cursor:
                yield row

    async def write(self, table: str, columns: Sequence[str], rows: AsyncIterator[Row]) -> None:
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), _names(columns))
        async with self._connection.cursor() as cursor, cursor.copy(statement) as copying:
            async for row in rows:
                await copying.write_row(row)

    async def counters(self) -> tuple[int, int]:
        (seq,) = await fetch_known(self._tables, "meta.seq")
        (ended,) = await fetch_known(self._tables, "meta.ended")
        return seq, ended

    async def set_counters(self, seq: int, ended: int) -> None:
        await self._tables.do("meta.set_seq", seq)
        await self._tables.do("meta.count_ended", ended)
        await self._tables.settle()


@asynccontextmanager
async def open_side(url: str) -> AsyncIterator[PostgresSide]:
    """The database as of one moment; what was written is kept when the block ends well.

    Raises `DatabaseUnusableError`.
    """
    address = parse_address(url)
    try:
        async with connected(address) as connection:
            try:
                await check_server(connection, address)
                await migrate(connection, address)
                await connection.execute("SET idle_in_transaction_session_timeout = 0")
                await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
                async with connection.transaction():
                    yield PostgresSide(address, connection)
            except psycopg.Error as error:
                raise DatabaseUnusableError(why_not(address, error, "copied")) from None
    except psycopg.Error as error:
        raise DatabaseUnusableError(why_unreachable(address, error)) from None


def _names(columns: Sequence[str]) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
