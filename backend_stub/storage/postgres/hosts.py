"""What hosts share in PostgreSQL: who is there, what they ask each other, and the demo's world."""

import logging
import math
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence

import anyio
import psycopg

from backend_stub.demo.journal import Appended
from backend_stub.domain.errors import StartError
from backend_stub.domain.hosts import HomelessTask, HostIdentity, HostReport
from backend_stub.storage.postgres.address import Address
from backend_stub.storage.postgres.connections import connected
from backend_stub.storage.postgres.event_rows import READS
from backend_stub.storage.postgres.single_statements import SingleStatements
from foundry_tui.contract.codec import decode, encode
from foundry_tui.contract.hosts import Host, HostState

logger = logging.getLogger(__name__)

FORGOTTEN_SECONDS = 3_600.0
"""After how long a lost host that has no tasks is forgotten, and a question that nobody waits for."""
FORGET_EVERY_SECONDS = 60.0
"""How often each host looks for those."""
GONE_SECONDS = 30 * 86_400.0
"""After how long a lost host is not expected to read on where it was."""
_AGAIN_SECONDS = 0.5
_CHECK_SECONDS = 10.0
"""After so long without a notification it is checked that the connection still stands."""


class PostgresHosts:
    """See `backend_stub.domain.hosts.HostTable`."""

    def __init__(self, statements: SingleStatements, address: Address) -> None:
        self.registered: tuple[str, int] | None = None
        """The id and lease of the host that this process began as last."""
        self.all_read_short_events = False
        """Whether all hosts that are known read records in the short form of the log (`event_rows`). A lost one counts
        too, since it may be back and read on where it was, unless it was lost for longer than a machine sleeps.
        """
        self._statements = statements
        self._address = address
        self._forgot_at = -math.inf

    async def register(
        self, me: HostIdentity, report: HostReport, loose: Collection[str], seconds: float
    ) -> tuple[int, bool]:
        async with self._statements.transaction() as transaction:
            for other, is_up in await transaction.fetch("hosts.of_name", seconds, me.name, me.host_id):
                if is_up:
                    raise StartError(f"another host is up that is called {me.name}: choose another name with --host")
                ((bound,),) = await transaction.fetch("hosts.count_bound", me.name, list(loose))
                if bound:
                    raise StartError(
                        f"the host {me.name} has another data folder, in which {bound} of its tasks are: start it with "
                        "that, or choose another name with --host"
                    )
                await transaction.fetch("hosts.forget", other)
            states = await transaction.fetch("hosts.state", me.host_id)
            ((lease,),) = await transaction.fetch("hosts.register", me.host_id, me.name, encode(report), READS)
        self.registered = me.host_id, lease
        return lease, states in ([], [("lost",)])

    async def beat(self, host_id: str, lease: int, state: HostState, report: HostReport) -> bool:
        return await self._statements.change("hosts.beat", state, encode(report), host_id, lease) > 0

    async def leave(self, host_id: str, lease: int) -> None:
        await self._statements.change("hosts.leave", host_id, lease)

    async def mark_lost(self, seconds: float) -> None:
        await self._forget_old()
        silent = await self._statements.fetch("hosts.silent", seconds)
        if not silent:
            return
        for (host_id,) in silent:
            # One that stands still within a commit keeps all others from theirs, for as long as it has its connection.
            await self._statements.fetch("hosts.cut", connections_of(host_id))
        await self._statements.change("hosts.mark_lost", seconds)

    async def _forget_old(self) -> None:
        now = time.monotonic()
        if now - self._forgot_at < FORGET_EVERY_SECONDS:
            return
        self._forgot_at = now
        await self._statements.change("hosts.forget_lost", FORGOTTEN_SECONDS)
        await self._statements.change("asks.forget_old", FORGOTTEN_SECONDS)

    async def all(self) -> Sequence[Host]:
        rows = await self._statements.fetch("hosts.all", GONE_SECONDS)
        self.all_read_short_events = all(reads >= READS or gone for *_, reads, gone in rows)
        return [
            _host(host_id, name, state, decode(report, HostReport), at) for host_id, name, state, report, at, *_ in rows
        ]

    async def homeless(self, loose: Collection[str], told: Collection[str]) -> Sequence[HomelessTask]:
        rows = await self._statements.fetch("hosts.homeless", list(loose), list(told))
        return [HomelessTask(task_id, host) for task_id, host in rows]

    async def host_of(self, key: str) -> str | None:
        rows = await self._statements.fetch("hosts.of_key", key, key, key, key)
        return rows[0][0] if rows else None

    async def mine(self, name: str, task_ids: Sequence[str]) -> Sequence[str]:
        return [task_id for (task_id,) in await self._statements.fetch("hosts.tasks_of", name, list(task_ids))]

    async def ask(self, asker_id: str, host: str, document: bytes) -> str | None:
        ask_id = secrets.token_hex(16)
        return ask_id if await self._statements.fetch("asks.add", ask_id, asker_id, document, host) else None

    async def take_asked(
        self, host_id: str, lease: int, begun: Collection[str], seconds: float
    ) -> Sequence[tuple[str, bytes]]:
        rows = await self._statements.fetch("asks.take", host_id, lease, list(begun), seconds)
        return [(ask_id, body) for ask_id, body in rows]

    async def answer(self, ask_id: str, document: bytes) -> None:
        await self._statements.fetch("asks.answer", document, ask_id)

    async def answer_to(self, ask_id: str) -> bytes | None:
        rows = await self._statements.fetch("asks.answer_to", ask_id)
        return rows[0][0] if rows else None

    async def take_back(self, ask_id: str) -> bool:
        rows = await self._statements.fetch("asks.take_back", ask_id)
        # Where it was taken back twice nobody can tell any more.
        return bool(rows) and not rows[0][0]

    async def listen(self, host_id: str, told: Callable[[], None]) -> None:
        while True:
            try:
                async with connected(self._address) as connection:
                    await connection.execute("LISTEN foundry_hosts")
                    told()
                    while True:
                        async for notice in connection.notifies(timeout=_CHECK_SECONDS):
                            if notice.payload == host_id:
                                told()
                        await connection.execute("SELECT 1")
            except psycopg.Error as error:
                logger.info("what other hosts ask is only looked for: %s", error)
            await anyio.sleep(_AGAIN_SECONDS)


