"""The dialog that installs an agent where none could answer a request, and leads on to its login."""

import asyncio
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static

from foundry_tui.actions.context import INSTALL, Context
from foundry_tui.actions.table import bindings
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.known_agents import AgentInfo, AgentState
from foundry_tui.process.own_commands import foundry_command, told_lines
from foundry_tui.screens.base import FoundryDialog
from foundry_tui.screens.editor import lend_terminal
from foundry_tui.screens.scrolling import Highlight, ScrollActions, Scrolled
from foundry_tui.widgets.bars import ActionBar

if TYPE_CHECKING:
    from foundry_tui.view.first_run import NoAgent

LINES = 6
"""Lines of what the command says that are seen."""
RUNNER = "sandbox-agent, which runs agents"
"""What is installed where an agent is there already."""


class InstallAgentScreen(ScrollActions, FoundryDialog[None]):
    """Runs `foundry agent install` and shows what it says; the dialog below keeps what was written in it."""

    SCREEN_NAME = INSTALL
    BINDINGS = bindings(INSTALL)
    CSS_PATH = "install_agent.tcss"
    AUTO_FOCUS = "OptionList"

    def __init__(self, missing: "NoAgent") -> None:
        super().__init__()
        self._missing = missing
        self._said: list[str] = []
        self._login: str | None = None
        self._installing = False

    def compose(self) -> ComposeResult:
        with Vertical(id="install-box"):
            yield Static(id="heading", markup=False)
            yield Static(id="told", markup=False)
            yield OptionList(*(self._missing.names or (RUNNER,)), markup=False)
            yield Static(id="said", markup=False)
            yield ActionBar()

    def on_mount(self) -> None:
        self._show()

    def context(self) -> Context:
        return Context(screen=INSTALL)

    @property
    def scrolled(self) -> Scrolled:
        return Highlight(self.query_one(OptionList))

    @property
    def _chosen(self) -> str | None:
        """The agent that would be installed; None for what runs agents alone."""
        place = self.query_one(OptionList).highlighted or 0
        return self._missing.names[place] if self._missing.names else None

    def _show(self) -> None:
        enter = self.key_of("install_chosen")
        heading = f"Installing {self._chosen or RUNNER}" if self._installing else self._missing.headline
        self.query_one("#heading", Static).update(heading)
        if self._login is not None:
            self.query_one("#heading", Static).update(harmless(f"{self._login} is installed, and wants a login"))
            told = f"{enter} runs this in the terminal:\n"
            command = f"foundry agent login {self._login}"
        elif not self._missing.here:
            told, command = "Run this on the machine where the backend runs:\n", self._missing.how
        else:
            doing = "Running" if self._installing else f"{enter} runs"
            told = f"{doing} this: from npm into Foundry's data folder, without root.\n"
            command = " ".join(("foundry agent install", *([self._chosen] if self._chosen else [])))
        self.query_one("#told", Static).update(Content.assemble((told, "$text-soft"), (command, "bold")))
        self.query_one(OptionList).display = self._login is None and self._missing.here
        said = self.query_one("#said", Static)
        said.update(Content("\n".join(harmless(line) for line in self._said[-LINES:])))
        said.display = bool(self._said)

    @on(OptionList.OptionHighlighted)
    def _highlighted(self) -> None:
        if not self._installing:
            self._show()

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        self.action_install_chosen()

    def action_install_chosen(self) -> None:
        """Install what is highlighted, or log in to what was installed."""
        if self._login is not None:
            self._log_in(self._login)
        elif not self._installing and self._missing.here:
            self._install(self._chosen)

    @work(group="install", exclusive=True)
    async def _install(self, name: str | None) -> None:
        self._installing, self._said = True, []
        self.query_one(OptionList).disabled = True
        self._show()
        try:
            code = await told_lines(foundry_command("agent", "install", *([name] if name else [])), self._tell)
        except OSError as trouble:
            code = 1
            self._tell(f"it could not be started: {trouble.strerror or trouble}")
        finally:
            self._installing = False
            self._show()
        if code != 0:
            self._tell(f"Nothing was installed (exit code {code}). {self.key_of('install_chosen')} tries it again.")
            choices = self.query_one(OptionList)
            choices.disabled = False
            choices.focus()
            return
        self._go_on(name, await self.foundry.look_for_agents())

    def _tell(self, line: str) -> None:
        self._said.append(line)
        self._show()

    def _go_on(self, name: str | None, agents: tuple[AgentInfo, ...]) -> None:
        """Lead on to the login that the agent still wants, else close."""
        info = next((each for each in agents if each.name == name and each.state is not AgentState.MISSING), None)
        if info is not None and info.state is AgentState.NEEDS_LOGIN:
            self._login = info.name
            self._said = []
            self._show()
            self.set_focus(None)
            return
        self.app.notify(f"{name or RUNNER} is installed.")
        self.dismiss(None)

    @work(group="install", exclusive=True)
    async def _log_in(self, name: str) -> None:
        async def run() -> int:
            process = await asyncio.create_subprocess_exec(*foundry_command("agent", "login", name))
            return await process.wait()

        code = await lend_terminal(self, run)
        agents = await self.foundry.look_for_agents()
        state = next((each.state for each in agents if each.name == name), None)
        if code == 0 and state is not AgentState.NEEDS_LOGIN:
            self.app.notify(f"{name} is ready.")
            self.dismiss(None)
        elif code is not None:
            self._tell(f"It still wants a login (exit code {code}).")

    def action_leave_install(self) -> None:
        """Close; what is being installed is ended."""
        self.dismiss(None)
