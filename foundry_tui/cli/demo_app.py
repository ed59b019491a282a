"""The app over the demo's world, with the story playing beside it."""

from functools import partial

import anyio
from anyio import to_thread

from foundry_tui.app import FoundryApp
from foundry_tui.cli.app import leave_on_signal, options
from foundry_tui.client.foundry import Foundry
from foundry_tui.config import Settings
from foundry_tui.contract.events import TASKS
from foundry_tui.demo_line import Line
from foundry_tui.demo_player import Player
from foundry_tui.demo_story import CUT_AT, CUT_FOR
from foundry_tui.demo_world import DemoError, World


def run_demo(world: World, settings: Settings) -> int:
    """Run the app until the person leaves; its exit code. Raises `DemoError` when the world cannot be made."""
    return anyio.run(partial(_run, world, settings))


async def _run(world: World, settings: Settings) -> int:
    foundry = Foundry(world.target)
    foundry.hold(TASKS)
    painted = anyio.Event()
    shop = str(world.repository("shop"))
    app = FoundryApp(foundry.store, foundry, options=options(settings, repo=shop), on_first_paint=painted.set)
    trouble: list[DemoError] = []

    async def play() -> None:
        await painted.wait()
        try:
            await to_thread.run_sync(world.make_repositories, abandon_on_cancel=True)
            await to_thread.run_sync(world.wait_until_ready, abandon_on_cancel=True)
        except DemoError as error:
            trouble.append(error)
            app.exit(return_code=1)
            return
        line = Line(world.front, world.back)
        async with anyio.create_task_group() as group:
            await group.start(line.run)
            await group.start(foundry.run)
            group.start_soon(Player(world).play)
            await anyio.sleep(CUT_AT / world.speed)
            await line.cut(CUT_FOR / world.speed)

    async with anyio.create_task_group() as group:
        group.start_soon(play)
        group.start_soon(leave_on_signal, app)
        await app.run_async()
        group.cancel_scope.cancel()
    if trouble:
        raise trouble[0]
    return app.return_code or 0