class SharedJournal:
    """The journal of a demo world that several hosts have in common; see `backend_stub.demo.journal.Journal`."""

    def __init__(self, statements: SingleStatements) -> None:
        self._statements = statements
        self._seen: Counter[str] = Counter()
        """The number of the last line that was told, by task_id."""
        self._one_at_a_time: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)
        """By task_id: who reads what is new beside whoever adds a line would be told of that, too."""

    def replay(self) -> Sequence[bytes]:
        """Each task's lines are read when it is looked at first."""
        return ()

    async def append(self, task_id: str, document: bytes, once: str = "") -> Appended:
        async with self._one_at_a_time[task_id]:
            added = bool(await self._statements.fetch("demo_world.add", task_id, task_id, once or None, document))
            return Appended(added, await self._read_on(task_id))

    async def news(self, task_id: str) -> Sequence[bytes]:
        async with self._one_at_a_time[task_id]:
            return await self._read_on(task_id)

    async def _read_on(self, task_id: str) -> Sequence[bytes]:
        rows = await self._statements.fetch("demo_world.after", task_id, self._seen[task_id])
        if rows:
            self._seen[task_id] = rows[-1][0]
        return [body for _, body in rows]


def connections_of(host_id: str) -> str:
    """What a host's connections are called."""
    return f"foundry {host_id}"[:63]


def _host(host_id: str, name: str, state: str, told: HostReport, at: int) -> Host:
    return Host(
        host_id=host_id,
        name=name,
        state=HostState(state),
        running=told.running,
        limit=told.limit,
        at=at,
        providers=told.providers,
        repositories=told.repositories,
    )
