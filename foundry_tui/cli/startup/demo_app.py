"""The app over the demo's world, with the story playing beside it."""

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from foundry_tui.app.app import FoundryApp
from foundry_tui.app.themes import DEFAULT
from foundry_tui.cli.startup.app import loaded, options, run_beside
from foundry_tui.cli.startup.lazy_client import LazyClient
from foundry_tui.client.changes import Changes
from foundry_tui.client.store import Store
from foundry_tui.client.task_defaults import TaskDefaults
from foundry_tui.demo.cast import COLUMNS, ROWS
from foundry_tui.demo.story import CUT_AT, CUT_FOR, FAST_FROM
from foundry_tui.demo.world import DemoError, World
from foundry_tui.settings.config import Settings

if TYPE_CHECKING:
    from foundry_tui.demo.player import Player


HEALED_SECONDS = 10.0
"""How long is waited for the list to have all that happened while the line was cut."""


async def _tell_that_it_healed(app: FoundryApp, store: Store, player: "Player") -> None:
    """Compare what the app holds with what the backend has, and say that nothing was lost once that is so."""
    import anyio

    changed = anyio.Event()

    def heard(_: Changes) -> None:
        changed.set()

    unlisten = store.listen(heard)
    try:
        with anyio.move_on_after(HEALED_SECONDS):
            while True:
                changed = anyio.Event()
                if store.freshness().is_live:
                    known = {task_id: task.revision for task_id, task in store.tasks.items()}
                    if not await player.missing(known):
                        words = f"The line is back: all {len(known):,} tasks are as the backend has them."
                        app.notify(words, title="Nothing was lost", timeout=8)
                        return
                await changed.wait()
    finally:
        unlisten()


def run_demo(world: World, settings: Settings, *, tour: bool = False, cast: Path | None = None) -> int:
    """Run the app until the person leaves, or until it is recorded in `cast`; its exit code.

    Raises `DemoError` when the world cannot be made.
    """
    trouble: list[DemoError] = []

    async def play(app: FoundryApp, client: LazyClient) -> None:
        import anyio
        from anyio import to_thread

        from foundry_tui.app.tour import TourGuide
        from foundry_tui.cli.startup.recording import record
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
            player = Player(world)
            await player.prepare()
            await group.start(line.run)
            await group.start(foundry.run)
            group.start_soon(player.play)
            if cast is not None:
                app.run_worker(record(app, cast))
            if tour:
                app.lead(TourGuide(app))
            await anyio.sleep(CUT_AT / world.speed)
            cut_for = CUT_FOR / world.speed
            app.notify(
                "The line to the backend is cut for a moment: look at the mark above.",
                title="Part of the demo",
                severity="warning",
                timeout=cut_for,
            )
            await line.cut(cut_for)
            await _tell_that_it_healed(app, client.store, player)

    here = options(settings, str(world.repository("shop")))
    # nothing on this machine is touched, whatever the settings name for real work
    chosen = replace(here, lasting=False, keep_theme=None, task_defaults=TaskDefaults())
    if len(world.story.openings) > FAST_FROM:
        # news of hundreds of tasks at once would hide the list
        chosen = replace(chosen, notifications=False)
    if cast is not None:
        # whatever the terminal and the settings of whoever records it
        chosen = replace(chosen, theme=DEFAULT, ascii=False, bell=False, terminal_notifications=False, keymap={})
    code = run_beside(world.target, None, chosen, play, unseen=None if cast is None else (COLUMNS, ROWS))
    if trouble:
        raise trouble[0]
    return code
