"""Which agent, model and mode a new task can have, by what the backend told of its agents."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from foundry_tui.contract.known_agents import AgentInfo, AgentState
from foundry_tui.contract.options import find_option, value_of
from foundry_tui.contract.records import SessionOption
from foundry_tui.view.new_task import HINTS, LABELS, NOTHING, OF_AGENT, Remark, agent_remark
from foundry_tui.view.session_facts import names_no_questions


class AgentChoices(Struct, frozen=True):
    """What there is to choose from; `provider` and `agent` are what stands in the fields.

    `told` are the agents of all providers, `providers` their names, the default one first, and `defaults` the agent of
    a task that names none, by provider. All of it is empty while the backend has told nothing.
    """

    provider: str
    agent: str
    providers: Sequence[str] = ()
    told: Sequence[AgentInfo] = ()
    defaults: Mapping[str, str] = {}

    @property
    def here(self) -> list[AgentInfo]:
        """The agents of the provider that is meant."""
        provider = self.provider or next(iter(self.providers), None)
        return [info for info in self.told if info.provider == provider]

    @property
    def default(self) -> str:
        """The agent that an empty field stands for, empty while that is not known."""
        return self.defaults.get(self.provider or next(iter(self.providers), ""), "")

    @property
    def meant(self) -> str:
        return self.agent or self.default

    @property
    def offered(self) -> tuple[SessionOption, ...]:
        """What the agent that is meant offered last; nothing where it never did."""
        return next((info.options for info in self.here if info.name == self.meant), ())

    def names(self, category: str) -> list[str]:
        """What the option of this category can be, by the names that the agent has for it."""
        option = find_option(self.offered, category)
        return [choice.name for choice in option.choices] if option is not None else []

    def hints(self) -> dict[str, str]:
        """What empty fields stand for, and how much there is to choose from instead."""
        hints = {"agent": f"{HINTS['agent']}: {self.default}" if self.default else HINTS["agent"]}
        for category in OF_AGENT:
            count = len(self.names(category))
            hints[category] = f"{HINTS[category]} or one of {count}" if count else HINTS[category]
        return hints

    def remarks(self, values: Mapping[str, str], known: Sequence[str]) -> dict[str, Remark]:
        """What is to be said of agent, model and mode; `known` are the names of agents that were heard of."""
        agent = agent_remark(self.agent, known, self.here) if self.agent else self._of_default()
        remarks = {category: self._of_option(category, values[category]) for category in OF_AGENT}
        if not any(values[category] for category in OF_AGENT):
            remarks["model"] = self._of_stranger()
        return {"agent": agent, **remarks}

    def _of_stranger(self) -> Remark:
        """Why there is nothing to choose from for an agent that is ready."""
        info = next((info for info in self.here if info.name == self.meant), None)
        if info is None or info.options or info.state is not AgentState.READY:
            return NOTHING
        return Remark(f"{info.name}'s models and modes are offered here once it has worked")

    def _of_default(self) -> Remark:
        """What keeps the agent that an empty field stands for from being given work."""
        info = next((info for info in self.here if info.name == self.default), None)
        if info is None or info.state not in (AgentState.MISSING, AgentState.NEEDS_LOGIN):
            return NOTHING
        lacks = "is not installed" if info.state is AgentState.MISSING else "wants a login"
        return Remark(f"{info.name} {lacks}: {info.how}")

    def _of_option(self, category: str, text: str) -> Remark:
        """What the agent offers now may be other than the last time, so nothing is refused."""
        if not text:
            return NOTHING
        option = find_option(self.offered, category)
        value = text if option is None else value_of(option, text)
        if category == "mode" and names_no_questions(text, str(value)):
            return Remark("in this mode it does everything without asking", warning=True)
        if not self.offered:
            return Remark(f"what {self.meant or 'the agent'} offers is known once it has worked here")
        if option is None:
            return Remark(f"{self.meant} offered no {LABELS[category].lower()} the last time")
        if value in [choice.value for choice in option.choices]:
            return NOTHING
        return Remark(f"not among what {self.meant} offered last: {', '.join(self.names(category))}")
