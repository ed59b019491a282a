"""All that is kept in a PostgreSQL database, which several hosts share."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from backend_stub.domain.hosts import HostIdentity
from backend_stub.storage.postgres.address import parse_address
from backend_stub.storage.postgres.hosts import PostgresHosts, SharedJournal, connections_of
from backend_stub.storage.postgres.single_statements import open_statements
from backend_stub.storage.postgres.storage import PostgresStorage, open_storage


@dataclass(frozen=True)
class Shared:
    """The tasks, the hosts, and the journal of the demo's world."""

    storage: PostgresStorage
    hosts: PostgresHosts
    journal: SharedJournal


@asynccontextmanager
async def open_shared(url: str, folder: Path, me: HostIdentity, now: Callable[[], int]) -> AsyncIterator[Shared]:
    """What is in this database, closed at the end; see `open_storage`. Nothing is written but under the host's lease,
    once it has one.
    """
    application = connections_of(me.host_id)
    address = parse_address(url, application)
    async with open_statements(address) as statements:
        hosts = PostgresHosts(statements, address)
        opening = open_storage(
            url,
            folder,
            now,
            fence=lambda: hosts.registered,
            may_shorten=lambda: hosts.all_read_short_events,
            application=application,
        )
        async with opening as storage:
            yield Shared(storage, hosts, SharedJournal(statements))
