"""The app as its screens see it: what it holds, where it leads, what it says, and what it draws ahead.

Screens know nothing else of the app. `FoundryScreen.foundry` is one of these.
"""

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from textual.screen import Screen
from textual.widget import Widget

from foundry_tui.actions.model import Action
from foundry_tui.client.task_defaults import TaskDefaults
from foundry_tui.contract.known_agents import AgentInfo
from foundry_tui.contract.requests import CreateTask
from foundry_tui.view.clock import Clock
from foundry_tui.view.first_run import NoAgent
from foundry_tui.view.glyphs import Glyphs

if TYPE_CHECKING:
    from foundry_tui.client.commands import Commands
    from foundry_tui.client.statistics import Diagnostics
    from foundry_tui.client.store import Store


class ScreenOptions(Protocol):
    """What screens heed of the configuration."""

    @property
    def ascii(self) -> bool:
        """Draw with ASCII characters only."""

    @property
    def repo(self) -> str | None:
        """The repository of the folder that the app was started in: a path."""

    @property
    def agents(self) -> tuple[str, ...]:
        """Agents that the config names, for our own backend."""

    @property
    def task_defaults(self) -> TaskDefaults:
        """What a new task has where the dialog names nothing."""


class Shell(Protocol):
    """The app as its screens see it."""

    # What it holds.

    store: "Store"
    commands: "Commands"
    clock: Clock
    glyphs: Glyphs
    diagnostics: "Callable[[], Diagnostics] | None"
    """What the client knows about its connections; None for an app without any."""
    looked_at: str | None
    """The task whose screen was on top last, until the list has its cursor there."""
    sessions_asked: dict[str, CreateTask]
    """The session asked for last, by task: it is in the dialog again if the backend refuses it."""

    @property
    def options(self) -> ScreenOptions: ...

    @property
    def typing(self) -> bool:
        """Whether something that was typed has not come to its end."""

    @property
    def typed_at(self) -> float:
        """When something was typed last, by the monotonic clock, in seconds."""

    @property
    def loaded(self) -> bool:
        """Whether the backend has told of its tasks, so that an empty list is the truth."""

    @property
    def starting(self) -> bool:
        """Whether our own backend is being started, or found to run."""

    @property
    def why_no_start(self) -> str | None:
        """Why the backend cannot be started from here now, as a sentence without its full stop."""

    @property
    def no_agent(self) -> NoAgent | None:
        """What keeps any request from being answered; None while nothing is known to."""

    @property
    def undoable(self) -> bool:
        """Whether something was done that `undo` takes back."""

    def asks_beside(self, task_id: str) -> int:
        """How many tasks wait for a person beside this one."""

    @property
    def leaving(self) -> frozenset[str]:
        """The tasks that will be archived in a moment, unless that is undone."""

    def take_agents(self, providers: Iterable[str], agents: Iterable[AgentInfo]) -> None:
        """Take what the backend told of its providers, the default first, and of their agents."""

    async def look_for_agents(self) -> tuple[AgentInfo, ...]:
        """Ask the backend which agents there are; none while it does not answer."""

    # Where it leads.

    def open_task(self, task_id: str, *, instead: bool = False) -> None:
        """Show a task, over the screen that is on top or in its stead."""

    async def action_act(self, action_id: str) -> None:
        """Do an action of the table, on the screen or else on the app, or say why it cannot be done."""

    def ask_for_trust(self, request: CreateTask) -> None:
        """Ask, once nothing is written, about a set-up of the request's repository that nobody trusted yet."""

    # Keys and what is said.

    def keys_of(self, action: Action) -> tuple[str, ...]:
        """The keys of an action as they are configured."""

    def has_binding(self, widget: Widget, key: str, idle: Collection[str] = ()) -> bool:
        """Whether a widget does something of its own with this key; the bindings of these ids do nothing now."""

    def copy(self, text: str, what: str = "") -> None:
        """Put this on the clipboard, and say so: `what` was copied, if the text itself is too long to be told."""

    def reply(self, words: str, title: str = "") -> None:
        """Say what came of a key, in place of what came of the key before."""

    # How it draws.

    def read_styles(self, *names: str) -> None:
        """Read style sheets, named by their paths in the package, unless they have been read."""

    async def compose_unseen(self, screen: Screen[Any]) -> None:
        """Mount a screen that is not shown yet."""

    def draw_unseen(self, screen: Screen[Any]) -> None:
        """Lay out and draw a screen that is not shown yet."""

    def show_at_once(self, screen: Screen[Any]) -> None:
        """Show a screen that was drawn unseen without waiting for the next frame."""
