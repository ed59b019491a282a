"""What every workflow of a task works with."""

from dataclasses import dataclass

from backend_stub.clock import Chance
from backend_stub.dispatch.calls import Calls
from backend_stub.providers.base import Provider
from backend_stub.settings import Settings
from backend_stub.storage.base import Storage
from backend_stub.task.actor import Actors


@dataclass(frozen=True)
class Means:
    """`providers` by name; `calls` runs what is asked of them."""

    storage: Storage
    actors: Actors
    calls: Calls
    providers: dict[str, Provider]
    settings: Settings
    chance: Chance
