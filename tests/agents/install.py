"""Getting the agents that the tests run into a cache, as the product does: `python -m tests.agents.install`."""

import os
import sys
from pathlib import Path

import platformdirs

from foundry_tui.process import agent_binary, agent_packages
from foundry_tui.process.npm import InstallError
from tests.agents.catalogue import AGENTS, Agent

VARIABLE = "FOUNDRY_TEST_AGENTS"
"""Names the folder in which agents are kept, in place of one in the user's cache."""

CACHE = Path(os.environ.get(VARIABLE) or platformdirs.user_cache_dir("foundry-test-agents")).absolute()
"""A data folder with nothing but agents. Found out when the module is loaded: each test has a home of its own."""


def is_installed(agent: Agent) -> bool:
    """Whether it can be run; looks at some files."""
    return agent_packages.is_installed(agent.name, CACHE)


def install_sandbox_agent() -> Path:
    """The pinned sandbox-agent, in the cache too; raises `InstallError`."""
    return agent_binary.install(CACHE / "sandbox-agent")


def main() -> None:
    names = sys.argv[1:] or list(AGENTS)
    unknown = [name for name in names if name not in AGENTS]
    if unknown:
        raise SystemExit(f"there is no agent {', '.join(unknown)}; there are: {', '.join(AGENTS)}")
    try:
        print(install_sandbox_agent(), flush=True)
        for name in names:
            print(agent_packages.install(name, CACHE, tell=print).programs, flush=True)
    except InstallError as error:
        raise SystemExit(f"{error.message}\n{error.hint}") from None


if __name__ == "__main__":
    main()
