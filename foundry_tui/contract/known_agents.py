"""What the backend tells of the agents that it knows."""

from foundry_tui.contract.open_enum import OpenEnum
from foundry_tui.contract.record import Record


class AgentState(OpenEnum):
    """What is known of an agent: it can be given work, it is not installed, or it wants a login first.

    An agent of which it is not known whether it is logged in is ready; it says itself if it is not.
    """

    READY = "ready"
    MISSING = "missing"
    NEEDS_LOGIN = "needs_login"


class AgentInfo(Record, frozen=True, kw_only=True):
    """An agent that tasks of a provider can name. `how` is what to do, with the exact command; empty when ready."""

    name: str
    provider: str
    state: AgentState
    how: str = ""
