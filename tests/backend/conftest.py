"""A backend in the test's own process, for each test that asks for one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.in_process import InProcess


@pytest.fixture
def place(tmp_path: Path) -> Iterator[InProcess]:
    """Where a backend in the test's own process stands."""
    with InProcess(tmp_path) as world:
        yield world
