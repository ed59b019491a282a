"""Puts the backend together: storage, actors, dispatcher, providers, and what the server needs of them."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from backend_stub.dispatch.embedded import EmbeddedDispatcher
from backend_stub.domain.clock import Runtime
from backend_stub.domain.dispatch import Queue
from backend_stub.domain.errors import StaleRevisionError, StorageUnavailableError, UnknownTaskError
from backend_stub.domain.provider import Provider
from backend_stub.domain.settings import Settings
from backend_stub.domain.storage import Event, Storage
from backend_stub.organization import Organization
from backend_stub.repository.clones import Clones
from backend_stub.repository.trust import Trust
from backend_stub.server.hub import Hub
from backend_stub.server.metrics import Metrics
from backend_stub.server.streams import Streams
from backend_stub.task.actor import Actors, TaskActor
from backend_stub.task.calls import Calls
from backend_stub.task.commands import Commands
from backend_stub.task.dependencies import Means
from backend_stub.task.provision import Provisioning
from backend_stub.task.release import Releasing
from backend_stub.task.sessions import Sessions
from foundry_tui.contract.records import Health
from foundry_tui.contract.status import PROVISIONING, RELEASING
from foundry_tui.contract.versions import VERSION

FLUSH_SECONDS = 0.05
"""How long stage log lines are gathered."""
FLUSH_AGAIN_SECONDS = 1.0
"""How long they wait when the storage could not take them."""
BEAT_SECONDS = 0.25
"""How closely a start can tell how long nobody worked."""


@dataclass(frozen=True)
class Backend:
    """The parts that the server calls."""

    storage: Storage
    organization: Organization
    commands: Commands
    streams: Streams
    hub: Hub
    metrics: Metrics
    provisioning: Queue
    providers: dict[str, Provider]
    started_at: int

    async def health(self) -> Health:
        fault = await self.storage.fault()
        return Health(
            status="ok" if fault is None else fault.state,
            reason=None if fault is None else f"{fault.reason}.",
            version=VERSION,
            pid=os.getpid(),
            started_at=self.started_at,
            providers={name: provider.state() for name, provider in self.providers.items()},
        )


@asynccontextmanager
async def run_backend(
    storage: Storage,
    providers: dict[str, Provider],
    settings: Settings,
    runtime: Runtime,
    clones: Clones,
    trust: Trust,
) -> AsyncIterator[Backend]:
    """A working backend over an open storage; unfinished tasks go on at once. Leaving stops all work, to be resumed."""
    hub = Hub(storage.database)
    loop = asyncio.get_running_loop()
    async with anyio.create_task_group() as tasks:

        def flush_soon(actor: TaskActor) -> None:
            tasks.start_soon(_flush, actor)

        actors = Actors(storage, runtime, flush_soon)
        dispatcher = EmbeddedDispatcher(runtime)
        means = Means(storage, actors, Calls(tasks), dispatcher, providers, settings, runtime)
        sessions = Sessions(means, tasks)
        provision = Provisioning(means, sessions)
        provisioning = dispatcher.queue("provision", provision.provision, settings.max_provisioning)
        metrics = Metrics(hub, provisioning)

        def committed(events: Sequence[Event], seconds: float) -> None:
            hub.publish(events)
            # Whoever waited for the commit goes first.
            loop.call_soon(metrics.committed, events, seconds)

        storage.on_commit = committed
        release = Releasing(means, sessions, provisioning)
        organization = Organization(storage, providers, settings, runtime, clones, trust, provisioning.wake)
        commands = Commands(storage, actors, sessions, provisioning, release, providers, runtime)
        for provider in providers.values():
            provider.agents.on_lost = sessions.lost
            provider.agents.on_said = sessions.said
        for provider in providers.values():
            await tasks.start(provider.run)
        tasks.start_soon(dispatcher.serve)
        tasks.start_soon(_beat, storage, provisioning)
        now = runtime.now()
        downtime = max(0, now - (storage.last_alive or now))
        for task_id in await storage.having(PROVISIONING):
            provision.interrupted(task_id, downtime)
            provisioning.wake(task_id)
        for task_id in await storage.having(RELEASING):
            release.queue.wake(task_id)
        await release.sweep_all()
        await sessions.restarted()
        yield Backend(
            storage=storage,
            organization=organization,
            commands=commands,
            streams=Streams(storage, hub, runtime.now),
            hub=hub,
            metrics=metrics,
            provisioning=provisioning,
            providers=providers,
            started_at=runtime.now(),
        )
        tasks.cancel_scope.cancel()
    await actors.flush()


async def _beat(storage: Storage, queue: Queue) -> None:
    """Show that somebody works, also through stages in which nothing is committed; idle, nothing wakes."""
    while True:
        await queue.busy()
        storage.beat()
        await anyio.sleep(BEAT_SECONDS)


async def _flush(actor: TaskActor) -> None:
    """Commit an actor's lines after gathering them for a moment; while the storage cannot take them, they wait."""
    wait = FLUSH_SECONDS
    while True:
        await anyio.sleep(wait)
        try:
            await actor.flush()
        except UnknownTaskError:
            return
        except (StorageUnavailableError, StaleRevisionError):
            wait = FLUSH_AGAIN_SECONDS
        else:
            return
