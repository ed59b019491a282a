"""The shell: it holds the store and the commands, opens screens, runs actions and passes on what changed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from textual.app import App
from textual.message import Message
from textual.screen import ModalScreen

from foundry_tui import actions
from foundry_tui.actions import Action
from foundry_tui.context import APP, Context
from foundry_tui.screens.base import FoundryScreen
from foundry_tui.view.clock import Clock, SystemClock

if TYPE_CHECKING:
    from foundry_tui.client.commands import CommandProblem, Commands
    from foundry_tui.client.store import Changes, Store
    from foundry_tui.contract.requests import CreateTask


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the configuration and the command line decide about the app."""

    theme: str = "foundry-dark"
    ascii: bool = False
    """Draw with ASCII characters only."""
    keymap: Mapping[str, str] = field(default_factory=dict)
    """Action id → keys, comma between, as Textual names them."""
    notifications: bool = True
    """Tell of tasks that are not in view when they become ready, fail or ask."""
    bell: bool = True
    """Ring the terminal's bell with a notification."""
    terminal_notifications: bool = True
    """Send OSC 9 and OSC 777 with a notification."""
    repo: str | None = None
    """The repository of the folder that the app was started in: a path, first in the new-task dialog."""


class FoundryApp(App[None]):
    """The app. Screens receive `store` and `commands` and nothing else of the client."""

    TITLE = "Foundry"
    BINDINGS = actions.bindings(APP)
    ENABLE_COMMAND_PALETTE = True

    class StoreChanged(Message):
        """The store was flushed; `changes` says what is different."""

        def __init__(self, changes: "Changes") -> None:
            super().__init__()
            self.changes = changes

    def __init__(
        self,
        store: "Store",
        commands: "Commands",
        *,
        clock: Clock | None = None,
        options: Options | None = None,
        on_first_paint: Callable[[], None] | None = None,
    ) -> None:
        """`on_first_paint` is called once, after the first screen stands: the moment to begin networking."""
        super().__init__()
        self.store = store
        self.commands = commands
        self.clock: Clock = clock or SystemClock()
        self.options = options or Options()
        self._on_first_paint = on_first_paint
        self.set_keymap(dict(self.options.keymap))

    @property
    def undoable(self) -> bool:
        """Whether something was done that `u` takes back."""
        return False

    def on_mount(self) -> None:
        commands = self.commands
        self._unlisten = self.store.listen(lambda changes: self.post_message(self.StoreChanged(changes)))
        commands.on_problem = self._tell_problem
        from foundry_tui.screens.tasks import TasksScreen

        self.push_screen(TasksScreen())
        if self._on_first_paint is not None:
            self.call_after_refresh(self._on_first_paint)

    def on_unmount(self) -> None:
        self._unlisten()

    def on_foundry_app_store_changed(self, message: StoreChanged) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, FoundryScreen):
                screen.on_store_changed(message.changes)

    def context(self) -> Context:
        """What actions would act on now, as the screen on top says it."""
        screen = self.screen
        return screen.context() if isinstance(screen, FoundryScreen) else Context(screen="")

    def live_actions(self) -> list[Action]:
        """The actions that apply on the screen on top."""
        return actions.live(self.context(), dialog=isinstance(self.screen, ModalScreen))

    def keys_of(self, action: Action) -> tuple[str, ...]:
        """The keys of an action as they are configured."""
        return actions.keys_of(action, self.options.keymap)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "act":
            return actions.find(str(parameters[0])).applies(self.context())
        return super().check_action(action, parameters)

    async def action_act(self, action_id: str) -> None:
        """Do an action of the table, on the screen or else on the app, or say why it cannot be done."""
        action = actions.find(action_id)
        why = action.why_not(self.context())
        if why is not None:
            self.notify(f"Cannot {action.label}: {why}.", severity="warning", timeout=3)
            return
        namespace = "screen" if hasattr(self.screen, f"action_{action_id}") else "app"
        await self.run_action(f"{namespace}.{action_id}")

    def open_task(self, task_id: str) -> None:
        """Show a task, over the screen that is on top; nothing is asked of the network first."""
        from foundry_tui.screens.task import TaskScreen

        self.push_screen(TaskScreen(task_id))

    def open_new_task(self, repo: str | None = None, draft: "CreateTask | None" = None) -> None:
        """Open the new-task dialog, for a repository, or filled in from an earlier request."""
        from foundry_tui.screens.new_task import NewTaskScreen

        self.push_screen(NewTaskScreen(repo, draft))

    def action_new_task(self) -> None:
        self.open_new_task(self.options.repo)

    async def action_back(self) -> None:
        if len(self.screen_stack) > 2:
            await self.pop_screen()

    def action_reconnect(self) -> None:
        self.commands.reconnect()

    def _tell_problem(self, problem: "CommandProblem") -> None:
        self.notify(problem.message, title=f"Could not {problem.action}", severity="error")
