"""The question whether a repository's own set-up may run in its tasks' sandboxes: it shows all that this would run."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.widgets import Static
from textual.widgets.button import ButtonVariant

from foundry_tui.client.errors import RequestError
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.requests import CreateTask, RepoSetup
from foundry_tui.screens.confirm import ConfirmScreen

if TYPE_CHECKING:
    from foundry_tui.app.task_actions import TaskActions


class TrustScreen(ConfirmScreen):
    """Answers True when what is shown is trusted. The focus begins on skipping it."""

    NOTE = "Until then tasks go on without it. Another content is asked about again."
    YES: ClassVar[ButtonVariant] = "warning"

    def __init__(self, label: str, setup: RepoSetup) -> None:
        """`label` is the repository's."""
        super().__init__(f"Run the set-up of {label} in its tasks' sandboxes?", yes="Trust it", no="Skip it")
        self._setup = setup

    def told(self) -> Iterable[Static]:
        for file in self._setup.files:
            yield Static(harmless(file.path), classes="path", markup=False)
            yield Static(harmless(file.text.expandtabs(4), lines=True).rstrip("\n"), classes="text", markup=False)


async def ask_for_trust(app: "TaskActions", request: CreateTask, asked: set[str]) -> None:
    """Ask about the set-up of the repository that a task was just created in, once for each content; `asked` is kept.

    The task has gone on meanwhile. Nothing is asked where the backend cannot be asked.
    """
    commands = app.commands
    try:
        is_path = request.repo.startswith("/")
        repo = await commands.add_repo(path=request.repo if is_path else None, remote=None if is_path else request.repo)
        if repo.trust is None or repo.trust.trusted or repo.trust.digest in asked:
            return
        setup = await commands.repo_setup(repo.repo_id)
    except RequestError:
        return
    if setup.digest is None or setup.trusted:
        return
    asked.add(setup.digest)
    _ask(app, repo.repo_id, repo.label, setup.digest, setup)


async def look_at_setup(app: "TaskActions", repo_id: str, label: str) -> None:
    """Show what the set-up of a repository would run, to be trusted, or say why there is nothing to be asked."""
    try:
        setup = await app.commands.repo_setup(repo_id)
    except RequestError as error:
        app.notify(f"The set-up of {label} cannot be looked at: {error}", severity="error")
        return
    if setup.digest is None:
        app.reply(
            f"{label} has nothing that wants trust: no setup, teardown, mcp.json or rules in its .foundry folder."
        )
    elif setup.trusted:
        app.reply(f"The set-up of {label} is trusted as it is now.")
    else:
        _ask(app, repo_id, label, setup.digest, setup)


def _ask(app: "TaskActions", repo_id: str, label: str, digest: str, setup: RepoSetup) -> None:
    """Ask as soon as nothing is being typed, and have the backend trust this very content if the answer is yes."""

    def answered(agreed: bool | None) -> None:
        if agreed:
            app.run_worker(_trust(app, repo_id, digest), group="trust", exit_on_error=False)
        else:
            app.notify(f"Skipped. To trust it later: “Trust set-up” in the palette, or foundry trust {repo_id}")

    if setup.problem is not None:
        app.notify(f"{label}'s set-up is skipped: {setup.problem}", severity="warning")
    else:
        app.ask_in_a_pause(lambda: app.push_screen(TrustScreen(label, setup), answered))


async def _trust(app: "TaskActions", repo_id: str, digest: str) -> None:
    try:
        await app.commands.trust(repo_id, digest)
    except RequestError as error:
        app.notify(f"Not trusted: {error}", severity="error")
    else:
        app.notify("Trusted: new tasks run it. One that began without it can run it in its shell.")
