"""Asking whether the set-up of a repository may run, after a task was created in it or where one wants to see it."""

from foundry_tui.app.confirmations import Confirmations
from foundry_tui.app.host import Host
from foundry_tui.client.errors import RequestError
from foundry_tui.contract.requests import CreateTask, RepoSetup
from foundry_tui.screens.trust import TrustScreen


async def ask_for_trust(host: Host, confirmations: Confirmations, request: CreateTask, asked: set[str]) -> None:
    """Ask about the set-up of the repository that a task was just created in, once for each content; `asked` is kept.

    The task has gone on meanwhile. Nothing is asked where the backend cannot be asked.
    """
    commands = host.commands
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
    _ask(host, confirmations, repo.repo_id, repo.label, setup.digest, setup)


async def offer_setup(host: Host, confirmations: Confirmations, repo_id: str, label: str) -> None:
    """Show what the set-up of a repository would run, to be trusted, or say why there is nothing to be asked."""
    try:
        setup = await host.commands.repo_setup(repo_id)
    except RequestError as error:
        host.app.notify(f"The set-up of {label} cannot be looked at: {error}", severity="error")
        return
    if setup.digest is None:
        host.reply(
            f"{label} has nothing that wants trust: no setup, teardown, mcp.json or rules in its .foundry folder."
        )
    elif setup.trusted:
        host.reply(f"The set-up of {label} is trusted as it is now.")
    else:
        _ask(host, confirmations, repo_id, label, setup.digest, setup)


def _ask(host: Host, confirmations: Confirmations, repo_id: str, label: str, digest: str, setup: RepoSetup) -> None:
    """Ask as soon as nothing is being typed, and have the backend trust this very content if the answer is yes."""

    def answered(agreed: bool | None) -> None:
        if agreed:
            host.app.run_worker(_trust(host, repo_id, digest), group="trust", exit_on_error=False)
        else:
            host.app.notify(f"Skipped. To trust it later: “Trust set-up” in the palette, or foundry trust {repo_id}")

    if setup.problem is not None:
        host.app.notify(f"{label}'s set-up is skipped: {setup.problem}", severity="warning")
    else:
        confirmations.ask_in_a_pause(lambda: host.app.push_screen(TrustScreen(label, setup), answered))


async def _trust(host: Host, repo_id: str, digest: str) -> None:
    try:
        await host.commands.trust(repo_id, digest)
    except RequestError as error:
        host.app.notify(f"Not trusted: {error}", severity="error")
    else:
        host.app.notify("Trusted: new tasks run it. One that began without it can run it in its shell.")
