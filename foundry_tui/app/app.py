"""The shell: it holds the store and the commands, opens screens, runs actions and passes on what changed."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec.structs import replace
from textual import events
from textual.app import SystemCommand
from textual.command import Provider
from textual.geometry import Size
from textual.message import Message
from textual.notifications import Notification, SeverityLevel
from textual.screen import ModalScreen, Screen
from textual.timer import Timer

from foundry_tui.actions import table as actions
from foundry_tui.actions.context import APP, Context
from foundry_tui.actions.model import Action
from foundry_tui.app import textual_compat, theme_choice, themes
from foundry_tui.app.action_dispatch import ActionDispatch
from foundry_tui.app.archiving import Archiving
from foundry_tui.app.backend_start import BackendStart
from foundry_tui.app.confirmations import Confirmations
from foundry_tui.app.first_run import FirstRun
from foundry_tui.app.key_order import KeyOrder
from foundry_tui.app.news import NewsNotifier
from foundry_tui.app.next_ask import NextAsk
from foundry_tui.app.notifications import TerminalNotifier
from foundry_tui.app.options import Options
from foundry_tui.app.task_actions import TaskActions
from foundry_tui.client.changes import Changes
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.events import TASKS
from foundry_tui.contract.records import TaskSummary
from foundry_tui.screens.base import FoundryScreen, breakpoint_of
from foundry_tui.screens.tasks import TasksScreen
from foundry_tui.view.clock import Clock, SystemClock
from foundry_tui.view.glyphs import Glyphs, glyph_set
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.control_filter import CONTROL_FILTER

if TYPE_CHECKING:
    from rich.console import RenderableType
    from textual.driver import Driver
    from textual.filter import LineFilter

    from foundry_tui.app.tour import TourGuide
    from foundry_tui.client.commands import Commands
    from foundry_tui.client.statistics import Diagnostics
    from foundry_tui.client.store import Store
    from foundry_tui.contract.requests import CreateTask
    from foundry_tui.view.first_run import NoAgent


BREAKPOINTS = [(0, "-narrow"), (80, "-medium"), (110, "-wide")]
"""Style classes of screens, by columns."""

LEAST = Size(16, 4)
"""Columns and rows that are drawn at least, whatever the terminal has."""


def _palette_provider() -> type[Provider]:
    from foundry_tui.app.palette import PaletteProvider

    return PaletteProvider


class FoundryApp(textual_compat.UnusedKeys, textual_compat.MendedApp):
    """The app: it owns its parts, opens screens, and passes on what changed. Screens see it as a `Shell`.

    When the app ends, its screens close first. Timers and callbacks that fire after that do nothing: `set_timer`,
    `set_interval` and `while_open` see to it.
    """

    TITLE = "Foundry"
    BINDINGS = actions.bindings(APP)
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_palette_provider}
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
        self.sessions_asked: dict[str, CreateTask] = {}
        self._trust_asked: set[str] = set()
        self.tour: TourGuide | None = None
        self.looked_at: str | None = None
        """The task whose screen was on top last, until the list has its cursor there."""
        # Textual would turn colours into greys; with the terminal's own colours it leaves them out.
        colourless = "NO_COLOR" in os.environ
        super().__init__(ansi_color=True if colourless else None)
        for theme in themes.OURS:
            self.register_theme(theme)
        wanted = themes.COLOURLESS if colourless else self.options.theme
        textual_compat.begin_with_theme(self, wanted if wanted in self.available_themes else themes.DEFAULT)
        self._on_first_paint = on_first_paint
        self._unlisten: Callable[[], None] = lambda: None
        self._reply: Notification | None = None
        self._keys = KeyOrder(self, self._deliver, self.while_open)
        self.confirmations = Confirmations(self)
        self.archiving = Archiving(self)
        self.task_actions = TaskActions(self, self.confirmations, self.archiving)
        changed = partial(self._store_changed, Changes(freshness=True))
        self.backend = BackendStart(self, run_backend, changed)
        self._first_run = FirstRun(self, ours=run_backend is not None, changed=changed)
        self.take_agents, self.look_for_agents = self._first_run.take, self._first_run.look
        next_ask = NextAsk(self)
        self.asks_beside = next_ask.beside
        self._dispatch = ActionDispatch(self, self.options.keymap, self.task_actions, next_ask, self._first_run, self)
        write, told = partial(textual_compat.write_to_terminal, self), self.options
        notifier = TerminalNotifier(write, self.bell, bell=told.bell, terminal=told.terminal_notifications)
        self.news = NewsNotifier(self, notifier, telling=told.notifications)
        self.set_keymap(dict(self.options.keymap))

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
        self.commands.on_problem = self.while_open(self.confirmations.tell_problem)
        self.news.open()
        self.set_interval(1, self._tick)
        if self._on_first_paint is not None:
            self.call_after_refresh(self._on_first_paint)

    def exit(self, result: None = None, return_code: int = 0, message: "RenderableType | None" = None) -> None:
        for screen in self._screens():
            if screen.is_mounted:
                screen.keep_written()
        super().exit(result, return_code, message)

    def on_unmount(self) -> None:
        self.archiving.finish()
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
            self.news.read(changes)
        if self.store.freshness().is_live:
            self.backend.heard()
        self.context_changed()

    def _tick(self) -> None:
        for screen in self._screens():
            if screen.is_mounted:
                screen.on_tick()

    def _screens(self) -> list[FoundryScreen[Any]]:
        """Our own screens that are open; one that was opened just now may not be mounted yet."""
        return [screen for screen in self.screen_stack if isinstance(screen, FoundryScreen)]

    def on_app_focus(self, _: events.AppFocus) -> None:
        self.news.in_front = True

    def on_app_blur(self, _: events.AppBlur) -> None:
        self.news.in_front = False

    async def on_event(self, event: events.Event) -> None:
        # In even less room Textual fails to wrap texts; the terminal shows what it has room for.
        if isinstance(event, events.Resize) and (event.size.width < LEAST.width or event.size.height < LEAST.height):
            size = Size(max(event.size.width, LEAST.width), max(event.size.height, LEAST.height))
            event = events.Resize(size, size)
        # Textual would begin to select text in a widget that it has just removed and not yet painted over.
        if isinstance(event, events.MouseDown) and self._is_gone_at(event.x, event.y):
            return
        if isinstance(event, (events.Key, events.Paste)) and not event.is_forwarded:
            await self._keys.take(event)
        else:
            await super().on_event(event)

    async def _deliver(self, event: events.Event) -> None:
        """Give what was typed to who takes keys now, unless it belongs to keys pressed one after the other."""
        if not isinstance(event, events.Key) or not await self._dispatch.take(event.key):
            await super().on_event(event)

    @property
    def typing(self) -> bool:
        """Whether something that was typed has not come to its end."""
        return self.is_running and self._keys.typing

    @property
    def typed_at(self) -> float:
        """When something was typed last, by the monotonic clock, in seconds."""
        return self._keys.typed_at

    def while_open(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        """`callback` as long as there is a screen, and nothing (None) afterwards."""

        @wraps(callback)
        def call(*arguments: Any) -> Any:
            return callback(*arguments) if self.screen_stack else None

        return call

    def set_timer(self, delay: float, callback: Callable[..., Any] | None = None, **options: Any) -> Timer:
        return super().set_timer(delay, callback and self.while_open(callback), **options)

    def set_interval(self, interval: float, callback: Callable[..., Any] | None = None, **options: Any) -> Timer:
        return super().set_interval(interval, callback and self.while_open(callback), **options)

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
        context = screen.context() if isinstance(screen, FoundryScreen) else Context(screen="")
        return replace(context, touring=True) if self.tour is not None and self.tour.takes_escape else context

    def context_changed(self) -> None:
        """The footer is made anew from what can be done now."""
        screen = self.screen_stack[-1] if self.screen_stack else None
        if isinstance(screen, FoundryScreen):
            screen.show_actions()
            if self.tour is not None:
                self.tour.place()

    def lead(self, tour: "TourGuide") -> None:
        """Lead through the demo's tour."""
        self.tour = tour
        self._dispatch.on_done = tour.done
        self.context_changed()

    def action_leave_tour(self) -> None:
        if self.tour is not None:
            self.tour.action_leave_tour()

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

    async def action_press(self, action_id: str) -> None:
        """Do the action of a key; one that does not apply now leaves the key to the next action that has it."""
        await self._dispatch.press(action_id)

    async def action_act(self, action_id: str) -> None:
        """Do an action of the table, or say why it cannot be done."""
        await self._dispatch.act(action_id)

    def key_unused(self, key: str) -> None:
        self._dispatch.key_unused(key)

    def action_help_quit(self) -> None:
        """With `ctrl+c` and nothing selected that it would copy."""
        after = "the backend goes on working" if self.options.lasting else "what you see here ends with it"
        words = f"{self._dispatch.keys_told('quit')} leaves Foundry; {after}."
        self.reply(words, "Nothing is selected", severity="warning")

    async def action_leave(self) -> None:
        await self.action_act("quit" if isinstance(self.screen, TasksScreen) else "back")

    async def on_action_bar_pressed(self, message: ActionBar.Pressed) -> None:
        # A second click may come when the first has led to another screen.
        if self.screen in message.bar.ancestors:
            await self.action_act(message.action.id)

    def open_task(self, task_id: str, *, instead: bool = False) -> None:
        """Show a task, over the screen that is on top or in its stead; nothing is asked of the network first."""
        from foundry_tui.screens.task import TaskScreen

        self.news.opened(task_id)
        (self.switch_screen if instead else self.push_screen)(TaskScreen(task_id))

    def open_new_task(self, repo: str | None = None, draft: "CreateTask | None" = None) -> None:
        """Open the new-task dialog, for a repository, or filled in from an earlier request."""
        from foundry_tui.screens.new_task import NewTaskScreen

        self.push_screen(NewTaskScreen(repo, draft))

    def ask_for_trust(self, request: "CreateTask") -> None:
        """Ask about a set-up that nobody trusted yet, over whatever is on the screen by then."""
        from foundry_tui.app.trust import ask_for_trust

        ask = ask_for_trust(self, self.confirmations, request, self._trust_asked)
        self.run_worker(ask, group="trust", exit_on_error=False)

    def show_setup(self, task: TaskSummary) -> None:
        """Show what the set-up of a task's repository would run, to be trusted, or say why there is nothing to ask."""
        from foundry_tui.app.trust import offer_setup

        look = offer_setup(self, self.confirmations, task.repo_id, task.repo_label)
        self.run_worker(look, group="trust", exit_on_error=False)

    has_binding = staticmethod(textual_compat.has_binding)
    draw_unseen = staticmethod(textual_compat.draw_unseen)
    show_at_once = staticmethod(textual_compat.show_at_once)

    async def compose_unseen(self, screen: Screen[Any]) -> None:
        """Mount a screen that is not shown yet."""
        await textual_compat.compose_unseen(self, screen)

    def action_new_task(self) -> None:
        self.open_new_task(self.options.repo)

    async def action_back(self) -> None:
        if len(self.screen_stack) > 1:
            await self.pop_screen()

    def action_command_palette(self) -> None:
        from foundry_tui.app.palette import Palette

        if not isinstance(self.screen, Palette):
            self.read_styles("app/palette.tcss")
            dialog = isinstance(self.screen, ModalScreen)
            found = "An action of this dialog, or a theme" if dialog else "An action, or a task: words, status:failed…"
            self.push_screen(Palette(placeholder=found))

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
    def starting(self) -> bool:
        return self.backend.starting

    @property
    def why_no_start(self) -> str | None:
        return self.backend.why_not

    def action_start_backend(self) -> None:
        self.run_worker(self.backend.start(), group="backend")

    @property
    def no_agent(self) -> "NoAgent | None":
        return self._first_run.missing

    @property
    def undoable(self) -> bool:
        return bool(self.archiving.task_ids)

    @property
    def leaving(self) -> frozenset[str]:
        return self.archiving.task_ids

    def action_toggle_theme(self) -> None:
        self.choose_theme(themes.opposite(self.theme))

    def choose_theme(self, name: str) -> None:
        """Take a theme, and keep it for the next start unless the settings name one."""
        self.theme = name
        self.reply(theme_choice.keep(self.options, name), f"Theme {name}")

    def action_toggle_notifications(self) -> None:
        self.news.telling = not self.news.telling
        self.reply(f"Notifications are {'on' if self.news.telling else 'off'}.")

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """None of Textual's own: the table of actions has all there is."""
        return ()

    def notify(self, message: str, **options: Any) -> None:
        """Say something in passing, as it stands: none of it is markup, and control characters have marks."""
        title = harmless(options.get("title", ""))
        super().notify(harmless(message, lines=True), **{**options, "title": title, "markup": False})

    def reply(self, words: str, title: str = "", *, severity: SeverityLevel = "information") -> None:
        """Say what came of a key, in place of what came of the key before; nothing if that is being said."""
        reply = Notification(harmless(words, lines=True), harmless(title), severity, timeout=3, markup=False)
        if textual_compat.replace_notification(self, self._reply, reply):
            self._reply = reply

    def copy(self, text: str, what: str = "") -> None:
        """Put this on the clipboard, and say so: `what` was copied, if the text itself is too long to be told."""
        self.copy_to_clipboard(text)
        self.reply(f"Copied {what or text}")
