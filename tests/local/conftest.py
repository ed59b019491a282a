"""Worlds for the tests of the local provider, and the real sandbox-agent binary where it can be had."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from foundry_tui.cli import agent_binary
from foundry_tui.contract.agents import VARIABLE
from tests.local.world import World


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def sandbox_agent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pinned sandbox-agent: the one that FOUNDRY_SANDBOX_AGENT names, or one fetched with npm for this run."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed, so the sandbox-agent binary cannot be had (or set FOUNDRY_SANDBOX_AGENT)")
    try:
        return agent_binary.install(tmp_path_factory.mktemp("agent"))
    except agent_binary.InstallError as error:
        pytest.skip(f"the sandbox-agent binary cannot be had: {error}")


@pytest.fixture
def git_world(tmp_path: Path) -> World:
    """A world without agents."""
    return World(tmp_path)


@pytest.fixture
def world(tmp_path: Path, sandbox_agent: Path) -> Iterator[World]:
    """A world in which the scripted agent can be run by the real server."""
    world = World(tmp_path, sandbox_agent)
    yield world
    world.close()


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
