"""A backend in the test's own process, for each test that asks for one."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from backend_stub.domain.storage import Storage
from tests.backend.engines import ENGINES, Database
from tests.backend.in_process import InProcess


@pytest.fixture
def place(tmp_path: Path) -> Iterator[InProcess]:
    """Where a backend in the test's own process stands."""
    with InProcess(tmp_path) as world:
        yield world


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """What a storage of each engine stands on."""
    return Database(request.param, tmp_path)


@pytest.fixture
async def storage(database: Database) -> AsyncIterator[Storage]:
    """A storage of each engine, open and empty."""
    async with database.open() as opened:
        yield opened
