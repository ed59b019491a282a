"""Whether any agent could answer a request, as far as the backend told; and installing one where none could."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from foundry_tui.client.errors import RequestError
from foundry_tui.contract.known_agents import AgentInfo
from foundry_tui.view.first_run import NoAgent, no_agent

if TYPE_CHECKING:
    from foundry_tui.app.host import Host


class FirstRun:
    """What is known of it: asked for when a screen has to say it, never by a clock."""

    def __init__(self, host: "Host", *, ours: bool, changed: Callable[[], None]) -> None:
        """`ours`: the backend is one that this machine starts. `changed` is called when `missing` is another."""
        self._host = host
        self._ours = ours
        self._changed = changed
        self.missing: NoAgent | None = None

    def take(self, providers: Iterable[str], agents: Iterable[AgentInfo]) -> None:
        """Take what the backend told of its providers, the default first, and of their agents."""
        found = no_agent(providers, agents, here=self._ours)
        if found != self.missing:
            self.missing = found
            self._changed()

    async def look(self) -> tuple[AgentInfo, ...]:
        """Ask the backend; without an answer nothing is known, and what was known stays."""
        commands = self._host.commands
        with suppress(RequestError):
            providers = self._host.options.task_defaults.providers((await commands.health()).providers)
            agents = (await commands.agents()).agents
            self.take(providers, agents)
            return agents
        return ()

    def action_install_agent(self) -> None:
        """Open the dialog that installs one."""
        from foundry_tui.screens.install_agent import InstallAgentScreen

        missing = self.missing
        if missing is not None:
            self._host.app.push_screen(InstallAgentScreen(missing))
