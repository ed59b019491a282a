"""Asking whether the set-up of a repository may run, after a task was created in it."""

from time import monotonic

import anyio
from textual.screen import ModalScreen

from foundry_tui.app.host import Host
from foundry_tui.app.task_actions import QUIET_SECONDS
from foundry_tui.contract.requests import CreateTask
from foundry_tui.screens.base import FoundryScreen
from foundry_tui.screens.trust import TrustScreen


async def _pause(host: Host) -> None:
    """Wait until nothing is written and no dialog is open: what is typed for another screen must not answer this."""
    while True:
        screen, quiet = host.app.screen, monotonic() - host.typed_at
        busy = isinstance(screen, ModalScreen) or (isinstance(screen, FoundryScreen) and screen.writing)
        if not busy and quiet >= QUIET_SECONDS:
            return
        await anyio.sleep(QUIET_SECONDS if busy else QUIET_SECONDS - quiet)


async def ask_for_trust(host: Host, request: CreateTask, asked: set[str]) -> None:
    """Ask about the set-up of the repository that a task was just created in, once for each content.

    `asked` has the digests that were asked about, and is kept. The task has gone on meanwhile. Nothing is asked where
    the backend cannot be asked.
    """
    from foundry_tui.client.api import ApiProblem, Unreachable

    commands, app = host.commands, host.app
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
    await _pause(host)
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
