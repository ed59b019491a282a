"""Measures the connection for `foundry status`: a client connects as the app does, and tells its diagnostics."""

import anyio

from foundry_tui.client.changes import Changes
from foundry_tui.client.connection import Target
from foundry_tui.client.foundry import Foundry
from foundry_tui.client.freshness import FreshnessState
from foundry_tui.client.statistics import Diagnostics
from foundry_tui.contract.events import TASKS

PATIENCE = 5.0
"""Seconds after which a list that is not live is reported as it stands."""


def measure(target: Target) -> Diagnostics:
    """The figures of a client of its own, once it has the list of tasks or has waited for it long enough."""
    return anyio.run(_measure, target)


async def _measure(target: Target) -> Diagnostics:
    foundry = Foundry(target)
    filled = anyio.Event()

    def heard(_: Changes) -> None:
        if foundry.store.freshness().state is FreshnessState.LIVE:
            filled.set()

    foundry.store.listen(heard)
    foundry.commands.hold(TASKS)
    async with anyio.create_task_group() as group:
        await group.start(foundry.run)
        with anyio.move_on_after(PATIENCE):
            await filled.wait()
        report = foundry.diagnostics()
        group.cancel_scope.cancel()
    return report
