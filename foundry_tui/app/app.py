"""The shell: it holds the store and the commands, opens screens, runs actions and passes on what changed."""

import asyncio
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import Struct
from textual import events
from textual.app import SystemCommand
from textual.command import Provider
from textual.geometry import Size
from textual.message import Message
from textual.screen import ModalScreen, Screen

from foundry_tui.actions import table as actions
from foundry_tui.actions.context import APP, Context
from foundry_tui.actions.model import Action
from foundry_tui.app import themes
from foundry_tui.app.notifications import Herald, toasts
from foundry_tui.app.task_actions import TaskActions
from foundry_tui.client.changes import Changes
from foundry_tui.contract.events import TASKS
from foundry_tui.contract.records import TaskSummary
from foundry_tui.screens.base import FoundryScreen, breakpoint_of
from foundry_tui.screens.tasks import TasksScreen
from foundry_tui.view.clock import Clock, SystemClock
from foundry_tui.view.glyphs import Glyphs, glyph_set
from foundry_tui.view.keys import key_label
from foundry_tui.view.news import NewsDesk
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.control_filter import CONTROL_FILTER

if TYPE_CHECKING:
    from rich.console import RenderableType
    from textual.driver import Driver
    from textual.filter import LineFilter

    from foundry_tui.client.commands import Commands
    from foundry_tui.client.statistics import Diagnostics
    from foundry_tui.client.store import Store
    from foundry_tui.contract.requests import CreateTask


BREAKPOINTS = [(0, "-narrow"), (80, "-medium"), (110, "-wide")]
"""Style classes of screens, by columns."""

ANSWER_SECONDS = 5.0
"""How long a backend that was started is said to be starting while the list does not hear from it."""

LEAST = Size(16, 4)
"""Columns and rows that are drawn at least, whatever the terminal has."""


class Options(Struct, frozen=True, kw_only=True):
    """What the configuration and the command line decide about the app."""

    theme: str = themes.DEFAULT
    ascii: bool = False
    """Draw with ASCII characters only."""
    keymap: Mapping[str, str] = MappingProxyType({})
    """Action id → keys, comma between, as Textual names them."""
    notifications: bool = True
    """Tell of tasks that are not in view when they become ready, fail or ask."""
    bell: bool = True
    """Ring the terminal's bell with a notification."""
    terminal_notifications: bool = True
    """Send OSC 9 or OSC 777 with a notification."""
    repo: str | None = None
    """The repository of the folder that the app was started in: a path, first in the new-task dialog."""
    agents: tuple[str, ...] = ()
    """Agents that the config names, for our own backend."""
    lasting: bool = True
    """The backend goes on when the app is left."""


def _everything() -> type[Provider]:
    from foundry_tui.app.palette import Everything

    return Everything


