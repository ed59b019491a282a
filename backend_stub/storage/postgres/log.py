"""The log of what every process commits: told here in the order of its seqs, each event once.

Whoever commits has the row of `meta` to itself until it has committed, so that seqs rise in the order of the commits
and none is seen before a lower one: whoever has read up to one reads on from there. (Numbers of a sequence are given
out before the commit. An order made up by transactions' ids would have everything wait for the oldest transaction of
the whole server.) What waits in one process shares one commit, so that this costs little.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import anyio
import psycopg
from psycopg import AsyncConnection

from backend_stub.domain.events import Committed, Event
from backend_stub.storage.postgres.address import Address
from backend_stub.storage.postgres.connections import connected
from backend_stub.storage.postgres.event_rows import completed, event_of
from backend_stub.storage.postgres.reasons import why_unreachable
from backend_stub.storage.postgres.tables import SQL
from backend_stub.storage.tables import Row

logger = logging.getLogger(__name__)

REREAD_SECONDS = 2.0
"""The log is read on this often without any notification: one that is lost delays an event by so much, no more."""
KEPT_SECONDS = 3_600
"""How long the log is kept; whoever was away for longer reads the rows."""
_PRUNE_SECONDS = 60.0
_PAGE = 500
"""Events that are read together."""
_LONGEST_WAIT = 2.0
"""Seconds between two attempts to connect."""


@dataclass(frozen=True)
class Own:
    """A commit of this process that is under way or done: its events, and the time at which it began."""

    events: Sequence[Event]
    started: float

    @property
    def first(self) -> int:
        return self.events[0].seq

    @property
    def last(self) -> int:
        return self.events[-1].seq


class Log:
    """Tells `tell` of commits, beginning after `seq`."""

    def __init__(self, tell: Callable[[Committed], None], seq: int) -> None:
        self.seq = seq
        self._tell = tell
        self._own: dict[int, Own] = {}
        self._attempt: anyio.Event | None = None
        """The commit that this process tries to make, if any; set once it is known whether it was made."""

    @property
    def has_told_all(self) -> bool:
        """Whether every commit of this process has been told. Then `seq` is the last one, unless others commit."""
        return not self._own

    @contextmanager
    def trying_to_commit(self) -> Iterator[None]:
        """Within this, nothing that others commit is told: the next seq may be this process's own commit."""
        self._attempt = anyio.Event()
        try:
            yield
        finally:
            self._is_known()

    async def until_known(self) -> None:
        """Wait until this process is not trying to commit."""
        while self._attempt is not None:
            await self._attempt.wait()

    def expect(self, own: Own) -> None:
        """This process tries to commit it, until `committed` or `forget` says what became of it."""
        self._own[own.first] = own
        self._attempt = anyio.Event()

    def forget(self, own: Own) -> None:
        """It was not committed."""
        self._own.pop(own.first, None)
        self._is_known()

    def committed(self, own: Own) -> None:
        """It was committed. It is told at once, unless commits of others come before it: then after those."""
        if own.first == self.seq + 1:
            self._tell_own(own)
        self._is_known()

    def _is_known(self) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.set()

    def must_be_read(self, seq: int) -> bool:
        """Whether the log has to be read up to this seq: it has not been told, and others made some of it."""
        own = self._own.get(self.seq + 1)
        return seq > self.seq and (own is None or own.last != seq)

    def tell_rows(self, rows: Sequence[Row]) -> None:
        """Tell of these rows of the log, in order, but of none that has been told."""
        others: list[Event] = []
        for row in rows:
            seq = row[0]
            if seq <= self.seq:
                continue
            own = self._own.get(seq)
            if (own is not None or seq != self.seq + 1) and others:
                self._tell(Committed(others, None))
                others = []
            if own is not None:
                self._tell_own(own)
                continue
            if seq != self.seq + 1:
                # It was away for longer than the log is kept.
                self._tell(Committed((), None, gap=True))
            self.seq = seq
            event = event_of(row)
            if event is not None:
                others.append(event)
        if others:
            self._tell(Committed(others, None))

    def _tell_own(self, own: Own) -> None:
        self._own.pop(own.first, None)
        self.seq = own.last
        self._tell(Committed(own.events, time.perf_counter() - own.started))


class Follower:
    """Reads on in the log whenever PostgreSQL says that there is something new, as long as it runs.

    `changed_life` is asked after each new connection, and ends the following where it says that the database is not the
    one that it was. It gets the name and the seq that the database says it has, and the seq that it must have at least.
    """

    def __init__(
        self,
        address: Address,
        log: Log,
        changed_life: Callable[[str, int, int], bool],
        kept_seconds: float = KEPT_SECONDS,
    ) -> None:
        self._address = address
        self._log = log
        self._changed_life = changed_life
        self._kept_seconds = kept_seconds
        self._pruned_at = time.monotonic()
        self.connections = 0

    async def run(self) -> None:
        """Until it is cancelled; connects again however often that takes."""
        wait = 0.0
        while True:
            try:
                async with connected(self._address) as connection:
                    await connection.execute("LISTEN foundry_events")
                    wait = 0.0
                    await self._follow(connection)
                    return
            except psycopg.Error as error:
                if wait == 0.0:
                    logger.warning("%s", why_unreachable(self._address, error))
                await anyio.sleep(wait)
                wait = min(_LONGEST_WAIT, wait * 2 or 0.1)

    async def _follow(self, connection: AsyncConnection) -> None:
        """Read on whenever there is something new; ends when the database is not the one that it was."""
        # While that is asked, this process may commit more.
        known = self._log.seq
        cursor = await connection.execute(SQL["meta.life"])
        row = await cursor.fetchone()
        if row is None or self._changed_life(row[0], row[1], known):
            return
        while True:
            await self._read_on(connection)
            if time.monotonic() - self._pruned_at > _PRUNE_SECONDS:
                self._pruned_at = time.monotonic()
                await connection.execute(SQL["events.prune"], (self._kept_seconds,))
            async for notice in connection.notifies(timeout=REREAD_SECONDS):
                await self._log.until_known()
                if self._log.must_be_read(int(notice.payload)):
                    break

    async def _read_on(self, connection: AsyncConnection) -> None:
        while True:
            cursor = await connection.execute(SQL["events.after"], (self._log.seq, _PAGE), binary=True)
            rows = await cursor.fetchall()
            whole = await completed(rows, connection)
            await self._log.until_known()
            self._log.tell_rows(whole)
            if len(rows) < _PAGE:
                return
