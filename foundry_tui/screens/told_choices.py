"""What the backend has told that a new task can be made of: branches, providers and agents."""

from collections.abc import Callable
from contextlib import suppress

from foundry_tui.client.commands import Commands
from foundry_tui.client.errors import RequestError
from foundry_tui.contract.known_agents import AgentInfo
from foundry_tui.contract.records import Repo


class ToldChoices:
    """Asked for while the dialog is open; `changed` is called whenever something was told."""

    def __init__(self, commands: Commands, changed: Callable[[], None]) -> None:
        self._commands = commands
        self._changed = changed
        self._branches: dict[str, tuple[str, ...]] = {}
        self.asked: set[str] = set()
        """The repositories whose branches were asked for, by id."""
        self.providers: dict[str, str] = {}
        """By name, the default one first, what each says of itself; empty: not told."""
        self.agents: tuple[AgentInfo, ...] = ()
        self.default_agents: dict[str, str] = {}
        """By provider."""

    @property
    def default_provider(self) -> str | None:
        return next(iter(self.providers), None)

    def branches_of(self, repo: Repo | None) -> tuple[str, ...]:
        """None while they are not known."""
        return () if repo is None else self._branches.get(repo.repo_id, ())

    async def ask_for_branches(self, repo_id: str) -> None:
        """For completion and for the check; without an answer there are none, and they are asked for again."""
        self.asked.add(repo_id)
        try:
            self._branches[repo_id] = tuple(await self._commands.branches(repo_id))
        except RequestError:
            self.asked.discard(repo_id)
            return
        self._changed()

    async def ask_for_agents(self) -> None:
        """Which providers there are, and their agents; without an answer any is taken for good."""
        with suppress(RequestError):
            self.providers = (await self._commands.health()).providers
            self._changed()
            told = await self._commands.agents()
            self.agents, self.default_agents = told.agents, told.defaults
            self._changed()
