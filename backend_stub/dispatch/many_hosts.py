"""Hosts that share one database: each says again and again that it is there, and takes over from those that do not."""

import logging
import time
import zlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress

import anyio
import msgspec
from anyio.abc import TaskGroup

from backend_stub.domain.errors import HostLostError, OutcomeUnknownError, StorageUnavailableError
from backend_stub.domain.hosts import Answer, Answered, Asked, HomelessTask, HostIdentity, HostTable, Report
from backend_stub.log import Sparing
from foundry_tui.contract.hosts import Host, HostState

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
"""How often a host says that it is there: a beat, written into the database."""
LOST_SECONDS = 5.0
"""After how long without a beat a host is lost."""
ASK_SECONDS = 150.0
"""How long another host may take for an answer; a patch of a large sandbox takes the longest."""
STEADY = 6
"""Beats of its own in a row that must have reached the database before a host takes others for lost."""
LEAVE_SECONDS = 0.5
"""How long a host that ends takes to tell the others so."""
NOT_UNDERSTOOD = b""
"""An answer that is none: what was asked could not be read."""
REREAD_SECONDS = 1.0
"""Rows that hosts write for each other are read this often without any notification, should one be lost."""


class ManyHosts:
    """See `backend_stub.domain.hosts.Hosts`. `loose` are the providers whose tasks are bound to no machine.

    `on_homeless` is told of tasks whose host is lost and that are for this host to look after, again and again until
    they are nobody's concern; `on_return`, that this host was thought lost and is back: what it holds may be old.
    """

    def __init__(self, me: HostIdentity, table: HostTable, report: Report, loose: Collection[str]) -> None:
        self.me = me
        self.on_homeless: Callable[[Sequence[HomelessTask]], Awaitable[None]] | None = None
        self.on_return: Callable[[], Awaitable[None]] | None = None
        self._table = table
        self._report = report
        self._loose = loose
        self._log = Sparing(logger)
        self._lease = 0
        self._state = HostState.UP
        self._known: dict[str, Host] = {}
        self._intervals: deque[float] = deque(maxlen=STEADY)
        """Seconds from each beat to the next, of the last ones; empty again once a beat has failed."""
        self._heard_at = 0.0
        """When the last beat reached the database, by a clock of this process alone."""
        self._given: Counter[str] = Counter()
        """Tasks given to each host since its last beat said how many it has."""
        self._waited_for: set[str] = set()
        """The lost hosts whose tasks were told of, those that are bound to them too."""
        self._answer: Answer | None = None
        self._begun: set[str] = set()
        """What others ask that this process is at."""
        self._notified = anyio.Event()
        self._drained = anyio.Event()

    async def join(self) -> bool:
        """Begin as this host; whether it was lost. Raises `StartError` and `StorageUnavailableError`."""
        self._lease, was_lost = await self._table.register(self.me, await self._report(), self._loose, LOST_SECONDS)
        await self._look()
        return was_lost

    async def run(self) -> None:
        """Keep this host among those that are up, answer what others ask, and look after lost ones; until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._table.listen, self.me.host_id, self._notify)
            tasks.start_soon(self._answer_all, tasks)
            await self._beat_on()

    async def leave(self) -> None:
        """Tell the others that this host ends, so that its tasks can go on elsewhere at once."""
        with anyio.move_on_after(LEAVE_SECONDS):
            try:
                await self._table.leave(self.me.host_id, self._lease)
            except StorageUnavailableError as error:
                logger.warning("that this host stops could not be written: %s", error)

    async def all(self) -> Sequence[Host]:
        return await self._table.all()

    def drain(self) -> None:
        self._state = HostState.DRAINING
        self._drained.set()

    def has(self, name: str | None) -> bool:
        return name in (None, self.me.name)

    def is_alone(self) -> bool:
        return all(host.state is not HostState.UP or host.name == self.me.name for host in self._known.values())

    def is_lost(self, name: str) -> bool:
        host = self._known.get(name)
        return name != self.me.name and (host is None or host.state is HostState.LOST)

    async def host_of(self, key: str) -> str | None:
        return await self._table.host_of(key)

    async def is_mine(self, key: str) -> bool:
        """Whether this host has the task, or the task that has this session; what has no host is everybody's."""
        return self.has(await self._table.host_of(key))

    async def mine(self, task_ids: Sequence[str]) -> Sequence[str]:
        # Until they are told the new name, a host's tasks have the one that it had at its last start.
        names = (self.me.name, self.me.former_name)
        return [each for name in names if name is not None for each in await self._table.mine(name, task_ids)]

    def roomiest(self, provider: str | None, path: str | None) -> str:
        """The host for a new task: of those that are up, have the provider and the repository's folder, the one with
        the most room; of several, and where there is none, this one.
        """
        fit = (
            host
            for host in self._known.values()
            if host.state is HostState.UP
            and (path is None or path in host.repositories)
            and (provider is None or provider in host.providers)
        )
        best = max(fit, key=lambda host: (self._room(host), host.name == self.me.name), default=None)
        name = self.me.name if best is None else best.name
        self._given[name] += 1
        return name

    def _room(self, host: Host) -> int:
        return host.limit - host.running - self._given[host.name]

    async def ask(self, host: str, asked: Asked) -> Answered | None:
        if self.is_lost(host):
            # It may have begun, or come back, since that was known.
            await self._look()
        ask_id = await self._table.ask(self.me.host_id, host, msgspec.msgpack.encode(asked))
        if ask_id is None:
            return None
        try:
            return await self._answer_to(ask_id, host)
        except StorageUnavailableError as error:
            raise OutcomeUnknownError(str(error)) from error

    async def _answer_to(self, ask_id: str, host: str) -> Answered | None:
        """What the host answers, once it does; None: it was lost before it began."""
        with anyio.move_on_after(ASK_SECONDS):
            while not self.is_lost(host):
                notified = self._notified
                document = await self._table.answer_to(ask_id)
                if document is not None:
                    with suppress(StorageUnavailableError):
                        await self._table.take_back(ask_id)
                    return _read(document, host)
                with anyio.move_on_after(REREAD_SECONDS):
                    await notified.wait()
        if await self._table.take_back(ask_id):
            return None
        raise HostLostError(f"the host {host} was lost while it was at this, or took too long for it")

    def answer_with(self, answer: Answer) -> None:
        self._answer = answer

    def _notify(self) -> None:
        self._notified.set()
        self._notified = anyio.Event()

    async def _answer_all(self, tasks: TaskGroup) -> None:
        while True:
            notified = self._notified
            try:
                asked = (
                    await self._table.take_asked(self.me.host_id, self._lease, self._begun, ASK_SECONDS)
                    if self._answer is not None
                    else ()
                )
            except StorageUnavailableError as error:
                self._log.warning("what other hosts ask cannot be read: %s", error)
                asked = ()
            for ask_id, document in asked:
                self._begun.add(ask_id)
                tasks.start_soon(self._answer_one, ask_id, document)
            with anyio.move_on_after(REREAD_SECONDS):
                await notified.wait()

    async def _answer_one(self, ask_id: str, document: bytes) -> None:
        assert self._answer is not None
        try:
            answered = msgspec.msgpack.encode(await self._answer(msgspec.msgpack.decode(document, type=Asked)))
        except msgspec.DecodeError as error:
            self._log.warning("what a host of another version asks cannot be read: %s", error)
            answered = NOT_UNDERSTOOD
        try:
            await self._table.answer(ask_id, answered)
        except StorageUnavailableError as error:
            # It is taken and answered once more: what has the same ids is done once.
            self._log.warning("an answer to another host could not be written: %s", error)
        self._begun.discard(ask_id)

    async def _beat_on(self) -> None:
        self._heard_at = time.monotonic()
        while True:
            try:
                await self._beat()
            except StorageUnavailableError as error:
                self._intervals.clear()
                self._log.warning("this host could not say that it is there: %s", error)
            if self._drained.is_set():
                await anyio.sleep(BEAT_SECONDS)
            else:
                with anyio.move_on_after(BEAT_SECONDS):
                    await self._drained.wait()

    async def _beat(self) -> None:
        report = await self._report()
        if not await self._table.beat(self.me.host_id, self._lease, self._state, report):
            self._lease, _ = await self._table.register(self.me, report, self._loose, LOST_SECONDS)
            self._intervals.clear()
            logger.warning("this host was thought lost, and is back")
            await self._look()
            if self.on_return is not None:
                await self.on_return()
        heard_at, self._heard_at = self._heard_at, time.monotonic()
        self._intervals.append(self._heard_at - heard_at)
        if len(self._intervals) == STEADY:
            # Where the database is slow, or it or this host stood still, the beats of others may take as long.
            await self._table.mark_lost(max(LOST_SECONDS, 2 * max(self._intervals)))
        await self._look()
        if self._state is HostState.UP and self.on_homeless is not None:
            homeless = await self._table.homeless(self._loose, self._waited_for)
            await self.on_homeless(self._share(homeless))
            self._waited_for |= {each.host for each in homeless if each.host is not None}

    async def _look(self) -> None:
        known = {host.name: host for host in await self._table.all()}
        if _states(known) != _states(self._known):
            # Who was to have tasks say so may be lost too.
            self._waited_for.clear()
        self._known = known
        self._given.clear()

    def _share(self, homeless: Sequence[HomelessTask]) -> Sequence[HomelessTask]:
        """Those that are for this host to look after: each host that is up has as many."""
        up = [host.name for host in self._known.values() if host.state is HostState.UP]
        if self.me.name not in up:
            return ()
        mine, others = up.index(self.me.name), len(up)
        return [each for each in homeless if zlib.crc32(each.task_id.encode()) % others == mine]


def _read(document: bytes, host: str) -> Answered:
    try:
        return msgspec.msgpack.decode(document, type=Answered)
    except msgspec.DecodeError:
        raise HostLostError(
            f"the host {host} has another version of foundry, and the two do not understand this alike"
        ) from None


def _states(hosts: Mapping[str, Host]) -> Mapping[str, HostState]:
    return {name: host.state for name, host in hosts.items()}
