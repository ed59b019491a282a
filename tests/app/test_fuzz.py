"""Keys, clicks, sizes and news at random, over a backend at random: nothing ends the app, and it stays in order.

`FOUNDRY_TEST_SEED` has other things happen, `FOUNDRY_TEST_RUNS` more of them. What failed is told as the shortest list
of steps that was found in a minute; `replay` does them again.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from random import Random
from time import monotonic

import pytest
from textual.app import App

from foundry_tui.app.options import Options
from tests.app.fuzz_backend import RandomBackend
from tests.app.fuzz_steps import Scene, Step, play, steps_of
from tests.app.harness import Stage, make_app

SEED = int(os.environ.get("FOUNDRY_TEST_SEED", "20261125"))
RUNS = int(os.environ.get("FOUNDRY_TEST_RUNS", "3"))
LENGTH = 50
"""Steps of a run."""
SHORTENING_SECONDS = 60


async def replay(steps: Sequence[Step]) -> None:
    """Do these steps, one after the other, to an app of their own; what fails has the number of its step as a note."""
    world = RandomBackend()
    world.connect()
    world.store.flush()
    options = Options(bell=False, terminal_notifications=False)
    app = make_app(world.store, commands=world.commands, clock=world.clock, options=options)
    number = 0
    try:
        async with app.run_test(size=(100, 30), notifications=True) as pilot:
            await pilot.pause()
            scene = Scene(Stage(app, pilot, world.store, world.commands, world.clock), world)
            for step in steps:
                number += 1
                await play(scene, step)
    except Exception as failure:
        failure.add_note(str(number))
        raise


def trouble_of(steps: Sequence[Step]) -> Exception | None:
    """What goes wrong with these steps."""
    try:
        asyncio.run(replay(steps))
    except Exception as failure:  # noqa: BLE001
        return failure
    return None


def shortened(steps: list[Step], failure: Exception) -> list[Step]:
    """A shorter list of steps with which the same goes wrong, as far as there is time to find it."""
    until = monotonic() + SHORTENING_SECONDS
    steps = steps[: int(failure.__notes__[-1])]
    size = len(steps) // 2
    while size and monotonic() < until:
        for start in range(len(steps) - size, -1, -size):
            shorter = steps[:start] + steps[start + size :]
            found = trouble_of(shorter)
            if found is not None and type(found) is type(failure):
                steps = shorter[: int(found.__notes__[-1])]
                break
            if monotonic() > until:
                break
        else:
            size //= 2
    return steps


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_nothing_ends_the_app(tell: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    # It may ask to leave, and keeps what is written; it just does not.
    monkeypatch.setattr(App, "exit", lambda *_, **__: None)
    for run in range(RUNS):
        seed = SEED + run
        steps = steps_of(Random(seed), LENGTH)
        failure = trouble_of(steps)
        if failure is not None:
            told = ",\n    ".join(map(repr, shortened(steps, failure)))
            pytest.fail(f"seed {seed}: {failure!r} after\n[\n    {told},\n]")
    tell(f"fuzz: seed {SEED}, {RUNS} runs of {LENGTH} steps")
