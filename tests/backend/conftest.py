"""A backend in the test's own process, for each test that asks for one."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from backend_stub.domain.storage import Storage
from tests.backend.common_database import Backends
from tests.backend.engines import Database, Postgres, Sqlite
from tests.backend.in_process import InProcess
from tests.postgres import PostgresServer


@pytest.fixture
def place(tmp_path: Path) -> Iterator[InProcess]:
    """Where a backend in the test's own process stands."""
    with InProcess(tmp_path) as world:
        yield world


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """What a storage of each engine stands on."""
    if request.param == "sqlite":
        return Database(Sqlite(tmp_path))
    return Database(Postgres(tmp_path, request.getfixturevalue("postgres_url"), request.getfixturevalue("postgres")))


@pytest.fixture
async def storage(database: Database) -> AsyncIterator[Storage]:
    """A storage of each engine, open and empty."""
    async with database.open() as opened:
        yield opened


@pytest.fixture
def backends(tmp_path: Path, postgres_url: str, postgres: PostgresServer) -> Backends:
    """Backends on one database that is the test's own."""
    return Backends(tmp_path, postgres_url, postgres)
