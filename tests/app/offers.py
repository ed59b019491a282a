"""Agents as a backend tells of them, with what they offered last."""

from foundry_tui.contract.known_agents import AgentInfo, AgentState
from foundry_tui.contract.records import OptionChoice, OptionType, SessionOption

MODEL = SessionOption(
    option_id="model",
    name="Model",
    category="model",
    type=OptionType.SELECT,
    value="sonnet-4",
    choices=(OptionChoice(value="sonnet-4", name="Sonnet"), OptionChoice(value="opus-4", name="Opus")),
)
MODE = SessionOption(
    option_id="permission-mode",
    name="Mode",
    category="mode",
    type=OptionType.SELECT,
    value="default",
    choices=(
        OptionChoice(value="default", name="Always ask"),
        OptionChoice(value="plan", name="Plan"),
        OptionChoice(value="bypassPermissions", name="Bypass permissions"),
    ),
)
EFFORT = SessionOption(
    option_id="effort",
    name="Effort",
    category="thought_level",
    type=OptionType.SELECT,
    value="low",
    choices=(OptionChoice(value="low", name="Low"), OptionChoice(value="xhigh", name="Extra high")),
)
AGENTS = (
    AgentInfo(name="claude", provider="local", state=AgentState.READY, how="", options=(MODEL, MODE, EFFORT)),
    AgentInfo(name="opencode", provider="local", state=AgentState.READY, how=""),
    AgentInfo(name="codex", provider="local", state=AgentState.MISSING, how="foundry agent install codex"),
    AgentInfo(name="claude", provider="demo", state=AgentState.READY, how=""),
)
DEFAULTS = {"local": "claude", "demo": "claude"}
