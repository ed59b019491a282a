"""`foundry demo`: the app on a scripted world."""

import math
from pathlib import Path

import click

from foundry_tui.cli.problems import CommandError


@click.command()
@click.option("--seed", type=int, default=7, show_default=True, help="Another seed, another world.")
@click.option(
    "--speed", type=click.FloatRange(0.1, 100.0), default=1.0, show_default=True, help="How fast things happen."
)
@click.option("--tasks", type=click.IntRange(0, 10_000), metavar="N", help="How many tasks there are in all.")
@click.option("--tour", is_flag=True, help="Be led through ten keys; esc leaves the tour.")
@click.option(
    "--cast",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Record a minute of it in asciinema's format, and show nothing.",
)
@click.pass_context
def demo(ctx: click.Context, seed: int, speed: float, tasks: int | None, tour: bool, cast: Path | None) -> None:
    """Open the app on a scripted world: success, retry, time-out, failure, questions, a connection that drops.

    It has a backend of its own in a temporary folder; nothing on this machine is touched, and nothing is left behind.

    \b
    Examples:
      foundry demo
      foundry demo --tour
      foundry demo --speed 5
      foundry demo --tasks 1000 --seed 3
      foundry demo --cast demo.cast && asciinema play demo.cast
    """
    if not math.isfinite(speed):
        raise click.UsageError("--speed takes a number", ctx)
    if cast is not None and (speed != 1.0 or tasks is not None or tour):
        raise click.UsageError("--cast records the demo as it is, at its own speed", ctx)
    from foundry_tui.cli.context import Context
    from foundry_tui.demo.world import DemoError, World

    context = ctx.ensure_object(Context)
    settings = context.settings
    from foundry_tui.cli.startup.terminal import need_terminal

    if cast is None:
        need_terminal()
    world = World(seed, speed, tasks)
    try:
        # the backend starts while the app is still being imported
        world.start()
        from foundry_tui.cli.startup.demo_app import run_demo

        code = run_demo(world, settings, tour=tour, cast=cast)
    except DemoError as error:
        raise CommandError(str(error)) from None
    finally:
        world.close()
    ctx.exit(code)
