"""What the configuration and the command line decide about the app."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from msgspec import Struct

from foundry_tui.app import themes
from foundry_tui.client.task_defaults import TaskDefaults


class Options(Struct, frozen=True, kw_only=True):
    """What the configuration and the command line decide about the app."""

    theme: str = themes.DEFAULT
    keep_theme: Callable[[str], None] | None = None
    """Keeps a theme that was chosen for the next start (raises `OSError`); None where nothing is kept."""
    theme_is_set: bool = False
    """The settings name the theme, which counts again at the next start."""
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
    task_defaults: TaskDefaults = TaskDefaults()
    """What a new task has where the dialog names nothing."""
    lasting: bool = True
    """The backend goes on when the app is left."""
