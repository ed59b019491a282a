"""Copies a whole database into an empty one, whichever engine either has, and checks what has come to be there."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct

from backend_stub.domain.errors import DatabaseUnusableError
from backend_stub.storage.tables import Row
from backend_stub.storage.writing import OF_A_TASK

TABLES = ("repos", "pruned", "leftovers", *OF_A_TASK)
"""All but what an engine or a host keeps for itself."""
ORDERED = frozenset({"sessions", "prompts"})
"""The tables whose rows have numbers that only say which was first."""
_MODULUS = 1 << 256


class TableDigest(Struct, frozen=True):
    """What a table holds: its rows, and what stands for all that is in them, in whatever order they come."""

    rows: int
    digest: str


class Side(Protocol):
    """A database that is copied from or to, in one transaction. `shown` names it without its password."""

    shown: str

    async def columns(self, table: str) -> Sequence[str]:
        """Those that a row is made of, but for a number that only says which row was first."""
        ...

    def rows(self, table: str, columns: Sequence[str]) -> AsyncIterator[Row]:
        """All rows, in the order in which they were made where that matters."""
        ...

    async def write(self, table: str, columns: Sequence[str], rows: AsyncIterator[Row]) -> None: ...

    async def counters(self) -> tuple[int, int]:
        """The seq of the last commit, and how many tasks have ended."""
        ...

    async def set_counters(self, seq: int, ended: int) -> None: ...


async def copy(source: Side, target: Side) -> dict[str, TableDigest]:
    """Copy all rows; what each table holds then, on both sides. Whoever opened the target commits it.

    Raises `DatabaseUnusableError` when the target is not empty, or does not hold afterwards what the source holds.
    """
    seq, ended = await source.counters()
    if (await target.counters())[0]:
        raise DatabaseUnusableError(f"the database {target.shown} is not empty: name a new one, nothing was copied")
    copied: dict[str, TableDigest] = {}
    for table in TABLES:
        columns = sorted(await source.columns(table))
        if columns != sorted(await target.columns(table)):
            raise DatabaseUnusableError(f"{source.shown} and {target.shown} lay out {table} differently")
        await target.write(table, columns, source.rows(table, columns))
        copied[table] = await _digest(source, table, columns)
        if copied[table] != await _digest(target, table, columns):
            raise DatabaseUnusableError(f"{table} in {target.shown} is not what it is in {source.shown}")
    await target.set_counters(seq, ended)
    if await target.counters() != (seq, ended):
        raise DatabaseUnusableError(f"what {target.shown} counts is not what {source.shown} counts")
    return copied


async def _digest(side: Side, table: str, columns: Sequence[str]) -> TableDigest:
    rows, total = 0, 0
    encode = msgspec.msgpack.Encoder().encode
    async for row in side.rows(table, columns):
        rows += 1
        total += int.from_bytes(hashlib.sha256(encode(row)).digest())
    return TableDigest(rows, f"{total % _MODULUS:064x}")
