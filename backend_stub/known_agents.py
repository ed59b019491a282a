"""The agents of all providers, as they are known: looked for in threads, and never waited for long."""

from collections.abc import Mapping, Sequence
from functools import partial

import anyio
import anyio.to_thread

from backend_stub.domain.provider import Provider
from backend_stub.offered_options import OfferedOptions
from foundry_tui.contract.agents import HOW_TO_GET_ONE, HOW_TO_RUN_ONE
from foundry_tui.contract.known_agents import AgentInfo, AgentState
from foundry_tui.contract.replace import replace
from foundry_tui.contract.requests import AgentList

ANSWER_SECONDS = 0.5
"""How long who asks waits for a look at what is there now; then the answer is what was known before."""
THREADS = 4


class KnownAgents:
    """What the last look found, by provider."""

    def __init__(self, providers: Mapping[str, Provider], offered: OfferedOptions | None = None) -> None:
        self._providers = providers
        self._offered = offered or OfferedOptions()
        self._defaults: dict[str, str] = {}
        self._found: dict[str, Sequence[AgentInfo]] = {}
        self._limiter = anyio.CapacityLimiter(THREADS)
        self._locks = {name: anyio.Lock() for name in providers}

    async def all(self) -> AgentList:
        """The agents of every provider, the default one's first."""
        with anyio.move_on_after(ANSWER_SECONDS):
            async with anyio.create_task_group() as looks:
                for name in self._providers:
                    looks.start_soon(self._look, name)
        agents = tuple(
            replace(info, options=self._offered.of(name, info.name) or info.options)
            for name in self._providers
            for info in self._found.get(name, ())
        )
        return AgentList(agents=agents, defaults=dict(self._defaults))

    async def why_not(self, provider: str, agent: str) -> str | None:
        """Why a task of this provider cannot have this agent, and what to do; None when it can, or is not known."""
        if provider not in self._providers:
            return None
        if _find(self._found.get(provider, ()), agent) is None:
            with anyio.move_on_after(ANSWER_SECONDS):
                await self._look(provider)
        agents = self._found.get(provider)
        if agents is None:
            return None
        if _find(agents, agent) is not None:
            return None
        missing = next((each for each in agents if each.name == agent), None)
        if missing is not None:
            return f"The agent {agent} is not installed: {missing.how}."
        names = ", ".join(each.name for each in agents)
        return f"There is no agent {agent!r}; there are {names}, and each [agents.NAME] of the config file."

    async def why_none(self, provider: str) -> str | None:
        """Why no task of this provider can have an agent, and what to do; None when one can, or nothing is known."""
        if provider not in self._providers:
            return None
        if not any(_is_there(each) for each in self._found.get(provider, ())):
            with anyio.move_on_after(ANSWER_SECONDS):
                await self._look(provider)
        agents = self._found.get(provider)
        if agents is None or any(_is_there(each) for each in agents):
            return None
        how = HOW_TO_RUN_ONE if any(each.how == HOW_TO_RUN_ONE for each in agents) else HOW_TO_GET_ONE
        return f"No agent is installed here: {how}. Or name the provider demo, which only simulates."

    async def _look(self, provider: str) -> None:
        """Look what is there now. A thread whose disk does not answer is left alone with it, and there are few."""
        async with self._locks[provider]:
            self._defaults[provider], self._found[provider] = await anyio.to_thread.run_sync(
                partial(_look_at, self._providers[provider]), abandon_on_cancel=True, limiter=self._limiter
            )


def _look_at(provider: Provider) -> tuple[str, Sequence[AgentInfo]]:
    """In a thread: the agent of a task that names none, and all that there are."""
    return provider.default_agent(), provider.agents_here()


def _find(agents: Sequence[AgentInfo], name: str) -> AgentInfo | None:
    """The agent of this name, if it is there."""
    return next((each for each in agents if each.name == name and _is_there(each)), None)


def _is_there(agent: AgentInfo) -> bool:
    return agent.state is not AgentState.MISSING
