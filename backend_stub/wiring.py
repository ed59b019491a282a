"""Puts the backend together. The only module that knows which storage, dispatcher, providers and agents there are."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from backend_stub.agents.demo import DemoAgents
from backend_stub.agents.sandbox_agent.runtime import SandboxAgentRuntime
from backend_stub.demo.journal import FileJournal, Journal
from backend_stub.demo.script import SCRIPT_VARIABLE, ScriptFile, script_file
from backend_stub.demo.world import World
from backend_stub.dispatch.embedded import EmbeddedDispatcher
from backend_stub.dispatch.many_hosts import ManyHosts
from backend_stub.dispatch.one_host import OneHost
from backend_stub.dispatch.owned import OwnedDispatcher
from backend_stub.domain.clock import Runtime
from backend_stub.domain.database_url import is_postgres, names_a_database, without_secret
from backend_stub.domain.dispatch import Queue
from backend_stub.domain.errors import (
    SettingError,
    StaleRevisionError,
    StartError,
    StorageUnavailableError,
    TaskMovedError,
)
from backend_stub.domain.events import Committed
from backend_stub.domain.forge import Forge
from backend_stub.domain.hosts import HostIdentity, HostReport, HostTable
from backend_stub.domain.provider import Provider
from backend_stub.domain.settings import Settings
from backend_stub.domain.storage import Storage
from backend_stub.forge.gh.cli import GitHubCli
from backend_stub.known_agents import KnownAgents
from backend_stub.known_documents import KnownDocuments
from backend_stub.known_files import FRESH_MS, KnownFiles
from backend_stub.machine.data_folder import owned_folder
from backend_stub.machine.host_identity import host_identity
from backend_stub.offered_options import OfferedOptions
from backend_stub.organization import Organization
from backend_stub.providers.demo import DemoProvider
from backend_stub.providers.local import LocalProvider, LocalSettings
from backend_stub.providers.local.bubblewrap import wrapped
from backend_stub.providers.local.sandbox_record import Records
from backend_stub.repository.clones import Clones
from backend_stub.repository.trust import Trust
from backend_stub.server.backend import Backend
from backend_stub.server.far_readers import FarReaders
from backend_stub.server.hub import Hub
from backend_stub.server.metrics import Metrics
from backend_stub.server.streams import Streams
from backend_stub.storage import sqlite
from backend_stub.storage.copying import Side, TableDigest, copy
from backend_stub.task.actor import Actors, TaskActor
from backend_stub.task.calls import Calls
from backend_stub.task.checkpoints import CheckpointQueries
from backend_stub.task.commands import Commands
from backend_stub.task.operation_commands import OperationCommands
from backend_stub.task.operations import Operations
from backend_stub.task.placement import Placement
from backend_stub.task.provision import Provisioning
from backend_stub.task.pull_requests import PullRequests
from backend_stub.task.release import Releasing
from backend_stub.task.services import Services
from backend_stub.task.sessions import Sessions
from backend_stub.task.work import WorkFinder
from foundry_tui.contract.providers import SIMULATED
from foundry_tui.contract.records import TaskDetail

FLUSH_AGAIN_SECONDS = 1.0
"""How long they wait when the storage could not take them."""
DISK_SECONDS = 0.3
"""How long a host looks for its repositories: one whose disk does not answer tells what it saw last."""
BEAT_SECONDS = 0.25
"""How closely a start can tell how long nobody worked."""


@asynccontextmanager
async def open_backend(
    folder: Path,
    host: str | None,
    database: str | None,
    environ: Mapping[str, str],
    settings: Settings,
    runtime: Runtime,
    wrong_script: Callable[[SettingError], None],
) -> AsyncIterator[Backend]:
    """A working backend over what is in this data folder, or in this database, which it shares with others.

    See `host_identity`, `make_providers` and `run_backend`. Raises `StartError`, `SettingError`,
    `DatabaseUnusableError`.
    """
    identity = host_identity(folder, host, runtime.new_id)
    async with _opened(folder, database, identity, runtime) as kept:
        try:
            providers = make_providers(folder, environ, settings, runtime, wrong_script, kept.journal)
        except OSError as error:
            raise StartError(f"the data folder {folder} cannot be used ({error.filename}: {error.strerror})") from error
        disk = Clones(folder), Trust(folder), OfferedOptions(folder)
        async with run_backend(
            kept.storage, identity, providers, settings, runtime, *disk, table=kept.table
        ) as backend:
            yield backend


@dataclass(frozen=True)
class _Kept:
    """Where all is kept: `journal` and `table` are what several hosts share, None where there is one."""

    storage: Storage
    journal: Journal | None = None
    table: HostTable | None = None


@asynccontextmanager
async def _opened(folder: Path, database: str | None, identity: HostIdentity, runtime: Runtime) -> AsyncIterator[_Kept]:
    """The storage in this folder or database; closed at the end."""
    if database is None:
        storage = sqlite.open_storage(folder, runtime.now)
        try:
            yield _Kept(storage)
        finally:
            await storage.close()
        return
    with _wanting_postgres():
        from backend_stub.storage import postgres
    async with postgres.open_shared(database, folder, identity, runtime.now) as shared:
        yield _Kept(shared.storage, shared.journal, shared.hosts)


@contextmanager
def _wanting_postgres() -> Iterator[None]:
    """For the import of what speaks to PostgreSQL, which is an extra; raises `StartError`."""
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] in ("backend_stub", "foundry_tui"):
            # An upgrade puts other files in their place while this process runs.
            raise StartError("Foundry's own files have changed since this backend began: start it again") from error
        raise StartError(
            f"a database in PostgreSQL needs {error.name}, which is not installed: pip install 'foundry-tui[postgres]'"
        ) from None


async def copy_database(source: str, target: str) -> dict[str, TableDigest]:
    """Copy all that is in one database into another, which must be empty; what each table holds then.

    Either is a data folder or a URL. Raises `DatabaseUnusableError`, and `StartError` for a folder that is in use.
    """
    async with _side(source, make=False) as from_, _side(target, make=True) as to:
        return await copy(from_, to)


@asynccontextmanager
async def _side(place: str, *, make: bool) -> AsyncIterator[Side]:
    if is_postgres(place):
        with _wanting_postgres():
            from backend_stub.storage.postgres.side import open_side
        async with open_side(place) as side:
            yield side
        return
    with _folder_side(place, make=make) as kept:
        yield kept


@contextmanager
def _folder_side(place: str, *, make: bool) -> Iterator[Side]:
    path = Path(place)
    if names_a_database(place) and not path.is_dir():
        raise StartError(
            f"{without_secret(place)} cannot be copied from or to: name a data folder, or PostgreSQL by a URL "
            "(postgresql://USER@HOST/NAME)"
        )
    if not make and not path.is_dir():
        raise StartError(f"there is no folder {path}: name the data folder of a backend, or a postgresql:// URL")
    with owned_folder(path) as folder, sqlite.open_side(folder.path, make=make) as side:
        yield side


@asynccontextmanager
async def run_backend(
    storage: Storage,
    identity: HostIdentity,
    providers: dict[str, Provider],
    settings: Settings,
    runtime: Runtime,
    clones: Clones,
    trust: Trust,
    offered: OfferedOptions,
    table: HostTable | None = None,
) -> AsyncIterator[Backend]:
    """A working backend over an open storage; unfinished tasks go on at once. Leaving stops all work, to be resumed.

    `table` is what it shares with other hosts; without it this is the only one.
    """
    hub = Hub(storage.events.database)
    loop = asyncio.get_running_loop()
    async with anyio.create_task_group() as tasks:

        def flush_soon(actor: TaskActor, seconds: float) -> None:
            # Once the backend stops, what waits is committed below, after all else has ended.
            if not tasks.cancel_scope.cancel_called:
                tasks.start_soon(_flush, actor, seconds)

        here: Sequence[str] = ()
        one_at_a_time = anyio.CapacityLimiter(1)

        async def report() -> HostReport:
            nonlocal here
            kept = [repo.path for repo in await storage.repos() if repo.path is not None]
            with anyio.move_on_after(DISK_SECONDS):
                here = await anyio.to_thread.run_sync(_folders, kept, abandon_on_cancel=True, limiter=one_at_a_time)
            return HostReport(
                providers=tuple(providers),
                repositories=tuple(here),
                running=provisioning.running + provisioning.waiting + sessions.queue.running,
                limit=settings.max_provisioning,
            )

        def may_write(task: TaskDetail) -> bool:
            return hosts.has(task.host) or hosts.is_lost(task.host or "")

        embedded = EmbeddedDispatcher(runtime)
        loose = [name for name, provider in providers.items() if not provider.bound]
        many = ManyHosts(identity, table, report, loose) if table is not None else None
        hosts = many or OneHost(identity, report, runtime.now)
        dispatcher = OwnedDispatcher(embedded, many.is_mine) if many is not None else embedded
        actors = Actors(storage, runtime, flush_soon, may_write)
        services = Services(storage, actors, Calls(tasks), dispatcher, providers, settings, runtime)
        far_readers = FarReaders(hosts, hub, tasks)
        work = WorkFinder(services)
        sessions = Sessions(services, tasks, work)
        provision = Provisioning(services, sessions)
        provisioning = dispatcher.queue("provision", provision.provision, settings.max_provisioning)
        metrics = Metrics(hub, provisioning)

        def committed(commit: Committed) -> None:
            if commit.gap:
                hub.break_off()
            hub.publish(commit.events)
            # Whoever waited for the commit goes first.
            loop.call_soon(metrics.committed, commit)
            if commit.seconds is None:
                placement.changed(commit)

        storage.events.listen(committed)
        operations = Operations(services, work, sessions.wake_all)
        pull_requests = PullRequests(services, far_readers.is_read)
        operations.on_ended = pull_requests.look_soon
        sessions.on_turn_over = operations.queue.wake
        sessions.options.on_offered = offered.learn
        release = Releasing(services, sessions, provisioning, operations.queue)
        agents = KnownAgents(providers, offered)
        placement = Placement(services, hosts, embedded, tasks, provision, provisioning, sessions, operations, release)
        organization = Organization(
            storage, providers, settings, runtime, clones, trust, agents, hosts, provisioning.wake
        )
        commands = Commands(storage, actors, sessions, provisioning, release, providers, agents, hosts, runtime)
        operations.on_archived = commands.release
        for provider in providers.values():
            provider.agents.on_lost = sessions.lost
            provider.agents.on_said = sessions.said
            provider.agents.on_changed = sessions.options.changed
        for provider in providers.values():
            await tasks.start(provider.run)
        tasks.start_soon(dispatcher.serve)
        tasks.start_soon(_beat, storage, provisioning)
        was_lost = await many.join() if many is not None else False
        if identity.former_name is not None:
            await placement.rename()
        now = runtime.now()
        await placement.resume(max(0, now - (storage.last_alive or now)), was_lost=was_lost)
        if many is not None:
            many.on_homeless, many.on_return = placement.look_after, placement.come_back
            tasks.start_soon(many.run)
            tasks.start_soon(far_readers.run)
        yield Backend(
            storage=storage,
            organization=organization,
            commands=commands,
            operations=OperationCommands(storage, actors, operations, providers, runtime),
            agents=agents,
            checkpoints=CheckpointQueries(storage, providers, KnownDocuments(runtime, tasks)),
            work=work,
            pull_requests=pull_requests,
            files=KnownFiles(storage, providers, clones, KnownDocuments(runtime, tasks, fresh_ms=FRESH_MS)),
            streams=Streams(storage.events, hub, runtime.now),
            hub=hub,
            hosts=hosts,
            far_readers=far_readers,
            metrics=metrics,
            provisioning=provisioning,
            providers=providers,
            started_at=runtime.now(),
        )
        tasks.cancel_scope.cancel()
    await actors.flush()
    if many is not None:
        await many.leave()


def _folders(paths: Sequence[str]) -> list[str]:
    """In a thread: those of these paths that lie on this machine."""
    return [path for path in paths if Path(path).is_dir()]


async def _beat(storage: Storage, queue: Queue) -> None:
    """Show that somebody works, also through stages in which nothing is committed; idle, nothing wakes."""
    while True:
        await queue.busy()
        storage.beat()
        await anyio.sleep(BEAT_SECONDS)


async def _flush(actor: TaskActor, wait: float) -> None:
    """Commit what an actor has gathered by then; while the storage cannot take it, it waits."""
    while True:
        await anyio.sleep(wait)
        try:
            await actor.flush()
        except TaskMovedError:
            return
        except (StorageUnavailableError, StaleRevisionError):
            wait = FLUSH_AGAIN_SECONDS
        else:
            return


def make_providers(
    folder: Path,
    environ: Mapping[str, str],
    settings: Settings,
    runtime: Runtime,
    wrong_script: Callable[[SettingError], None],
    journal: Journal | None = None,
) -> dict[str, Provider]:
    """The providers by name, the default first: the one set, else `local`; `demo` where only its script is set.

    `wrong_script` is told when the demo script says what cannot be, now or later. `journal` is that of a demo world
    which several hosts share.
    Raises `SettingError` for a wrong demo script or setting, or a default provider that there is none of.
    """
    script = script_file(environ, wrong_script)
    script.read()
    told = LocalSettings.from_environ(environ)
    local = local_provider(folder, told, environ, GitHubCli(runtime.now, environ))
    providers: dict[str, Provider] = {
        SIMULATED: demo_provider(folder / "demo", script, runtime, told.agents, journal),
        "local": local,
    }
    if settings.provider is not None and settings.provider not in providers:
        known = ", ".join(sorted(providers))
        raise SettingError(f"FOUNDRY_PROVIDER is {settings.provider!r}, but there is only {known}")
    first = settings.provider or (SIMULATED if environ.get(SCRIPT_VARIABLE) else "local")
    return dict(sorted(providers.items(), key=lambda item: item[0] != first))


def demo_provider(
    folder: Path,
    script: ScriptFile,
    runtime: Runtime,
    configured: Collection[str] = (),
    journal: Journal | None = None,
) -> DemoProvider:
    """The demo's sandboxes and agents, which share one world; its journal is kept in `folder` if nowhere else."""
    world = World(journal or FileJournal(folder / "world.jsonl"), script, runtime)
    return DemoProvider(folder, world, script, runtime, DemoAgents(world, script), configured)


def local_provider(folder: Path, settings: LocalSettings, environ: Mapping[str, str], forge: Forge) -> LocalProvider:
    """Sandboxes in the data folder, with sandbox-agent servers in them; their pull requests are opened at `forge`."""

    def under_bubblewrap(argv: Sequence[str], cwd: Path, readable: Sequence[Path]) -> Sequence[str]:
        return wrapped(argv, cwd, folder, settings.writable, environ, readable)

    agents = SandboxAgentRuntime(
        folder,
        Records(folder).agent_folder,
        environ=environ,
        configured=settings.agents,
        mcp=settings.mcp,
        wrap=under_bubblewrap if settings.bubblewrap else None,
    )
    return LocalProvider(folder, settings, environ, agents, forge)
