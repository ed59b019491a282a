"""What a new task has where its request names nothing: as the settings of whoever asks for it say."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from foundry_tui.contract.providers import SIMULATED
from foundry_tui.contract.questions import PolicyWord
from foundry_tui.contract.replace import replace
from foundry_tui.contract.requests import CreateTask


class TaskDefaults(Struct, frozen=True, kw_only=True):
    """None leaves it to the backend. `agent` and `permissions` are of real agents: simulated tasks have their own."""

    provider: str | None = None
    agent: str | None = None
    permissions: PolicyWord | None = None

    def fill(self, request: CreateTask, default_provider: str | None) -> CreateTask:
        """The request with what it does not name; `default_provider` is the backend's own, None if it is not told."""
        provider = request.provider or self.provider
        mine = self.of(provider or default_provider)
        return replace(
            request,
            provider=provider,
            agent=request.agent or mine.agent,
            permissions=request.permissions or mine.permissions,
        )

    def hangs_on_backend(self, request: CreateTask) -> bool:
        """Whether what the request is filled with goes by the provider that the backend itself takes for it."""
        agent, permissions = self.agent and not request.agent, self.permissions and not request.permissions
        return (request.provider or self.provider) is None and bool(agent or permissions)

    def of(self, provider: str | None) -> "TaskDefaults":
        """What holds for tasks of this provider; of one that is not known, only what holds for simulated ones too."""
        return TaskDefaults(provider=self.provider) if provider in (None, SIMULATED) else self

    def providers(self, told: Mapping[str, str]) -> dict[str, str]:
        """The providers that the backend told of, the one that is meant where none is named first."""
        return {name: told[name] for name in sorted(told, key=lambda name: name != self.provider)}

    def agents(self, told: Mapping[str, str], providers: Iterable[str]) -> dict[str, str]:
        """The agent that is meant where none is named, by provider; `told` are the backend's own."""
        mine = {provider: agent for provider in providers if (agent := self.of(provider).agent) is not None}
        return {**told, **mine}
