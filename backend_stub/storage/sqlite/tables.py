"""The tables in SQLite, and how what is written for every engine runs here: it waits for nothing but the disk."""

import sqlite3
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from backend_stub.storage.statements import read_statements
from backend_stub.storage.tables import Row, WhyUnchanged
from foundry_tui.contract.codec import encode

SQL = read_statements(Path(__file__).with_name("sql"))
# A list of words is one value: a JSON array.
sqlite3.register_adapter(list, encode)

P = ParamSpec("P")
T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to its end, in this thread, what is done with `SqliteTables` alone."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise RuntimeError("it waits for something else than the database")


class SqliteTables:
    """See `Tables`: a connection in a transaction, for one thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute

    async def fetch(self, name: str, *values: object) -> Sequence[Row]:
        return self._run(name, values).fetchall()

    async def change(self, name: str, *values: object) -> int:
        return self._run(name, values).rowcount

    async def do(self, name: str, *values: object) -> None:
        self._run(name, values)

    async def must_change(self, why: WhyUnchanged, name: str, *values: object) -> None:
        if not self._run(name, values).rowcount:
            raise await why()

    async def settle(self) -> None:
        pass

    async def compute(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return work(*args, **kwargs)

    def _run(self, name: str, values: Sequence[object]) -> sqlite3.Cursor:
        return self._execute(SQL[name], values)
