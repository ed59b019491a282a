"""The question whether a repository's own set-up may run in its tasks' sandboxes: it shows all that this would run."""

from collections.abc import Iterable
from time import monotonic
from typing import TYPE_CHECKING, ClassVar

import anyio
from textual.screen import ModalScreen
from textual.widgets import Static
from textual.widgets.button import ButtonVariant

from foundry_tui.app.task_actions import QUIET_SECONDS
from foundry_tui.contract.records import Repo
from foundry_tui.contract.requests import CreateTask, RepoSetup
from foundry_tui.screens.base import FoundryScreen
from foundry_tui.screens.confirm import ConfirmScreen

if TYPE_CHECKING:
    from foundry_tui.app.app import FoundryApp

SIMULATED = "demo"
"""The provider that runs nothing of a repository."""


class TrustScreen(ConfirmScreen):
    """Answers True when what is shown is trusted. The focus begins on skipping it."""

    NOTE = "Until then tasks go on without it. Changed content is asked about again."
    YES: ClassVar[ButtonVariant] = "warning"

    def __init__(self, repo: Repo, setup: RepoSetup) -> None:
        super().__init__(f"Run the set-up of {repo.label} in its tasks' sandboxes?", yes="Trust it", no="Skip it")
        self._setup = setup

    def told(self) -> Iterable[Static]:
        for file in self._setup.files:
            yield Static(visible(file.path), classes="path", markup=False)
            yield Static(visible(file.text).rstrip("\n"), classes="text", markup=False)


async def _pause(app: "FoundryApp") -> None:
    """Wait until nothing is written and no dialog is open: what is typed for another screen must not answer this."""
    while True:
        screen, quiet = app.screen, monotonic() - app.typed_at
        busy = isinstance(screen, ModalScreen) or (isinstance(screen, FoundryScreen) and screen.writing)
        if not busy and quiet >= QUIET_SECONDS:
            return
        await anyio.sleep(QUIET_SECONDS if busy else QUIET_SECONDS - quiet)


def visible(text: str) -> str:
    """A file's text with all that a terminal would obey, or that would be read in another order, made `�`."""
    return "".join(each if each == "\n" or each.isprintable() else "�" for each in text.expandtabs(4))


async def ask_for_trust(app: "FoundryApp", request: CreateTask, asked: set[str]) -> None:
    """Ask about the set-up of the repository that a task was just created in, once for each content; `asked` is kept.

    The task has gone on meanwhile. Nothing is asked where the backend cannot be asked.
    """
    from foundry_tui.client.api import ApiProblem, Unreachable

    commands = app.commands
    try:
        is_path = request.repo.startswith("/")
        repo = await commands.add_repo(path=request.repo if is_path else None, remote=None if is_path else request.repo)
        if repo.trust is None or repo.trust.trusted or repo.trust.digest in asked:
            return
        setup = await commands.repo_setup(repo.repo_id)
    except (ApiProblem, Unreachable):
        return
    if setup.digest is None or setup.trusted:
        return
    asked.add(setup.digest)
    await _pause(app)
    if setup.problem is not None:
        app.notify(f"{repo.label}'s set-up is skipped: {setup.problem}", severity="warning")
    elif await app.push_screen_wait(TrustScreen(repo, setup)):
        try:
            await commands.trust(repo.repo_id, setup.digest)
        except (ApiProblem, Unreachable) as error:
            app.notify(f"not trusted: {error}", severity="error")
        else:
            app.notify("Trusted: new tasks run it. This one began without; run it in its shell if it is needed.")
    else:
        app.notify(f"Skipped. To trust it later: foundry trust {repo.repo_id}")
