"""Agents as a backend tells of them, with what they offered last."""

from foundry_tui.contract.known_agents import AgentInfo, AgentState
from foundry_tui.contract.records import OptionChoice, OptionType, SessionOption


def _first_of(option_id: str, name: str, category: str, choices: dict[str, str]) -> SessionOption:
    """An option that is one of these values, each with its name, and now the first."""
    return SessionOption(
        option_id=option_id,
        name=name,
        category=category,
        type=OptionType.SELECT,
        value=next(iter(choices)),
        choices=tuple(OptionChoice(value=value, name=called) for value, called in choices.items()),
    )


MODEL = _first_of("model", "Model", "model", {"sonnet-4": "Sonnet", "opus-4": "Opus"})
MODE = _first_of(
    "permission-mode",
    "Mode",
    "mode",
    {"default": "Always ask", "plan": "Plan", "bypassPermissions": "Bypass permissions"},
)
EFFORT = _first_of("effort", "Effort", "thought_level", {"low": "Low", "xhigh": "Extra high"})
AGENTS = (
    AgentInfo(name="claude", provider="local", state=AgentState.READY, how="", options=(MODEL, MODE, EFFORT)),
    AgentInfo(name="opencode", provider="local", state=AgentState.READY, how=""),
    AgentInfo(name="codex", provider="local", state=AgentState.MISSING, how="foundry agent install codex"),
    AgentInfo(name="claude", provider="demo", state=AgentState.READY, how=""),
)
DEFAULTS = {"local": "claude", "demo": "claude"}
