"""Worlds for the tests of the local provider."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.process import BackendProcess
from tests.local.world import LocalWorld


@pytest.fixture
def git_world(tmp_path: Path) -> Iterator[LocalWorld]:
    """A world without agents."""
    with LocalWorld(tmp_path) as world:
        yield world


@pytest.fixture
def world(tmp_path: Path, sandbox_agent: Path) -> Iterator[LocalWorld]:
    """A world in which the scripted agent can be run by the real server."""
    with LocalWorld(tmp_path, sandbox_agent) as world:
        yield world


@pytest.fixture
def backend(world: LocalWorld) -> Iterator[BackendProcess]:
    """A backend process in the world with agents."""
    with BackendProcess(world.folder, world.environ) as backend:
        backend.start()
        yield backend
        world.tasks += [task["task_id"] for task in backend.get("/v1/tasks")["tasks"]]


@pytest.fixture
def git_backend(git_world: LocalWorld) -> Iterator[BackendProcess]:
    """A backend process in the world without agents."""
    with BackendProcess(git_world.folder, git_world.environ) as backend:
        yield backend.start()


@pytest.fixture
def bubblewrap() -> None:
    """Skips where bubblewrap is not installed or not allowed."""
    program = shutil.which("bwrap")
    if program is None:
        pytest.skip("bubblewrap is not installed (Debian: bubblewrap)")
    tried = subprocess.run(
        [program, "--ro-bind", "/", "/", "--unshare-all", "--", "true"], check=False, capture_output=True, text=True
    )
    if tried.returncode != 0:
        pytest.skip(f"bubblewrap cannot be used here: {tried.stderr.strip()}")
