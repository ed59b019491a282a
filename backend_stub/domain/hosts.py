"""The machines that have a backend on this database: what each tells of itself, which has a task, and how one asks
another.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

from msgspec import Struct

from foundry_tui.contract.hosts import Host, HostState


class HostIdentity(Struct, frozen=True):
    """Who a backend is among others: `host_id` is its data folder's, and `name` what it is called by.

    `former_name` is what it was called by at its last start, if that was another name.
    """

    host_id: str
    name: str
    former_name: str | None = None


class HostReport(Struct, frozen=True, kw_only=True):
    """What a host tells of itself; see `foundry_tui.contract.hosts.Host`."""

    providers: tuple[str, ...]
    repositories: tuple[str, ...]
    running: int
    limit: int


class HomelessTask(Struct, frozen=True):
    """A task that has not ended, and whose host is lost or was never heard of; None: it never had one."""

    task_id: str
    host: str | None


class Asked(Struct, frozen=True):
    """A request of HTTP that another host is to answer; `target` is its path and query."""

    method: str
    target: str
    body: bytes = b""


class Answered(Struct, frozen=True):
    """What it answered."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


Report = Callable[[], Awaitable[HostReport]]
Answer = Callable[[Asked], Awaitable[Answered]]


class Hosts(Protocol):
    """All hosts, of which this backend is one.

    The asynchronous methods raise `StorageUnavailableError`.
    """

    me: HostIdentity

    async def all(self) -> Sequence[Host]:
        """All that are known, by name."""
        ...

    def drain(self) -> None:
        """This backend is about to stop: no new task is to be given to it."""
        ...

    def has(self, name: str | None) -> bool:
        """Whether what the host of this name has is this one's; None: what none has."""
        ...

    def is_alone(self) -> bool:
        """Whether no other host is up."""
        ...

    def is_lost(self, name: str) -> bool:
        """Whether nothing was heard of this host for some seconds, or ever."""
        ...

    async def host_of(self, key: str) -> str | None:
        """The host of a task, or of the task that has this session, question or operation; None: there is none."""
        ...

    async def mine(self, task_ids: Sequence[str]) -> Sequence[str]:
        """Those of these tasks that are this host's."""
        ...

    def roomiest(self, provider: str | None, path: str | None) -> str:
        """The host for a new task: of those that are up, have the provider and the repository's folder, the one with
        the most room; of several, and where there is none, this one. `path` None: it can be had anywhere.
        """
        ...

    async def ask(self, host: str, asked: Asked) -> Answered | None:
        """What another host answers; None when it is lost and has not begun with it.

        Raises `HostLostError` when it was lost while it was at it.
        """
        ...

    def answer_with(self, answer: Answer) -> None:
        """Have what other hosts ask of this one answered."""
        ...


class HostTable(Protocol):
    """What hosts share in their database. A lease is a number that rises each time that a host begins, or is thought
    lost: only who has the latest one of a host is that host.

    Every method raises `StorageUnavailableError`.
    """

    async def register(
        self, me: HostIdentity, report: HostReport, loose: Collection[str], seconds: float
    ) -> tuple[int, bool]:
        """Begin as this host; its lease, and whether it was lost or is new.

        Raises `StartError` when another host has the name, and was heard within so many seconds or has tasks of other
        providers than those which are bound to no machine (`loose`).
        """
        ...

    async def beat(self, host_id: str, lease: int, state: HostState, report: HostReport) -> bool:
        """This host is there; False when it is not the latest of this id any more."""
        ...

    async def leave(self, host_id: str, lease: int) -> None:
        """This host has stopped in good order: its tasks need wait for nothing."""
        ...

    async def mark_lost(self, seconds: float) -> None:
        """Have the hosts be lost of which the database has heard nothing for so long."""
        ...

    async def all(self) -> Sequence[Host]:
        """All hosts by name."""
        ...

    async def homeless(self, loose: Collection[str], told: Collection[str]) -> Sequence[HomelessTask]:
        """The tasks whose hosts are lost; of the hosts in `told` only those of providers that are `loose`."""
        ...

    async def host_of(self, key: str) -> str | None:
        """See `Hosts.host_of`."""
        ...

    async def mine(self, name: str, task_ids: Sequence[str]) -> Sequence[str]:
        """Those of these tasks that are of the host of this name."""
        ...

    async def ask(self, asker_id: str, host: str, document: bytes) -> str | None:
        """Write down what a host is asked, and tell it; the id of the question, or None when it is lost."""
        ...

    async def take_asked(
        self, host_id: str, lease: int, begun: Collection[str], seconds: float
    ) -> Sequence[tuple[str, bytes]]:
        """What this host was asked in the last `seconds` and has no answer, but for what this process has `begun` with:
        what one before it left undone, too. It is begun with now; for what is older nobody waits.
        """
        ...

    async def answer(self, ask_id: str, document: bytes) -> None:
        """Write down the answer to a question, and tell who asked."""
        ...

    async def answer_to(self, ask_id: str) -> bytes | None:
        """The answer; None when there is none yet."""
        ...

    async def take_back(self, ask_id: str) -> bool:
        """Nobody waits for the answer any more; whether nobody had begun with it."""
        ...

    async def listen(self, host_id: str, told: Callable[[], None]) -> None:
        """Call `told` whenever this host may have been asked or answered something, until cancelled."""
        ...
