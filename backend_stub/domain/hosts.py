"""The machines that have a backend on this database: what each tells of itself, and which of them has a task."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec import Struct

from foundry_tui.contract.hosts import Host


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


Report = Callable[[], Awaitable[HostReport]]


class Hosts(Protocol):
    """All hosts, of which this backend is one."""

    me: HostIdentity

    async def all(self) -> Sequence[Host]:
        """All that are known, by name; raises `StorageUnavailableError`."""
        ...

    def drain(self) -> None:
        """This backend is about to stop: no new task is to be given to it."""
        ...
