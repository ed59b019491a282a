"""A world for each agent that is installed."""

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents.catalogue import AGENTS, Agent
from tests.agents.install import install_sandbox_agent, is_installed
from tests.agents.model import model_on_loopback
from tests.agents.task import AgentTask, open_world


@pytest.fixture(scope="session")
def sandbox_agent() -> Path:
    """The pinned sandbox-agent, fetched when there is none."""
    return install_sandbox_agent()


@pytest.fixture(params=AGENTS)
def agent(request: pytest.FixtureRequest) -> Agent:
    """Each agent; one that is not installed is skipped, but never in CI, which says which ones it runs."""
    agent = AGENTS[request.param]
    if not is_installed(agent):
        command = shlex.join([Path(sys.executable).name, "-m", "tests.agents.install", agent.name])
        words = f"{agent.name} is not installed for the tests: run {command}"
        if os.environ.get("CI"):
            pytest.fail(words)
        pytest.skip(words)
    return agent


@pytest.fixture
def world(agent: Agent, tmp_path: Path, sandbox_agent: Path) -> Iterator[AgentTask]:
    """The agent with a model that does as it is told."""
    with model_on_loopback() as model, open_world(tmp_path, agent, sandbox_agent, model) as world:
        yield world
