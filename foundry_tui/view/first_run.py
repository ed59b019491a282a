"""What is said where no agent could answer a request, before one types a whole prompt; and what is only simulated."""

from collections.abc import Iterable

from msgspec import Struct

from foundry_tui.contract.agents import HOW_TO_GET_ONE, HOW_TO_RUN_ONE, INSTALLABLE
from foundry_tui.contract.known_agents import AgentInfo, AgentState
from foundry_tui.contract.providers import SIMULATED

LOOK_AROUND = "foundry demo"
"""The command that shows the app on a scripted world."""


class NoAgent(Struct, frozen=True, kw_only=True):
    """No request that names no provider can be answered: why, and what helps."""

    headline: str
    how: str
    """The command that helps, as it is told."""
    names: tuple[str, ...]
    """The agents that can be installed; none where only what runs them is missing."""
    here: bool = True
    """Whether the backend is on this machine, so that installing here helps."""

    @property
    def sentence(self) -> str:
        """What is to be done, and where."""
        where = "" if self.here else " on the machine where the backend runs"
        return f"Nothing could answer a request yet. This changes it{where}: {self.how}"


def no_agent(providers: Iterable[str], agents: Iterable[AgentInfo], *, here: bool = True) -> NoAgent | None:
    """What keeps the default provider (the first) from answering any request; None when nothing is known to."""
    first = next(iter(providers), SIMULATED)
    theirs = [each for each in agents if each.provider == first]
    if first == SIMULATED or not theirs or any(each.state is not AgentState.MISSING for each in theirs):
        return None
    if any(each.how == HOW_TO_RUN_ONE for each in theirs):
        return NoAgent(headline="What runs agents is not installed", how=HOW_TO_RUN_ONE, names=(), here=here)
    return NoAgent(headline="No agent is installed", how=HOW_TO_GET_ONE, names=INSTALLABLE, here=here)


def simulated_word(provider: str) -> str:
    """What stands beside the status of a task of this provider that nobody works on: empty for a real one."""
    return "simulated" if provider == SIMULATED else ""
