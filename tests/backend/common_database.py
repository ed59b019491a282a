"""Backends that have one database in PostgreSQL in common, as processes of several machines have."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection as Connection

from foundry_tui.contract.events import EventName, TopicKind
from tests.backend.engines import Database, Postgres
from tests.postgres import PostgresServer, name_of
from tests.waiting import seen_at_last


class Backends:
    """Backends on one database, each with a folder of its own."""

    def __init__(self, folder: Path, url: str, server: PostgresServer) -> None:
        self.url = url
        self.name = name_of(url)
        self.server = server
        self._folder = folder

    def one(self, name: str, url: str | None = None) -> Database:
        """One that reaches the database by this URL, if it is another."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        return Database(Postgres(folder, url or self.url, self.server))

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        return self.server.execute(statement, self.name)

    async def connection(self, application: str) -> Connection:
        return await Connection.connect(self.url, autocommit=True, application_name=application)

    @asynccontextmanager
    async def lock(self, take: bytes = b"SELECT seq FROM foundry.meta FOR UPDATE") -> AsyncIterator[Connection]:
        """Keep everybody from committing, as one does who commits; or from what else is taken."""
        async with await Connection.connect(self.url, autocommit=True) as connection:
            await connection.execute("BEGIN")
            await connection.execute(take)
            yield connection

    async def waiting(self) -> int:
        """The process of PostgreSQL that waits for whoever commits, once there is one."""
        asked = f"SELECT pid FROM pg_stat_activity WHERE datname = '{self.name}' AND wait_event_type = 'Lock'"
        return int((await seen_at_last(partial(self.server.execute, asked)))[0][0])


def told(database: Database) -> list[tuple[int, EventName, bytes]]:
    return [(event.seq, event.name, event.data(TopicKind.TASK)) for event in database.told]
