"""What the backend has told that a new task can be made of: branches, providers and agents."""

from collections.abc import Callable
from contextlib import suppress

from foundry_tui.client.commands import Commands
from foundry_tui.client.errors import RequestError
from foundry_tui.client.task_defaults import TaskDefaults
from foundry_tui.contract.known_agents import AgentInfo
from foundry_tui.contract.records import Repo
from foundry_tui.contract.requests import CreateTask
from foundry_tui.view.new_task import HINTS


class ToldChoices:
    """Asked for while the dialog is open; `changed` is called whenever something was told.

    What a task is made of that names nothing is by the `defaults` first, and then by what the backend told.
    """

    def __init__(self, commands: Commands, defaults: TaskDefaults, changed: Callable[[], None]) -> None:
        self._commands = commands
        self._defaults = defaults
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

    def defaults_for(self, provider: str) -> TaskDefaults:
        """What holds where nothing is named, for this provider or, if that is empty, the default one."""
        return self._defaults.of(provider or self.default_provider)

    def hints_for(self, provider: str) -> dict[str, str]:
        """What empty fields stand for, then."""
        meant = self.defaults_for(provider)
        named = {"agent": meant.agent, "permissions": meant.permissions}
        by_settings = {field: f"{value}, by your settings" for field, value in named.items() if value is not None}
        return {"permissions": HINTS["permissions"], **by_settings}

    def filled(self, request: CreateTask) -> CreateTask:
        """The request with what it leaves to the defaults."""
        return self._defaults.fill(request, self.default_provider)

    def owed(self, request: CreateTask) -> TaskDefaults | None:
        """What the request is still to be filled with, where that goes by a provider that was not told yet."""
        untold = self.default_provider is None and self._defaults.hangs_on_backend(request)
        return self._defaults if untold else None

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
            self.providers = self._defaults.providers((await self._commands.health()).providers)
            self._changed()
            told = await self._commands.agents()
            self.agents, self.default_agents = told.agents, self._defaults.agents(told.defaults, self.providers)
            self._changed()
