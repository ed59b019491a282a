"""The app as its own parts see it: what screens see, and what these do on it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from textual.app import App
from textual.notifications import SeverityLevel

from foundry_tui.contract.requests import CreateTask
from foundry_tui.screens.shell import Shell

if TYPE_CHECKING:
    from foundry_tui.actions.context import Context
    from foundry_tui.contract.records import TaskSummary


class Host(Shell, Protocol):
    """The app as its own parts see it. `app` is the same as Textual has it: for timers, workers, screens and toasts."""

    @property
    def app(self) -> App[Any]: ...

    def context(self) -> "Context":
        """What actions would act on now."""

    def context_changed(self) -> None:
        """Footer and marks are to be drawn anew."""

    def action_help_quit(self) -> None:
        """Say how the app is left."""

    def unmark(self, tasks: "Sequence[TaskSummary]") -> None:
        """An action was done to those of these that it is for: they are marked no longer."""

    def open_new_task(self, repo: str | None = None, draft: CreateTask | None = None) -> None:
        """Open the new-task dialog, for a repository, or filled in from an earlier request."""

    def show_setup(self, task: "TaskSummary") -> None:
        """Show what the set-up of a task's repository would run, to be trusted, or say why there is nothing to ask."""

    def reply(self, words: str, title: str = "", *, severity: SeverityLevel = "information") -> None:
        """Say what came of a key, in place of what came of the key before; nothing if that is being said."""
