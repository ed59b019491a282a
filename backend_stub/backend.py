"""Puts the backend together: storage, actors, lanes of work, providers, and what the server needs of them."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version

import anyio

from backend_stub.clock import Chance
from backend_stub.dispatch.calls import Calls
from backend_stub.dispatch.embedded import Lane
from backend_stub.metrics import Metrics
from backend_stub.organization import Organization
from backend_stub.providers.base import Provider
from backend_stub.server.hub import Hub
from backend_stub.server.streams import Streams
from backend_stub.settings import Settings
from backend_stub.storage.base import Event, Storage
from backend_stub.task.actor import Actors, TaskActor
from backend_stub.task.commands import Commands
from backend_stub.task.provision import Provisioning
from backend_stub.task.release import Releasing
from backend_stub.task.sessions import Sessions
from foundry_tui.contract.records import Health
from foundry_tui.contract.status import PROVISIONING

RELEASES = 32
"""Tasks that are released or destroyed at once."""
FLUSH_SECONDS = 0.05


@dataclass(frozen=True)
class Backend:
    """The parts that the server calls."""

    storage: Storage
    organization: Organization
    commands: Commands
    streams: Streams
    hub: Hub
    metrics: Metrics
    provisioning: Lane
    providers: dict[str, Provider]
    started_at: int

    def health(self) -> Health:
        return Health(
            status="ok",
            version=version("foundry-tui"),
            pid=os.getpid(),
            started_at=self.started_at,
            providers={name: provider.state() for name, provider in self.providers.items()},
        )


@asynccontextmanager
async def run_backend(
    storage: Storage, providers: dict[str, Provider], settings: Settings, chance: Chance
) -> AsyncIterator[Backend]:
    """A working backend over an open storage; unfinished tasks go on at once. Leaving stops all work, to be resumed."""
    hub = Hub(storage.database)
    async with anyio.create_task_group() as tasks:
        calls = Calls(tasks)

        def flush_soon(actor: TaskActor) -> None:
            tasks.start_soon(_flush, actor)

        actors = Actors(storage, chance, flush_soon)
        sessions = Sessions(storage, actors, calls, tasks, providers, settings, chance)
        provision = Provisioning(storage, actors, calls, sessions, providers, settings, chance)
        provisioning = Lane("provision", provision.provision, chance, settings.max_provisioning)
        metrics = Metrics(hub, provisioning)

        def committed(events: Sequence[Event], seconds: float) -> None:
            hub.publish(events)
            metrics.committed(events, seconds)

        storage.on_commit = committed
        release = Releasing(storage, actors, calls, sessions, provisioning, providers, settings, chance)
        releasing = Lane("release", release.release, chance, RELEASES)
        organization = Organization(storage, providers, settings, chance, provisioning.wake)
        commands = Commands(storage, actors, sessions, provisioning, releasing, release, providers, chance)
        for provider in providers.values():
            provider.agents.on_lost = sessions.lost
        for provider in providers.values():
            await tasks.start(provider.run)
        for lane in (provisioning, releasing, sessions.lane, sessions.attaching):
            tasks.start_soon(lane.serve)
        for task_id in await storage.unfinished():
            if (await actors.of(task_id).state()).task.status in PROVISIONING:
                provision.interrupted(task_id)
                provisioning.wake(task_id)
            else:
                releasing.wake(task_id)
        await sessions.restarted()
        tasks.start_soon(release.sweep)
        yield Backend(
            storage=storage,
            organization=organization,
            commands=commands,
            streams=Streams(storage, hub, chance.now),
            hub=hub,
            metrics=metrics,
            provisioning=provisioning,
            providers=providers,
            started_at=chance.now(),
        )
        tasks.cancel_scope.cancel()
    await actors.flush()


async def _flush(actor: TaskActor) -> None:
    """Commit an actor's lines after gathering them for a moment."""
    await anyio.sleep(FLUSH_SECONDS)
    await actor.flush()
