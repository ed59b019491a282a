"""Opening the app: it paints first, then the network begins and the backend is started where none runs."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Timer
from types import FrameType
from typing import TYPE_CHECKING

from foundry_tui.app import themes
from foundry_tui.app.app import FoundryApp
from foundry_tui.app.options import Options
from foundry_tui.cli.context import Context
from foundry_tui.cli.kept_file import kept_for
from foundry_tui.cli.locale import is_utf8
from foundry_tui.cli.startup.garbage import collected_in_pauses
from foundry_tui.cli.startup.lazy_client import LazyClient, import_client
from foundry_tui.cli.startup.prefetch import PrefetchedSnapshot
from foundry_tui.cli.task_defaults import task_defaults
from foundry_tui.client.connection import Target
from foundry_tui.client.store import Store
from foundry_tui.contract.events import TASKS
from foundry_tui.process.repositories import repository_around
from foundry_tui.settings import config
from foundry_tui.settings.kept_theme import keep_theme, kept_theme, theme_file

if TYPE_CHECKING:
    from foundry_tui.client.commands import CommandProblem
    from foundry_tui.client.foundry import Foundry

Beside = Callable[[FoundryApp, LazyClient], Awaitable[None]]
"""What runs beside the app from its first paint on, and is cancelled when the person leaves."""
Ensure = Callable[[FoundryApp], bool]
"""Starts a backend of our own unless one runs. Blocks until it answers; False when it does not: the app says why."""

TURN_SECONDS = 0.0005
"""How long a thread of the app computes while another one waits for its turn."""
HAND_OVER_SECONDS = 2.0
"""How long what a person asked last may be on its way to the backend, once they have left."""
LEAVE_SECONDS = 5.0
"""How long leaving in good order may take, once the process was told to end."""


def run_app(context: Context, prefetched: PrefetchedSnapshot) -> int:
    """Run the app on the backend that the settings mean; its exit code."""
    target, own = context.target

    async def connect(app: FoundryApp, client: LazyClient) -> None:
        import anyio

        from foundry_tui.cli.startup.running import tell

        foundry, _ = await asyncio.gather(loaded(client), prefetched.apply(client.store))
        async with anyio.create_task_group() as group:
            await group.start(foundry.run)
            group.start_soon(tell, str(target), foundry.diagnostics)
            await app.backend.start()

    def ensure(app: FoundryApp) -> bool:
        from foundry_tui.process import backend as daemon

        try:
            running = daemon.ensure(daemon.plan(context.settings))
        except daemon.DaemonError as error:
            app.call_from_thread(app.notify, f"{error.message}\n{error.hint}", severity="error", timeout=30)
        except config.ConfigError as error:
            app.call_from_thread(app.notify, str(error), severity="error", timeout=30)
        else:
            if running.news:
                app.call_from_thread(app.notify, running.news, severity="warning", timeout=30)
            if running.untaken:
                words = daemon.not_taken(running.untaken)
                app.call_from_thread(app.notify, words, severity="warning", timeout=30)
            return True
        return False

    chosen = options(context.settings, _repository_here())
    return run_beside(target, kept_for(target, own), chosen, connect, ensure if own else None)


def run_beside(
    target: Target,
    keep: Path | None,
    chosen: Options,
    beside: Beside,
    ensure: Ensure | None = None,
    *,
    unseen: tuple[int, int] | None = None,
) -> int:
    """Run the app on a backend until the person leaves, with `beside` at work; its exit code.

    `unseen`: it is drawn on no terminal, but in so many columns and rows.
    """
    return asyncio.run(_run(target, keep, chosen, beside, ensure, unseen))


def options(settings: config.Settings, repo: str | None) -> Options:
    """What the settings say of the app, opened on a repository."""
    app, file = settings.app, theme_file()
    return Options(
        theme=app.theme or kept_theme(file) or themes.fitting(themes.colour_system()),
        keep_theme=partial(keep_theme, file),
        theme_is_set=app.theme is not None,
        ascii=not is_utf8() if app.ascii is None else app.ascii,
        keymap=settings.keys,
        notifications=app.notifications,
        bell=app.bell,
        terminal_notifications=app.terminal_notifications,
        repo=repo,
        agents=tuple(settings.agents) if settings.backend.address is None else (),
        task_defaults=task_defaults(settings),
    )


def _repository_here() -> str | None:
    try:
        found = repository_around(Path.cwd())
    except OSError:
        return None
    return None if found is None else str(found)


async def loaded(client: LazyClient) -> "Foundry":
    """The client, imported on a thread, so that the app goes on drawing and taking keys."""
    await asyncio.to_thread(import_client)
    return client.load()


async def _run(
    target: Target,
    keep: Path | None,
    chosen: Options,
    beside: Beside,
    ensure: Ensure | None,
    unseen: tuple[int, int] | None,
) -> int:
    store = Store()

    def make() -> "Foundry":
        from foundry_tui.client.foundry import Foundry

        return Foundry(target, keep=keep, store=store)

    client = LazyClient(store, make)
    # the list stands behind every screen, so its topic is held for as long as the app is open
    client.hold(TASKS)
    painted = asyncio.Event()
    app = FoundryApp(
        store,
        client.commands,
        options=chosen,
        on_first_paint=painted.set,
        diagnostics=client.diagnostics,
        run_backend=None if ensure is None else lambda: ensure(app),
    )

    async def work() -> None:
        await painted.wait()
        with collected_in_pauses(asyncio.get_running_loop(), lambda: app.typed_at):
            await beside(app, client)

    problems: list[CommandProblem] = []
    # what is drawn is written by a thread, which would wait for as long as the next drawing takes
    sys.setswitchinterval(TURN_SECONDS)
    # asyncio's own group: importing anyio would put off the first paint
    with _ended_by_signals(app):
        try:
            async with asyncio.TaskGroup() as group:
                working = group.create_task(work())
                await app.run_async(headless=unseen is not None, size=unseen)
                client.on_problem = problems.append
                if keep is not None and not app.return_code:
                    await client.hand_over(HAND_OVER_SECONDS)
                working.cancel()
                with suppress(asyncio.CancelledError):
                    await working
        finally:
            if keep is not None:
                from foundry_tui.cli.startup.leaving import tell_what_is_left

                client.save_now()
                opened = "Foundry is opened" if ensure is not None else f"Foundry is opened on {target}"
                tell_what_is_left(client.unanswered(), problems, opened)
    return app.return_code or 0


@contextmanager
def _ended_by_signals(app: FoundryApp) -> Iterator[None]:
    """Leave the app in good order when the process is told to end; it ends without that when that takes too long.

    What hangs may be the loop, over a terminal that takes no more, so the handlers do without it.
    """
    loop = asyncio.get_running_loop()

    def told(number: int, _: FrameType | None) -> None:
        patience = Timer(LEAVE_SECONDS, os._exit, [128 + number])
        patience.daemon = True
        patience.start()
        loop.call_soon_threadsafe(_leave, app, number)

    before = {number: signal.signal(number, told) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(app: FoundryApp, number: int) -> None:
    if number == signal.SIGHUP:
        # the terminal is gone: what is drawn from here on goes nowhere
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
    app.exit(return_code=128 + number)
