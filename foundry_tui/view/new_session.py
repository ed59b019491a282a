"""What the new-session dialog says beside its fields."""

import unicodedata
from collections.abc import Sequence

from foundry_tui.contract.records import TaskSummary
from foundry_tui.view.new_task import NOTHING, Remark, agent_remark

LONGEST = 64
"""Characters that a session's or an agent's name can have."""


def session_remarks(name: str, agent: str, agents: Sequence[str]) -> dict[str, Remark]:
    """What is to be said beside `name` and `agent`; `agents` are those that are known. Empty ones are the default."""
    remarks = {"name": _remark(name), "agent": _remark(agent)}
    if remarks["agent"] is NOTHING:
        remarks["agent"] = agent_remark(agent, agents)
    return remarks


def default_name(task: TaskSummary, agent: str) -> str:
    """What the backend calls a session that was given no name."""
    return f"{agent or task.agent} {len(task.sessions) + 1}"


def _remark(text: str) -> Remark:
    if len(text) > LONGEST:
        return Remark(f"{len(text) - LONGEST} too long: it can have {LONGEST} characters", bad=True)
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in text):
        return Remark("it has characters that are no text", bad=True)
    return NOTHING
