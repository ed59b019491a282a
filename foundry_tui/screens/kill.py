"""The question before a task is killed, which offers its branch too where that has no commit of its own."""

from collections.abc import Sequence
from contextlib import suppress

from msgspec.structs import replace
from textual import on
from textual.widgets import Button, Static

from foundry_tui.actions.context import KILL, Context
from foundry_tui.actions.table import bindings
from foundry_tui.client.errors import RequestError
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.records import TaskSummary
from foundry_tui.screens.confirm import ConfirmScreen


class KillScreen(ConfirmScreen):
    """Answers True for yes; `with_branch` then says whether the branch is to go too."""

    SCREEN_NAME = KILL
    BINDINGS = bindings(KILL)

    def __init__(self, question: str, losses: Sequence[str], task: TaskSummary) -> None:
        super().__init__(question, losses, "Kill")
        self.with_branch = False
        self._about = task
        self._is_bare = False

    def context(self) -> Context:
        return replace(super().context(), bare_branch=self._is_bare)

    def on_mount(self) -> None:
        self.run_worker(self._offer_branch(), exit_on_error=False)

    async def _offer_branch(self) -> None:
        """Have the backend look at the worktree: so it also knows what would be lost by the time it is asked to."""
        # That fails where there is nothing to be lost.
        with suppress(RequestError):
            found = await self.foundry.commands.diff(self._about.task_id)
            # A commit that is made meanwhile keeps the branch: the backend refuses then.
            if found.commits == 0 and self._about.branch:
                self._is_bare = True
                note = f"Its branch {harmless(self._about.branch)} has no commit of its own."
                label = f"Kill with branch  {self.key_of('confirm_with_branch')}"
                await self.query_one("#told").mount(Static(note, markup=False))
                await self.query_one("#answers").mount(Button(label, id="with-branch", variant="error", compact=True))

    @on(Button.Pressed, "#with-branch")
    def action_confirm_with_branch(self) -> None:
        self.with_branch = True
        self.dismiss(True)
