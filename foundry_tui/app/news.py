"""Telling of tasks that are not in view: with toasts, and through the terminal."""

from typing import TYPE_CHECKING

from textual.screen import Screen

from foundry_tui.app.notifications import TerminalNotifier, toasts
from foundry_tui.app.textual_compat import take_notification_away
from foundry_tui.client.changes import Changes
from foundry_tui.contract.control_characters import harmless
from foundry_tui.screens.base import FoundryScreen
from foundry_tui.view.news import NewsFinder

if TYPE_CHECKING:
    from foundry_tui.app.host import Host


class NewsNotifier:
    """Finds out which changes of the store are news, and tells of those whose task is not on the screen."""

    def __init__(self, host: "Host", notifier: TerminalNotifier, *, telling: bool) -> None:
        self._host = host
        self._notifier = notifier
        self._desk = NewsFinder()
        self._is_open = False
        self._told: dict[str, str] = {}
        """What the last toast of a task said, by its id."""
        self.telling = telling
        """Whether it tells anything."""
        self.in_front = True
        """Whether the terminal has the focus."""

    def open(self) -> None:
        """Take note of the tasks that there are, once the backend has told of them: these are no news."""
        if self._host.loaded:
            self._is_open = True
            self._desk.open(self._host.store.tasks.values())

    def read(self, changes: Changes) -> None:
        """Tell what is new in these changes."""
        if not self._is_open:
            self.open()
            return
        news = self._desk.read(sorted(changes.tasks), self._host.store.tasks)
        if not self.telling or not news:
            return
        app = self._host.app
        unseen = [item for item in news if not _shows(app.screen, item.task.task_id)]
        told = toasts(unseen)
        for text, severity in told:
            app.notify(text, severity=severity)
        if len(told) == len(unseen):
            self._told |= {item.task.task_id: text for item, (text, _) in zip(unseen, told, strict=True)}
        self._notifier.tell(news if not self.in_front else unseen)

    def opened(self, task_id: str) -> None:
        """The task is on the screen: the toast that told of it would only cover what says the same."""
        if (text := self._told.pop(task_id, None)) is not None:
            take_notification_away(self._host.app, harmless(text, lines=True))


def _shows(screen: Screen[object], task_id: str) -> bool:
    return isinstance(screen, FoundryScreen) and screen.shows_task(task_id)
