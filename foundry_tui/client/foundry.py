"""The client as the app gets it: a store that says how things are, and commands that return at once."""

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskStatus

from foundry_tui.client.api import Api
from foundry_tui.client.backend_commands import BackendCommands
from foundry_tui.client.commands import CommandProblem
from foundry_tui.client.connection import Target, make_http
from foundry_tui.client.delivery import Delivery
from foundry_tui.client.older_tasks import OlderTasks
from foundry_tui.client.outbox import Outbox
from foundry_tui.client.persistence import Persistence
from foundry_tui.client.settlement import Settlement
from foundry_tui.client.statistics import Diagnostics
from foundry_tui.client.store import Store, wall_ms
from foundry_tui.client.subscriptions import GRACE, Subscriptions
from foundry_tui.contract.ids import uuid7

if TYPE_CHECKING:
    import httpx

FRAME = 0.05
"""Seconds between two flushes at least."""


class Foundry:
    """The client's parts, put together around one backend.

    `keep` is the file for what must outlive the app (None: nothing does). Screens get `store` and `commands`; listeners
    of the store run in the task that runs `run`. Use: `await tg.start(foundry.run)`.
    """

    def __init__(
        self,
        target: Target,
        *,
        keep: Path | None = None,
        transport: "httpx.AsyncBaseTransport | None" = None,
        store: Store | None = None,
        now_ms: Callable[[], int] = wall_ms,
        rng: random.Random | None = None,
        new_id: Callable[[], str] = uuid7,
        grace: float = GRACE,
    ) -> None:
        self.store = store if store is not None else Store(now_ms)
        self.http = make_http(target, transport)
        self.outbox = Outbox(keep)
        api = Api(self.http)
        self._persistence = Persistence(self.outbox, self._report)
        # Nothing is sent before it is kept.
        self._delivery = Delivery(rng, before=self._persistence.saved if keep is not None else None)
        self.subscriptions = Subscriptions(self.store, self.http, rng=rng, grace=grace, on_live=self._delivery.try_now)
        self._settlement = Settlement(api, self.store, self.outbox, self._delivery, self._report)
        self._settlement.on_settled = self.subscriptions.nudge
        self._older_tasks = OlderTasks(api, self.store)
        self.commands = BackendCommands(
            api,
            self.store,
            self.outbox,
            self._settlement,
            self._delivery,
            self.subscriptions,
            self._older_tasks,
            new_id,
        )
        self._work = anyio.Event()
        self._last_flush = -math.inf
        self.store.on_dirty = lambda: self._work.set()
        self._persistence.restore(self.store, self._settlement, self.commands)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Connect, carry commands and flush, until cancelled; closes all connections and keeps what is unsettled."""
        stop = self.store.listen(self._settlement.creations_changed)
        try:
            async with self.http, anyio.create_task_group() as group:
                await group.start(self.subscriptions.run)
                self._delivery.start(group)
                group.start_soon(self._keep_flushing)
                group.start_soon(self._persistence.run)
                group.start_soon(self._older_tasks.run)
                task_status.started()
                await anyio.sleep_forever()
        finally:
            self._delivery.stop()
            stop()
            self._persistence.save_now()

    def save_now(self) -> None:
        """Write what is to outlive the app, also where this never ran."""
        self._persistence.save_now()

    async def hand_over(self, seconds: float) -> None:
        """Wait until nothing is under way to the backend, for `seconds` at most and only while it may answer."""
        with anyio.move_on_after(seconds):
            while self._settlement.under_way and self.subscriptions.may_answer():
                await self._delivery.one_more_ends()

    def diagnostics(self) -> Diagnostics:
        """What is known of every connection, frozen."""
        return Diagnostics(
            at=self.store.now_ms(),
            freshness=self.store.freshness(),
            topics=self.subscriptions.topics(),
            log=self.subscriptions.log(),
            tasks=len(self.store.tasks),
            creations=len(self.store.creations),
            flushes=self.store.flushes,
            unsettled_commands=self._delivery.unsettled,
        )

    async def _keep_flushing(self) -> None:
        while True:
            await self._work.wait()
            # What came with the same bytes is told together.
            await anyio.sleep(max(0, self._last_flush + FRAME - anyio.current_time()))
            self._work = anyio.Event()
            if self.store.flushes:
                # The first flush tells no more than that a connection begins; the list is not to wait behind it.
                self._last_flush = anyio.current_time()
            self.store.flush()

    def _report(self, problem: CommandProblem) -> None:
        if self.commands.on_problem is not None:
            self.commands.on_problem(problem)
