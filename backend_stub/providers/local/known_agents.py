"""Which agents there are on this machine, what each is lacking, and the command that helps."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from backend_stub.domain.agent import WantedLogin
from backend_stub.providers.local.logins import kept_at, lacks_login
from foundry_tui.contract.agents import (
    HOW_TO_RUN_ONE,
    KNOWN,
    SANDBOX_AGENT,
    AgentCommand,
    find_agent,
    find_sandbox_agent,
    how_to_correct,
    how_to_get,
)
from foundry_tui.contract.known_agents import AgentInfo, AgentState

NAME = "local"


def look_for_agents(
    data_dir: Path,
    environ: Mapping[str, str],
    configured: Mapping[str, AgentCommand],
    asked: Callable[[str], WantedLogin | None] = lambda agent: None,
) -> Sequence[AgentInfo]:
    """All agents that are known, those of the config last. Looks at files and runs nothing; `asked` tells which login
    an agent has asked for itself.
    """
    binary = find_sandbox_agent(data_dir, environ, shutil.which)
    getter = SANDBOX_AGENT if binary is None else binary.path

    def info(name: str, *, found: bool, how: str) -> AgentInfo:
        if not found:
            return AgentInfo(name=name, provider=NAME, state=AgentState.MISSING, how=how)
        if binary is None:
            # Nothing can run it, and this gets what does.
            return AgentInfo(name=name, provider=NAME, state=AgentState.MISSING, how=HOW_TO_RUN_ONE)
        if name not in configured and lacks_login(name, environ):
            return AgentInfo(name=name, provider=NAME, state=AgentState.NEEDS_LOGIN, how=f"foundry agent login {name}")
        wanted = asked(name)
        if wanted is not None and kept_at(name, data_dir, environ) <= wanted.at:
            return AgentInfo(name=name, provider=NAME, state=AgentState.NEEDS_LOGIN, how=wanted.how)
        return AgentInfo(name=name, provider=NAME, state=AgentState.READY, how="")

    known = [
        info(name, found=find_agent(name, data_dir, environ, shutil.which) is not None, how=how_to_get(name, getter))
        for name in KNOWN
        if name not in configured
    ]
    return [
        *known,
        *(
            info(name, found=each.program(data_dir, environ, shutil.which) is not None, how=how_to_correct(name))
            for name, each in configured.items()
        ),
    ]
