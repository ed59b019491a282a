"""The tables in PostgreSQL: statements go out one after the other, and are waited for when their answer matters."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import anyio.to_thread
from psycopg import AsyncConnection, AsyncCursor, AsyncPipeline

from backend_stub.storage.statements import read_statements
from backend_stub.storage.tables import Refusal, Row

SQL = {
    name: statement.replace("%", "%%").replace("?", "%s").encode()
    for name, statement in read_statements(Path(__file__).with_name("sql")).items()
}

P = ParamSpec("P")
T = TypeVar("T")


class PostgresTables:
    """See `Tables`: a connection in a transaction, and in this pipeline if more than one thing is done there.

    Raises `psycopg.Error`.
    """

    def __init__(self, connection: AsyncConnection, pipeline: AsyncPipeline | None = None) -> None:
        self._connection = connection
        self._pipeline = pipeline
        self._is_settled = True
        self._unsure: list[tuple[AsyncCursor[Row], Refusal]] = []

    async def fetch(self, name: str, *values: object) -> Sequence[Row]:
        return await (await self._run(name, values)).fetchall()

    async def change(self, name: str, *values: object) -> int:
        cursor = await self._run(name, values)
        await self._sync()
        return cursor.rowcount

    async def do(self, name: str, *values: object) -> None:
        self._is_settled = False
        await self._run(name, values)

    async def must_change(self, refusal: Refusal, name: str, *values: object) -> None:
        self._is_settled = False
        self._unsure.append((await self._run(name, values), refusal))

    async def settle(self) -> None:
        if not self._is_settled:
            await self._sync()
        unsure, self._unsure = self._unsure, []
        for cursor, refusal in unsure:
            if not cursor.rowcount:
                raise await refusal()

    async def _sync(self) -> None:
        if self._pipeline is not None:
            await self._pipeline.sync()
        self._is_settled = True

    async def apart(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await anyio.to_thread.run_sync(partial(work, *args, **kwargs))

    async def _run(self, name: str, values: Sequence[Any]) -> AsyncCursor[Row]:
        return await self._connection.execute(SQL[name], values, binary=True)
