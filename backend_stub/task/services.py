"""What every workflow of a task works with."""

from dataclasses import dataclass

from backend_stub.domain.clock import Runtime
from backend_stub.domain.dispatch import Dispatcher
from backend_stub.domain.provider import Provider
from backend_stub.domain.settings import Settings
from backend_stub.domain.storage import Storage
from backend_stub.task.actor import Actors
from backend_stub.task.calls import Calls


@dataclass(frozen=True)
class Services:
    """`providers` by name; `calls` runs what is asked of them."""

    storage: Storage
    actors: Actors
    calls: Calls
    dispatcher: Dispatcher
    providers: dict[str, Provider]
    settings: Settings
    runtime: Runtime
