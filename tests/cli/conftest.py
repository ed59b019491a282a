"""Worlds for the command line: one a test, or one that a module's tests share with their backend."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command_line import Cli


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """A world of this test's own; a backend that it started is stopped."""
    with Cli(tmp_path) as world:
        yield world


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """A world for tests that do not mind each other's tasks."""
    with Cli(tmp_path_factory.mktemp("world")) as world:
        yield world
