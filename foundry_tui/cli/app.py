"""Opening the app: it paints first, then the network begins and the backend is started where none runs."""

import os
import signal
from functools import partial
from pathlib import Path

import click

from foundry_tui import config, daemon
from foundry_tui.app import FoundryApp, Options
from foundry_tui.cli.context import Context
from foundry_tui.cli.repositories import is_repository
from foundry_tui.cli.terminal import need_terminal
from foundry_tui.client.connection import Target
from foundry_tui.contract.events import TASKS

KEPT = "app.json"
"""File in the state folder for drafts and what the backend has not answered yet."""


def run_app(context: Context) -> None:
    """Open the app on the backend that the settings mean. Raises `CommandError` where there is no terminal."""
    need_terminal()
    target, own = context.target
    how = daemon.plan(context.settings) if own else None
    keep = config.state_dir() / KEPT
    import anyio

    anyio.run(partial(_run, target, how, keep, options(context.settings, _repository_here())))


def options(settings: config.Settings, repo: str | None) -> Options:
    """What the settings say of the app, opened on a repository."""
    app, plain = settings.app, Options()
    return Options(
        theme=app.theme or plain.theme,
        ascii=app.ascii,
        keymap=settings.keys,
        notifications=app.notifications,
        bell=app.bell,
        terminal_notifications=app.terminal_notifications,
        repo=repo,
    )


def _repository_here() -> str | None:
    try:
        here = Path.cwd()
    except OSError:
        return None
    return next((str(folder) for folder in (here, *here.parents) if is_repository(folder)), None)


async def _run(target: Target, how: daemon.Plan | None, keep: Path, chosen: Options) -> None:
    import anyio
    from anyio import to_thread

    from foundry_tui.client.foundry import Foundry

    foundry = Foundry(target, keep=keep)
    # the list stands behind every screen, so its topic is held for as long as the app is open
    foundry.hold(TASKS)
    painted = anyio.Event()
    app = FoundryApp(foundry.store, foundry, options=chosen, on_first_paint=painted.set)

    async def connect() -> None:
        await painted.wait()
        async with anyio.create_task_group() as group:
            await group.start(foundry.run)
            if how is not None:
                try:
                    await to_thread.run_sync(daemon.ensure, how, abandon_on_cancel=True)
                except daemon.DaemonError as error:
                    app.notify(f"{error.message}\n{error.hint}", severity="error", timeout=30)
                foundry.reconnect()

    async with anyio.create_task_group() as group:
        group.start_soon(connect)
        group.start_soon(leave_on_signal, app)
        await app.run_async()
        group.cancel_scope.cancel()
    if app.return_code:
        raise click.exceptions.Exit(app.return_code)


async def leave_on_signal(app: FoundryApp) -> None:
    """Leave the app in good order, the terminal restored, when the process is told to end."""
    import anyio

    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGHUP) as signals:
        async for number in signals:
            app.exit(return_code=128 + number)
            if number == signal.SIGHUP:
                # the terminal is gone: what is drawn from here on goes nowhere
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, 1)
                os.dup2(null, 2)
            return
