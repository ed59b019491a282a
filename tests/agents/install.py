"""Getting the agents that the tests run, pinned, from npm into a cache: `python -m tests.agents.install [NAME…]`."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import platformdirs

from foundry_tui.cli import agent_binary
from tests.agents.catalogue import AGENTS, Agent

VARIABLE = "FOUNDRY_TEST_AGENTS"
"""Names the folder in which agents are kept, in place of one in the user's cache."""

CACHE = Path(os.environ.get(VARIABLE) or platformdirs.user_cache_dir("foundry-test-agents")).absolute()
"""Found out when the module is loaded: each test has a home folder of its own."""


def folder_of(agent: Agent) -> Path:
    """Where npm puts this agent's packages, in these versions."""
    return CACHE / "-".join((agent.name, *(package.rpartition("@")[2] for package in agent.packages)))


def is_installed(agent: Agent) -> bool:
    """Whether it can be run; looks at some files."""
    return all((folder_of(agent) / program).exists() for program in agent.programs.values())


def install(agent: Agent) -> None:
    """Have npm get the agent's packages, running none of their code; what is there is kept.

    Raises `SystemExit` with npm's words. Takes seconds to minutes.
    """
    if is_installed(agent):
        return
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is not installed: install Node.js 20 or newer")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, ignore_cleanup_errors=True) as new:
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--prefix", new)
        done = subprocess.run([npm, "install", *options, *agent.packages], check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"npm could not get {agent.name}: {done.stderr.strip()[-400:]}")
        shutil.rmtree(folder_of(agent), ignore_errors=True)
        Path(new).rename(folder_of(agent))
    if not is_installed(agent):
        raise SystemExit(f"{agent.name} is not made for this machine: its packages hold no program for it")


def install_sandbox_agent() -> Path:
    """The pinned sandbox-agent, in the cache too; raises `agent_binary.InstallError`."""
    return agent_binary.install(CACHE / "sandbox-agent")


def main() -> None:
    names = sys.argv[1:] or list(AGENTS)
    unknown = [name for name in names if name not in AGENTS]
    if unknown:
        raise SystemExit(f"there is no agent {', '.join(unknown)}; there are: {', '.join(AGENTS)}")
    print(install_sandbox_agent(), flush=True)
    for name in names:
        install(AGENTS[name])
        print(folder_of(AGENTS[name]), flush=True)


if __name__ == "__main__":
    main()
