"""What the backend tells of the agents that it knows."""

from foundry_tui.contract.open_enum import OpenEnum
from foundry_tui.contract.record import Record
from foundry_tui.contract.records import SessionOption


class AgentState(OpenEnum):
    """What is known of an agent: it can be given work, it is not installed, or it wants a login first.

    An agent of which it is not known whether it is logged in is ready; it says itself if it is not.
    """

    READY = "ready"
    MISSING = "missing"
    NEEDS_LOGIN = "needs_login"


class AgentInfo(Record, frozen=True, kw_only=True, omit_defaults=True):
    """An agent that tasks of a provider can name. `how` is what to do, with the exact command; empty when ready.

    `options` are those that it offered the last time it was begun, with the values that they had then; before that what
    is known of it by itself, mostly none.
    """

    name: str
    provider: str
    state: AgentState
    how: str
    options: tuple[SessionOption, ...] = ()
