"""Doing what a key, a click or the palette asks for, or saying why it cannot be done now."""

from collections.abc import Callable, Mapping
from inspect import isawaitable
from typing import TYPE_CHECKING

from textual.actions import SkipAction
from textual.screen import ModalScreen

from foundry_tui.actions import table as actions
from foundry_tui.actions.context import Context
from foundry_tui.actions.model import Action
from foundry_tui.screens.base import FoundryScreen
from foundry_tui.view.keys import key_label

if TYPE_CHECKING:
    from foundry_tui.app.host import Host


class ActionDispatch:
    """Finds who does an action of the table: the field in which one writes, the screen, its parts, or the app."""

    def __init__(self, host: "Host", keymap: Mapping[str, str], *others: object) -> None:
        """`keymap` has the keys that are configured, by action id; `others` do what no field and no screen does."""
        self._host = host
        self._keymap = keymap
        self._others = others
        self.on_done: Callable[[str], None] = lambda _: None
        """Told the id of each action that was done."""
        self._begun = ""
        """The keys of a sequence that were pressed so far, with spaces between."""

    async def take(self, key: str) -> bool:
        """Whether this key begins a sequence of the screen, or goes on with one; the last one does its action.

        A key that does not go on with what was begun ends that, and means what it means alone.
        """
        screen = self._host.app.screen
        begun, self._begun = self._begun, ""
        if not isinstance(screen, FoundryScreen) or screen.writing:
            return False
        known = actions.sequences(screen.SCREEN_NAME, self._keymap)
        pressed = f"{begun} {key}" if begun else key
        if action := known.get(pressed):
            await self._do(action, self._host.context())
            return True
        if any(keys.startswith(f"{pressed} ") for keys in known):
            self._begun = pressed
        return bool(self._begun)

    async def press(self, action_id: str) -> None:
        """Do the action of a key. Raises `SkipAction` for one that does not apply now: another may have the key too."""
        action, context = actions.find(action_id), self._host.context()
        if not action.applies(context):
            raise SkipAction
        await self._do(action, context)

    async def act(self, action_id: str) -> None:
        """Do an action, or say why it cannot be done."""
        await self._do(actions.find(action_id), self._host.context())

    async def _do(self, action: Action, context: Context) -> None:
        why = action.why_not(context)
        if why is not None:
            self._tell_not_now(action, why)
            return
        app = self._host.app
        field = app.focused if context.field in action.screens else None
        parts = app.screen.parts if isinstance(app.screen, FoundryScreen) else ()
        owners = (field, app.screen, *parts, *self._others)
        do = next(found for owner in owners if (found := getattr(owner, f"action_{action.id}", None)) is not None)
        if isawaitable(done := do()):
            await done
        self.on_done(action.id)
        self._host.context_changed()

    def key_unused(self, key: str) -> None:
        """Say that a key does nothing here, or why its action cannot be done; nothing while one writes."""
        screen = self._host.app.screen
        if key == "ctrl+c":
            self._host.action_help_quit()
        # Out of everything one presses escape once too often, and wonders at nothing.
        elif isinstance(screen, FoundryScreen) and not screen.writing and key != "escape":
            context = screen.context()
            action = actions.with_key(context, key, self._keymap)
            if action is not None and (why := action.why_not(context)) is not None:
                self._tell_not_now(action, why)
            elif not isinstance(screen, ModalScreen):
                label = key_label(key, ascii_only=self._host.options.ascii)
                helps = self.keys_told("show_help")
                self._host.reply(f"{label} does nothing here. {helps} shows what does.", severity="warning")

    def keys_told(self, action_id: str) -> str:
        """The keys of an action as people write them, like `? or f1`."""
        keys = self._host.keys_of(actions.find(action_id))
        return " or ".join(key_label(key, ascii_only=self._host.options.ascii) for key in keys)

    def _tell_not_now(self, action: Action, why: str) -> None:
        self._host.reply(f"Not now: {why}.", action.label.capitalize(), severity="warning")
