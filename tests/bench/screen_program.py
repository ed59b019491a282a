"""The program that the task screen's benchmark watches: the app on a store, with a key for an empty screen.

`ctrl+k` puts an empty screen of Textual's over whatever is open. After the first frame of each screen it writes a
mark to the terminal, so that who watches knows when the frame is there.
"""

from pathlib import Path, PurePath
from typing import ClassVar

from rich.console import RenderableType
from textual.binding import Binding, BindingType
from textual.screen import Screen

import foundry_tui
from foundry_tui.app.app import FoundryApp
from foundry_tui.app.options import Options
from foundry_tui.app.textual_compat import write_to_terminal
from foundry_tui.client.task_defaults import TaskDefaults
from foundry_tui.contract.requests import CreateTask
from foundry_tui.contract.status import TaskStatus
from tests.app.harness import FakeCommands
from tests.app.task_scenes import status_scene

PACKAGE = Path(foundry_tui.__file__).parent / "app"


class Empty(Screen[None]):
    """A screen with nothing in it."""


def mark(screen: str) -> str:
    """What is written after the first frame of a screen of this class."""
    return f"\x1b]777;painted;{screen}\x07"


class Marking(FoundryApp, inherit_css=False):
    """The app as it is, told apart by its marks only."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+k", "push_empty", priority=True)]
    CSS_PATH: ClassVar[list[str | PurePath]] = [PACKAGE / path for path in FoundryApp.CSS_PATH]
    _painted: Screen[object] | None = None

    def action_push_empty(self) -> None:
        self.push_screen(Empty())

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        super()._display(screen, renderable)
        if renderable is not None and screen is not self._painted:
            self._painted = screen
            write_to_terminal(self, mark(type(screen).__name__))


class Creating(FakeCommands):
    """Commands that put what is created into the store, as the client does before it asks the backend."""

    def create(self, request: CreateTask, defaults: TaskDefaults | None = None) -> str:
        task_id = self._id()
        sent = CreateTask(repo=request.repo, prompt=request.prompt, task_id=task_id, session_id=f"session-{task_id}")
        store.create(sent)
        return task_id


store = status_scene(TaskStatus.IDLE)


def main() -> None:
    options = Options(bell=False, terminal_notifications=False, repo="/src/shop")
    Marking(store, Creating(), options=options).run()


if __name__ == "__main__":
    main()
