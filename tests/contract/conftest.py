"""Backends for tests of the contract: one that a module shares, and one for a test alone."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.process import BackendProcess


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackendProcess]:
    """A running backend for all tests of a module; they make tasks of their own and leave its script alone."""
    folder = tmp_path_factory.mktemp("shared")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("FOUNDRY_", "GIT_")):
                patch.delenv(name)
        patch.setenv("HOME", str(folder))
        process = BackendProcess(folder)
        try:
            yield process.start()
        finally:
            process.close()


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[BackendProcess]:
    """A running backend of the test's own, whose script it may replace."""
    process = BackendProcess(tmp_path)
    try:
        yield process.start()
    finally:
        process.close()


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[BackendProcess]:
    """A backend that the test starts itself."""
    process = BackendProcess(tmp_path)
    try:
        yield process
    finally:
        process.close()


@pytest.fixture
def short_socket() -> Iterator[Path]:
    """A path for a Unix socket, in a folder that the backend is to make; such paths are short."""
    with tempfile.TemporaryDirectory(prefix="fdry-") as folder:
        yield Path(folder) / "run" / "s"
