"""What tests of the contract share: a backend for all of a module."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.process import BackendProcess


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackendProcess]:
    """A running backend for all tests of a module; they make tasks of their own and leave its script alone."""
    with BackendProcess(tmp_path_factory.mktemp("shared")) as process:
        yield process.start()


@pytest.fixture
def short_socket() -> Iterator[Path]:
    """A path for a Unix socket, in a folder that the backend is to make; such paths are short."""
    with tempfile.TemporaryDirectory(prefix="fdry-") as folder:
        yield Path(folder) / "run" / "s"
