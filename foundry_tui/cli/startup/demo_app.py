"""The app over the demo's world, with the story playing beside it."""

from msgspec.structs import replace

from foundry_tui.app.app import FoundryApp
from foundry_tui.cli.startup.app import loaded, options, run_beside
from foundry_tui.cli.startup.lazy_client import LazyClient
from foundry_tui.demo.story import CUT_AT, CUT_FOR, FAST_FROM
from foundry_tui.demo.world import DemoError, World
from foundry_tui.settings.config import Settings


def run_demo(world: World, settings: Settings) -> int:
    """Run the app until the person leaves; its exit code. Raises `DemoError` when the world cannot be made."""
    trouble: list[DemoError] = []

    async def play(app: FoundryApp, client: LazyClient) -> None:
        import anyio
        from anyio import to_thread

        from foundry_tui.demo.player import Player
        from foundry_tui.demo.proxy import Line

        try:
            await to_thread.run_sync(world.make_repositories, abandon_on_cancel=True)
            await to_thread.run_sync(world.wait_until_ready, abandon_on_cancel=True)
        except DemoError as error:
            trouble.append(error)
            app.exit(return_code=1)
            return
        foundry = await loaded(client)
        line = Line(world.front, world.back)
        async with anyio.create_task_group() as group:
            await group.start(line.run)
            await group.start(foundry.run)
            group.start_soon(Player(world).play)
            await anyio.sleep(CUT_AT / world.speed)
            await line.cut(CUT_FOR / world.speed)

    chosen = replace(options(settings, str(world.repository("shop"))), lasting=False)
    if len(world.story.openings) > FAST_FROM:
        # news of hundreds of tasks at once would hide the list
        chosen = replace(chosen, notifications=False)
    code = run_beside(world.target, None, chosen, play)
    if trouble:
        raise trouble[0]
    return code
