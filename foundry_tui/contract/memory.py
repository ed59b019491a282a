"""How much memory agents take, read when somebody asks."""

from foundry_tui.contract.open_enum import OpenEnum
from foundry_tui.contract.record import Record


class Measure(OpenEnum):
    """What a figure counts: `pss` what processes have to themselves, with their share of what they have in common;
    `rss` all that each of them holds, so that what is common counts several times.
    """

    PSS = "pss"
    RSS = "rss"


class AgentMemory(Record, frozen=True, kw_only=True):
    """An agent's processes now, all that it started included.

    Without `session_id` it is about all agents of the task and their server together: this system does not tell them
    apart.
    """

    task_id: str
    agent: str
    bytes: int
    measure: Measure
    processes: int
    session_id: str | None = None


class MemoryReport(Record, frozen=True, kw_only=True):
    """`GET /v1/agents/memory`, of one task with `?task=ID`: the agents that run now, the largest first.

    `unknown` says what of them cannot be known on this system, if there is anything.
    """

    agents: tuple[AgentMemory, ...]
    unknown: str | None = None
