"""The machines that have a backend, as `GET /v1/hosts` tells of them."""

from foundry_tui.contract.open_enum import OpenEnum
from foundry_tui.contract.record import Record


class HostState(OpenEnum):
    """`draining`: it takes no new tasks and is about to stop; `lost`: nothing was heard of it for some seconds."""

    UP = "up"
    DRAINING = "draining"
    LOST = "lost"


class Host(Record, frozen=True, kw_only=True):
    """A machine with a backend. `host_id` is kept in its data folder, `name` is what people and tasks call it by.

    `providers` are the names of those that it has, `repositories` the paths of those that lie on it. Of at most `limit`
    tasks that it prepares at once, it is at work on `running`, those whose agents work included. `at`: when it was
    heard of last, in milliseconds since the epoch.
    """

    host_id: str
    name: str
    state: HostState
    running: int
    limit: int
    at: int
    providers: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()


class HostList(Record, frozen=True, kw_only=True):
    """`GET /v1/hosts`: all that are known, by name."""

    hosts: tuple[Host, ...]


def away_words(name: str | None) -> str:
    """What a task says, word for word, whose sandbox is on a host that is lost: nothing else tells that it waits."""
    return f"its host {name} is away: it goes on when that is back"