class FoundryApp(TaskActions):
    """The app. Screens receive `store` and `commands` and nothing else of the client."""

    TITLE = "Foundry"
    BINDINGS = actions.bindings(APP)
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_everything}
    COMMAND_PALETTE_BINDING = ""
    HORIZONTAL_BREAKPOINTS = BREAKPOINTS
    SUSPENDED_SCREEN_CLASS = "-suspended"
    CSS_PATH: ClassVar[list[str | PurePath]] = [
        "app.tcss",
        "../screens/tasks.tcss",
        "../widgets/task_list.tcss",
    ]

    class StoreChanged(Message):
        """The store was flushed; `changes` says what is different."""

        def __init__(self, changes: Changes) -> None:
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
        diagnostics: "Callable[[], Diagnostics] | None" = None,
        run_backend: Callable[[], bool] | None = None,
    ) -> None:
        """`on_first_paint` is called once, after the first screen stands: the moment to begin networking.

        `diagnostics` is asked while the diagnostics screen is open. `run_backend` has a backend of our own run, blocks
        until it does, and says whether it does; None where the backend is another's.
        """
        self.store = store
        self.commands = commands
        self.clock: Clock = clock or SystemClock()
        self.options = options or Options()
        self.glyphs: Glyphs = glyph_set(self.options.ascii)
        self.diagnostics = diagnostics
        self._run_backend = run_backend
        self.sessions_asked = {}
        self._to_ask = deque()
        self._branches_too = set()
        self.trust_asked: set[str] = set()
        self._live = asyncio.Event()
        self.looked_at: str | None = None
        """The task whose screen was on top last, until the list has its cursor there."""
        self.starting = False
        """Whether our own backend is being started, or found to run."""
        self.notifying = self.options.notifications
        # Textual would turn colours into greys; with the terminal's own colours it leaves them out.
        colourless = "NO_COLOR" in os.environ
        super().__init__(ansi_color=True if colourless else None)
        for theme in themes.OURS:
            self.register_theme(theme)
        wanted = themes.COLOURLESS if colourless else self.options.theme
        self._begin_with(wanted if wanted in self.available_themes else themes.DEFAULT)
        self._on_first_paint = on_first_paint
        self._unlisten: Callable[[], None] = lambda: None
        self._desk = NewsDesk()
        self._desk_open = False
        self._in_front = True
        self._herald = Herald(
            self._write, self.bell, bell=self.options.bell, terminal=self.options.terminal_notifications
        )
        self.set_keymap(dict(self.options.keymap))

    def _begin_with(self, theme: str) -> None:
        """Take a theme before anything is drawn; set as usual, it would have all styles read and applied twice."""
        self.set_reactive(FoundryApp.theme, theme)
        dark = self.current_theme.dark
        self.update_classes({f"-theme-{theme}": True, "-dark-mode": dark, "-light-mode": not dark}, update=False)
        self._refresh_truecolor_filter(self.ansi_theme)
        self.stylesheet.set_variables(self.get_css_variables())

    def get_css_variables(self) -> dict[str, str]:
        variables = super().get_css_variables()
        self.theme_variables = {**themes.extra_variables(self.current_theme, variables), **variables}
        return self.theme_variables

    def get_line_filters(self) -> "Sequence[LineFilter]":
        filters = [*super().get_line_filters(), CONTROL_FILTER]
        if self.options.ascii:
            from foundry_tui.widgets.ascii_filter import ASCII_FILTER

            filters.append(ASCII_FILTER)
        return filters

    def get_default_screen(self) -> Screen[Any]:
        screen = TasksScreen()
        # So it is not styled and laid out again when it hears how wide it is.
        screen.add_class(breakpoint_of(BREAKPOINTS, self.size.width), update=False)
        return screen

    def get_driver_class(self) -> "type[Driver]":
        theirs = super().get_driver_class()
        if theirs.__name__ != "LinuxDriver":
            return theirs
        from foundry_tui.app.terminal import TerminalDriver

        return TerminalDriver

    def on_mount(self) -> None:
        self._unlisten = self.store.listen(self._store_changed)
        self.commands.on_problem = self.while_open(self.tell_problem)
        self._open_desk()
        self.set_interval(1, self._tick)
        if self._on_first_paint is not None:
            self.call_after_refresh(self._on_first_paint)

    def exit(self, result: None = None, return_code: int = 0, message: "RenderableType | None" = None) -> None:
        for screen in self._screens():
            if screen.is_mounted:
                screen.keep_written()
        super().exit(result, return_code, message)

    def on_unmount(self) -> None:
        self._archive_pending_now()
        self._unlisten()

    @property
    def loaded(self) -> bool:
        """Whether the backend has told of its tasks, so that an empty list is the truth."""
        return self.store.cursor(TASKS) is not None

    # News from the store, and from time.

    def _store_changed(self, changes: Changes) -> None:
        self.post_message(self.StoreChanged(changes))

    def on_foundry_app_store_changed(self, message: StoreChanged) -> None:
        changes = message.changes
        for screen in self._screens():
            if screen.is_mounted:
                screen.on_store_changed(changes)
            else:
                # It has drawn itself from the store as it was: it hears of this once it stands.
                screen.call_later(screen.on_store_changed, changes)
        if changes.tasks and self.screen_stack:
            self._read_news(changes)
        if self.store.freshness().is_live:
            self._live.set()
        self.context_changed()

    def _open_desk(self) -> None:
        if self.loaded:
            self._desk_open = True
            self._desk.open(self.store.tasks.values())

    def _read_news(self, changes: Changes) -> None:
        if not self._desk_open:
            self._open_desk()
            return
        news = self._desk.read(sorted(changes.tasks), self.store.tasks)
        if not self.notifying or not news:
            return
        screen = self.screen
        looking = screen.shows_task if isinstance(screen, FoundryScreen) else lambda _: False
        unseen = [item for item in news if not looking(item.task.task_id)]
        for text, severity in toasts(unseen):
            self.notify(text, severity=severity)
        self._herald.tell(news if not self._in_front else unseen)

    def _tick(self) -> None:
        for screen in self._screens():
            if screen.is_mounted:
                screen.on_tick()

    def _screens(self) -> list[FoundryScreen[Any]]:
        """Our own screens that are open; one that was opened just now may not be mounted yet."""
        return [screen for screen in self.screen_stack if isinstance(screen, FoundryScreen)]

    def on_app_focus(self, _: events.AppFocus) -> None:
        self._in_front = True

    def on_app_blur(self, _: events.AppBlur) -> None:
        self._in_front = False

    async def on_event(self, event: events.Event) -> None:
        # In even less room Textual fails to wrap texts; the terminal shows what it has room for.
        if isinstance(event, events.Resize) and (event.size.width < LEAST.width or event.size.height < LEAST.height):
            size = Size(max(event.size.width, LEAST.width), max(event.size.height, LEAST.height))
            event = events.Resize(size, size)
        # Textual would begin to select text in a widget that it has just removed and not yet painted over.
        if isinstance(event, events.MouseDown) and self._is_gone_at(event.x, event.y):
            return
        await super().on_event(event)

    def _is_gone_at(self, x: int, y: int) -> bool:
        widget, _ = self.screen.get_widget_and_offset_at(x, y)
        return widget is not None and widget.parent is None and not isinstance(widget, Screen)

    @contextmanager
    def suspend(self) -> Iterator[None]:
        """Lend the terminal, and take it back however the block ends, but for an app that is leaving.

        Textual takes it back only when nothing was raised. What the borrower's keys interrupt does not end the app.
        """
        lent = super().suspend()
        lent.__enter__()
        heeded = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGQUIT)}
        try:
            yield
        finally:
            for number, handler in heeded.items():
                signal.signal(number, handler)
            if self.is_running:
                lent.__exit__(None, None, None)

    def read_styles(self, *names: str) -> None:
        """Read style sheets, named by their paths in this package, unless they have been read."""
        folder = Path(__file__).parents[1]
        unread = [folder / name for name in names if not self.stylesheet.has_source(str(folder / name))]
        if unread:
            self.stylesheet.read_all(unread)
            self.refresh_css(animate=False)

    # Actions.

    def context(self) -> Context:
        """What actions would act on now, as the screen on top says it."""
        return self.context_of(self.screen)

    def context_of(self, screen: Screen[Any]) -> Context:
        """What actions would act on if this screen were on top."""
        return screen.context() if isinstance(screen, FoundryScreen) else Context(screen="")

    def context_changed(self) -> None:
        """The footer is made anew from what can be done now."""
        screen = self.screen_stack[-1] if self.screen_stack else None
        if isinstance(screen, FoundryScreen):
            screen.show_actions()

    def unmark(self, tasks: Sequence[TaskSummary]) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, TasksScreen):
                screen.unmark(task.task_id for task in tasks)

    def actions_of(self, screen: Screen[Any]) -> list[Action]:
        """The actions that apply while this screen is on top."""
        return actions.live(self.context_of(screen), dialog=isinstance(screen, ModalScreen))

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
            self._tell_not_now(action, why)
            return
        of_field = self.context().field in action.screens
        owners = (("focused", self.focused if of_field else None), ("screen", self.screen), ("app", self))
        namespace = next(name for name, owner in owners if hasattr(owner, f"action_{action_id}"))
        await self.run_action(f"{namespace}.{action_id}")
        self.context_changed()

    async def _check_bindings(self, key: str, priority: bool = False) -> bool:
        done = await super()._check_bindings(key, priority)
        if not done and not priority:
            self._tell_no_use(key)
        return done

    def _tell_no_use(self, key: str) -> None:
        """A key that does nothing says so, and why, unless one writes."""
        screen = self.screen
        if key == "ctrl+c":
            self.action_help_quit()
        # Out of everything one presses escape once too often, and wonders at nothing.
        elif isinstance(screen, FoundryScreen) and not screen.writing and key != "escape":
            context = screen.context()
            action = actions.with_key(context, key, self.options.keymap)
            label = key_label(key, ascii_only=self.options.ascii)
            if action is not None and (why := action.why_not(context)) is not None:
                self._tell_not_now(action, why)
            elif not isinstance(screen, ModalScreen):
                self.reply(
                    f"{label} does nothing here. {self._keys_told('show_help')} shows what does.", severity="warning"
                )

    def _tell_not_now(self, action: Action, why: str) -> None:
        self.reply(f"Not now: {why}.", action.label.capitalize(), severity="warning")

    def _keys_told(self, action_id: str) -> str:
        keys = self.keys_of(actions.find(action_id))
        return " or ".join(key_label(key, ascii_only=self.options.ascii) for key in keys)

    def action_help_quit(self) -> None:
        """With `ctrl+c` and nothing selected that it would copy."""
        after = "the backend goes on working" if self.options.lasting else "what you see here ends with it"
        words = f"{self._keys_told('quit')} leaves Foundry; {after}."
        self.reply(words, "Nothing is selected", severity="warning")

    async def action_leave(self) -> None:
        await self.action_act("quit" if isinstance(self.screen, TasksScreen) else "back")

    async def on_action_bar_pressed(self, message: ActionBar.Pressed) -> None:
        # A second click may come when the first has led to another screen.
        if self.screen in message.bar.ancestors:
            await self.action_act(message.action.id)

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
        if len(self.screen_stack) > 1:
            await self.pop_screen()

    def action_command_palette(self) -> None:
        from foundry_tui.app.palette import Palette

        if not isinstance(self.screen, Palette):
            self.read_styles("app/palette.tcss")
            self.push_screen(Palette(placeholder="An action, or a task by title, branch or status:failed…"))

    def action_show_help(self) -> None:
        from foundry_tui.screens.help import HelpScreen

        screen = self.screen
        if isinstance(screen, FoundryScreen):
            context = screen.context()
            self.push_screen(HelpScreen(context, screen.usable(context)))

    def action_diagnostics(self) -> None:
        from foundry_tui.screens.diagnostics import DiagnosticsScreen

        if isinstance(self.screen, DiagnosticsScreen):
            self.screen.dismiss()
        else:
            self.push_screen(DiagnosticsScreen())

    def action_reconnect(self) -> None:
        self.commands.reconnect()

    @property
    def why_no_start(self) -> str | None:
        """Why the backend cannot be started from here now, as a sentence without its full stop."""
        if self._run_backend is None:
            return "this backend is not ours to start"
        if self.starting:
            return "it is being started"
        return "it has not gone away" if self.store.freshness().is_live else None

    async def start_backend(self) -> None:
        """Have our own backend run; until it does, screens say that it is starting."""
        run = self._run_backend
        if run is None or self.starting:
            return
        from anyio import to_thread

        self._note_starting(True)
        try:
            # Who leaves meanwhile does not wait for it.
            if await to_thread.run_sync(run, abandon_on_cancel=True):
                self._live.clear()
                self.commands.reconnect()
                if not self.store.freshness().is_live:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(ANSWER_SECONDS):
                            await self._live.wait()
        finally:
            self._note_starting(False)

    def _note_starting(self, starting: bool) -> None:
        self.starting = starting
        self._store_changed(Changes(freshness=True))

    def action_start_backend(self) -> None:
        self.run_worker(self.start_backend(), group="backend")

    def action_toggle_theme(self) -> None:
        self.choose_theme(themes.opposite(self.theme))

    def choose_theme(self, name: str) -> None:
        """Take a theme until the app is left, and say how to keep it."""
        self.theme = name
        self.reply(f'To keep it, say theme = "{name}" in the file that `foundry config path` names.', f"Theme {name}")

    def action_toggle_notifications(self) -> None:
        self.notifying = not self.notifying
        self.reply(f"Notifications are {'on' if self.notifying else 'off'}.")

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """None of Textual's own: the table of actions has all there is."""
        return ()

    def notify(self, message: str, **options: Any) -> None:
        """Say something in passing, as it stands: none of it is markup."""
        super().notify(message, **{**options, "markup": False})

    def _write(self, sequence: str) -> None:
        if self._driver is not None:
            self._driver.write(sequence)
            self._driver.flush()
