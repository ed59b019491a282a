"""The tables in PostgreSQL: statements go out one after the other, and are waited for when their answer matters."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import compress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import anyio.to_thread
from psycopg import AsyncConnection, AsyncCursor

from backend_stub.storage.statements import read_statements
from backend_stub.storage.tables import Query, Row, WhyUnchanged

SQL = {
    name: statement.replace("%", "%%").replace("?", "%s").encode()
    for name, statement in read_statements(Path(__file__).with_name("sql")).items()
}

NOTHING: Mapping[Query, Sequence[Row]] = {}
TOGETHER = 16
"""Statements that are sent as one, at most."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class _Written:
    """A statement that waits to be sent, or whose answer is not known yet."""

    name: str
    values: Sequence[object]
    why: WhyUnchanged | None


class PostgresTables:
    """See `Tables`: a connection in a transaction, and in a pipeline if more than one thing is done there.

    `read` has answers that came with the beginning of the transaction: they hold until something is written. Statements
    that write into different tables go out as one.

    With `strict` no answer is waited for. A statement that must change something and does not is then an error of the
    database, which ends the whole transaction. Raises `psycopg.Error`.
    """

    def __init__(
        self, connection: AsyncConnection, read: Mapping[Query, Sequence[Row]] = NOTHING, *, strict: bool = False
    ) -> None:
        self._connection = connection
        self._read = dict(read)
        self._strict = strict
        self._written: list[_Written] = []
        self._unsure: list[tuple[AsyncCursor[Row], Sequence[_Written]]] = []

    async def fetch(self, name: str, *values: object) -> Sequence[Row]:
        if (known := self._read.pop(Query(name, values), None)) is not None:
            return known
        await self._send()
        return await (await self._run(SQL[name], values)).fetchall()

    async def change(self, name: str, *values: object) -> int:
        await self._send()
        rows = await (await self._run(_together((name,), None), values)).fetchall()
        return int(rows[0][0])

    async def do(self, name: str, *values: object) -> None:
        await self._write(_Written(name, values, None))

    async def must_change(self, why: WhyUnchanged, name: str, *values: object) -> None:
        await self._write(_Written(name, values, why))

    async def settle(self) -> None:
        await self._send()
        unsure, self._unsure = self._unsure, []
        for cursor, written in unsure:
            (counts,) = await cursor.fetchall()
            for count, each in zip(counts, written, strict=True):
                if not count and each.why is not None:
                    raise await each.why()

    async def compute(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await anyio.to_thread.run_sync(partial(work, *args, **kwargs))

    async def _write(self, written: _Written) -> None:
        self._read.clear()
        if len(self._written) == TOGETHER or not all(_can_join(each.name, written.name) for each in self._written):
            await self._send()
        self._written.append(written)

    async def _send(self) -> None:
        """Have what waits executed, without waiting for it."""
        written, self._written = self._written, []
        if written:
            must_change = tuple(each.why is not None for each in written) if self._strict else None
            statement = _together(tuple(each.name for each in written), must_change)
            cursor = await self._run(statement, [value for each in written for value in each.values])
            if not self._strict:
                self._unsure.append((cursor, written))

    async def _run(self, statement: bytes, values: Sequence[Any]) -> AsyncCursor[Row]:
        return await self._connection.execute(statement, values, binary=True)


class MoreStatementsNeededError(Exception):
    """The change cannot be made by one statement: something has to be read, or waited for, first."""


class OneStatement:
    """See `Tables`: what is written is gathered and sent as one statement. That fails, whole, where a part that must
    change a row changes none.

    `known` gives rows that are known without reading. Raises `MoreStatementsNeededError`.
    """

    def __init__(self, known: Callable[[Query], Sequence[Row] | None]) -> None:
        self._known = known
        self._written: list[tuple[str, Sequence[object], bool]] = []

    async def fetch(self, name: str, *values: object) -> Sequence[Row]:
        rows = self._known(Query(name, values))
        if rows is None or self._written:
            raise MoreStatementsNeededError
        return rows

    async def change(self, name: str, *values: object) -> int:
        raise MoreStatementsNeededError

    async def do(self, name: str, *values: object) -> None:
        self.add(name, values)

    async def must_change(self, why: WhyUnchanged, name: str, *values: object) -> None:
        self.add(name, values, must_change=True)

    async def settle(self) -> None:
        raise MoreStatementsNeededError

    async def compute(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        raise MoreStatementsNeededError

    def add(self, name: str, values: Sequence[object], *, must_change: bool = False, first: bool = False) -> None:
        """Have this be done with the rest, or before it."""
        if len(self._written) == TOGETHER or not all(_can_join(other, name) for other, *_ in self._written):
            raise MoreStatementsNeededError
        self._written.insert(0 if first else len(self._written), (name, values, must_change))

    async def send(self, connection: AsyncConnection) -> None:
        """Have it done, and committed. Raises `psycopg.Error`."""
        names, given, must_change = zip(*self._written, strict=True)
        await connection.execute(
            _together(names, must_change), [each for values in given for each in values], binary=True
        )


@cache
def _can_join(first: str, second: str) -> bool:
    """Whether two statements can be parts of one, which sees nothing of what its other parts write.

    In one table that holds for rows that are added for the first time, no matter what is there.
    """
    if first.partition(".")[0] != second.partition(".")[0]:
        return True
    return all(SQL[name].startswith(b"INSERT") and b"ON CONFLICT" not in SQL[name] for name in (first, second))


@cache
def _together(names: Sequence[str], must_change: Sequence[bool] | None) -> bytes:
    """One statement that does these, and gives how many rows each changed; or fails where one must and has not."""
    parts = []
    for number, name in enumerate(names):
        statement = SQL[name].rstrip(b";")
        gives_rows = b"RETURNING" in statement or statement.startswith(b"SELECT")
        returning = b"" if gives_rows else b" RETURNING 1"
        parts.append(b"part%d AS (%b%b)" % (number, statement, returning))
    counts = [b"(SELECT count(*) FROM part%d)" % number for number in range(len(names))]
    told = b", ".join(counts)
    if must_change is not None:
        told = b"1 / least(1, %b)" % b", ".join(compress(counts, must_change)) if any(must_change) else b"1"
    return b"WITH %b SELECT %b" % (b", ".join(parts), told)
