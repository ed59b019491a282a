"""A database in SQLite that is copied from or to."""

import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from backend_stub.domain.errors import DatabaseUnusableError
from backend_stub.storage.copying import ORDERED
from backend_stub.storage.sqlite.migration import migrate
from backend_stub.storage.sqlite.opening import FILE_NAME, connect, why_not
from backend_stub.storage.sqlite.tables import SQL
from backend_stub.storage.tables import Row


class SqliteSide:
    """See `backend_stub.storage.copying.Side`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.shown = str(path)
        self._connection = connection

    async def columns(self, table: str) -> Sequence[str]:
        names = [name for _, name, *_ in self._connection.execute(f"PRAGMA table_info({table})")]
        return [name for name in names if name != "number" or table not in ORDERED]

    async def rows(self, table: str, columns: Sequence[str]) -> AsyncIterator[Row]:
        order = " ORDER BY rowid" if table in ORDERED else ""
        for row in self._connection.execute(f"SELECT {', '.join(columns)} FROM {table}{order}"):
            yield row

    async def write(self, table: str, columns: Sequence[str], rows: AsyncIterator[Row]) -> None:
        places = ", ".join("?" * len(columns))
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"
        async for row in rows:
            self._connection.execute(statement, row)

    async def counters(self) -> tuple[int, int]:
        return self._number("meta.seq"), self._number("meta.ended")

    async def set_counters(self, seq: int, ended: int) -> None:
        self._connection.execute(SQL["meta.set_seq"], (str(seq),))
        self._connection.execute(SQL["meta.count_ended"], (ended,))

    def _number(self, name: str) -> int:
        return int(self._connection.execute(SQL[name]).fetchone()[0])


@contextmanager
def open_side(folder: Path, *, make: bool) -> Iterator[SqliteSide]:
    """The database in this data folder, which nobody else has; what was written is kept when the block ends well.

    Raises `DatabaseUnusableError`.
    """
    path = folder / FILE_NAME
    if not make and not path.exists():
        raise DatabaseUnusableError(f"there is no database {path}: name the data folder of a backend")
    try:
        with closing(connect(path, make=make)) as connection:
            migrate(path, connection)
            connection.execute("BEGIN IMMEDIATE")
            yield SqliteSide(path, connection)
            connection.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        raise DatabaseUnusableError(why_not(path, error, "copied")) from error
