"""Reads what the list's snapshot leaves out: a page when somebody comes to its end, and what a filter finds.

Each is asked for once at a time. An answer that comes too late, because something else is looked for by then, because
the list has begun anew, or because news of what it tells were missed, is dropped and asked for again.
"""

import anyio

from foundry_tui.client.api import Api
from foundry_tui.client.changes import Changes
from foundry_tui.client.errors import RequestError
from foundry_tui.client.list_replica import HELD_MOST
from foundry_tui.client.store import Store
from foundry_tui.contract.filter import parse

PAGE = 250
"""Tasks asked for at a time: they are decoded in a few milliseconds."""
PAUSE = 0.15
"""Seconds after a key of the filter until the backend is asked: whoever types on has not asked yet."""
TRIES = 3
"""How often something is asked for that comes too late each time."""


class OlderTasks:
    """The reader of the tasks that the store does not hold."""

    def __init__(self, api: Api, store: Store) -> None:
        self._api = api
        self._store = store
        self._query = ""
        self._found_last: str | None = None
        """The oldest task that the filter has found, when there may be more that are older."""
        self._search: anyio.CancelScope | None = None
        self._wanted = anyio.Event()
        self._searched = anyio.Event()

    def read_on(self) -> None:
        """Have the next page come, or more of what the filter finds; what is asked for already is not asked again."""
        if not self._query:
            self._wanted.set()
        elif self._found_last is not None:
            self._searched.set()

    def search(self, query: str) -> None:
        """Have what this filter finds come in place of what the last one did; empty: nothing."""
        if parse(query) == parse(self._query):
            return
        self._query = query if parse(query) else ""
        self._search_anew()
        if not self._query:
            self._store.task_list.let_found_go()

    async def run(self) -> None:
        """Read whenever something is wanted, until cancelled."""
        stop = self._store.listen(self._heard)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._keep_paging)
                group.start_soon(self._keep_searching)
        finally:
            stop()

    def _search_anew(self) -> None:
        self._found_last = None
        if self._search is not None:
            self._search.cancel()
        self._searched.set()

    def _heard(self, changes: Changes) -> None:
        if changes.freshness and self._store.freshness().is_live:
            # A snapshot has what it has, and nothing that was found.
            if self._query and not self._store.task_list.horizon.found:
                self._search_anew()
            if self._store.task_list.horizon.unsure:
                self._wanted.set()

    async def _keep_paging(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted = anyio.Event()
            await self._read_page()
            while self._store.task_list.horizon.unsure and await self._read_page():
                pass
            # What came while it was read was wanted of this page.
            self._wanted = anyio.Event()

    async def _keep_searching(self) -> None:
        while True:
            await self._searched.wait()
            self._searched = anyio.Event()
            with anyio.CancelScope() as self._search:
                await self._find()
            self._search = None

    async def _read_page(self) -> bool:
        """Read the page below what is held; whether it was taken in."""
        held = self._store.task_list
        for _ in range(TRIES):
            if held.horizon.edge is None or (len(held.shown) >= HELD_MOST and not held.horizon.unsure):
                return False
            last, life = held.last_without_gap, self._store.life
            try:
                page = await (self._api.tasks() if last is None else self._api.ended_before(last.task_id, PAGE))
            except RequestError:
                return False
            if life == self._store.life and held.put_page(page, last):
                return True
        return False

    async def _find(self) -> None:
        """Read what the filter finds, or more of it, and hold that."""
        held, query, before = self._store.task_list, self._query, self._found_last
        if not query:
            return
        if before is None:
            await anyio.sleep(PAUSE)
        for _ in range(TRIES):
            if held.horizon.edge is None:
                return
            life = self._store.life
            try:
                page = await self._api.find_tasks(query, before, PAGE)
            except RequestError:
                return
            if life == self._store.life and held.put_found(page, more=before is not None):
                self._found_last = page.tasks[-1].task_id if page.older and page.tasks else None
                return
