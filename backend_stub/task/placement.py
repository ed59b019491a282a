"""Which host has a task: work goes on where it is, is taken over from a host that is lost, and waits for one that has
its sandbox.
"""

from collections.abc import Sequence
from contextlib import suppress

import anyio
from anyio.abc import TaskGroup

from backend_stub.domain.dispatch import Dispatcher, Queue
from backend_stub.domain.errors import StaleRevisionError, StorageUnavailableError, TaskMovedError
from backend_stub.domain.events import Committed
from backend_stub.domain.hosts import HomelessTask, Hosts
from backend_stub.task.actor import TaskActor
from backend_stub.task.operations import Operations
from backend_stub.task.provision import Provisioning
from backend_stub.task.release import Releasing
from backend_stub.task.services import Services
from backend_stub.task.sessions import Sessions
from backend_stub.task.turn import was_stopped
from foundry_tui.contract.questions import PermissionState
from foundry_tui.contract.records import SessionStatus, TaskDetail
from foundry_tui.contract.status import ENDED, PROVISIONING, READY, RELEASING, TaskStatus

LIVING = frozenset(TaskStatus) - ENDED
_OVER = frozenset({SessionStatus.CLOSED, SessionStatus.ERROR})
ADOPTIONS = 8
"""Tasks that are taken over at once."""
RETURNS = 4
"""Tasks that a host goes on with at once when it is back: fewer than it reads at once, so that it answers meanwhile."""


class Placement:
    """Wakes what is this host's to do, and ends what is not any more."""

    def __init__(
        self,
        services: Services,
        hosts: Hosts,
        homeless: Dispatcher,
        tasks: TaskGroup,
        provision: Provisioning,
        provisioning: Queue,
        sessions: Sessions,
        operations: Operations,
        release: Releasing,
    ) -> None:
        """`homeless` runs work on tasks that are no host's that is up."""
        self._services = services
        self._hosts = hosts
        self._tasks = tasks
        self._provision = provision
        self._provisioning = provisioning
        self._sessions = sessions
        self._operations = operations
        self._release = release
        self._returning = anyio.CapacityLimiter(RETURNS)
        self._homeless = homeless.queue("homeless", self._look_after, ADOPTIONS)

    async def rename(self) -> None:
        """Have this host's tasks that have not ended call it by the name that it has now."""
        for task_id in await self._mine(await self._services.storage.having(LIVING)):
            await self._services.actors.of(task_id).commit(lambda draft: draft.host.stand_on(self._hosts.me))

    async def resume(self, downtime: int, *, was_lost: bool = False) -> None:
        """After a restart: go on with all that is this host's. For `downtime` milliseconds nobody worked.

        `was_lost`: tasks may say that this host is away.
        """
        storage = self._services.storage
        if was_lost:
            for task_id in await self._mine(await storage.having(LIVING)):
                self._tasks.start_soon(self._be_back, task_id)
        for task_id in await self._mine(await storage.having(PROVISIONING)):
            self._provision.interrupted(task_id, downtime)
            self._provisioning.wake(task_id)
        for task_id in await self._mine(await storage.having(RELEASING)):
            self._release.queue.wake(task_id)
        await self._release.sweep_all(self._hosts.has)
        for task_id in await self._mine((*await storage.having(READY), *await storage.in_turn(TaskStatus.ERROR))):
            self._sessions.find_agent(task_id)
        for task_id in await self._mine(await storage.operating()):
            self._operations.queue.wake(task_id)

    async def look_after(self, homeless: Sequence[HomelessTask]) -> None:
        """Take over tasks whose host is lost, or have them say that they wait for it. Returns at once."""
        for each in homeless:
            self._homeless.wake(each.task_id)

    async def come_back(self) -> None:
        """This host was thought lost: whatever it holds may be old, and other hosts may have some of its tasks."""
        known = self._services.actors.all_known()
        for actor in known:
            actor.read_anew()
        mine = set(await self._mine([actor.task_id for actor in known]))
        for actor in known:
            if actor.task_id not in mine:
                self._tasks.start_soon(self._let_go, actor)
        for task_id in await self._mine(await self._services.storage.having(LIVING)):
            self._tasks.start_soon(self._return_to, task_id)

    def changed(self, commit: Committed) -> None:
        """Another process has committed this."""
        for event in commit.events:
            actor = self._services.actors.known(event.task_id)
            if actor is not None:
                actor.read_anew()
            if not isinstance(event.record, TaskDetail) or event.record.host is None:
                continue
            if self._hosts.has(event.record.host):
                self._tasks.start_soon(self._go_on, event.task_id)
            elif actor is not None:
                self._release.cancel_work(event.record)

    async def _mine(self, task_ids: Sequence[str]) -> Sequence[str]:
        return await self._hosts.mine(task_ids)

    async def _look_after(self, task_id: str) -> None:
        actor = self._services.actors.of(task_id)
        actor.read_anew()
        try:
            task = (await actor.state()).task
            provider = self._services.providers.get(task.provider)
            if task.host is not None and (provider is None or provider.bound):
                await actor.commit(lambda draft: draft.host.wait())
                return
            await actor.commit(lambda draft: draft.host.stand_on(self._hosts.me))
        except (TaskMovedError, StaleRevisionError):
            # Another host was sooner; what is still homeless is told of again.
            return
        self._take_up((await actor.state()).task)

    def _take_up(self, task: TaskDetail) -> None:
        """Go on with a task of which this process knows nothing."""
        if task.status in PROVISIONING:
            self._provision.interrupted(task.task_id, 0)
            self._provisioning.wake(task.task_id)
        elif task.status in RELEASING:
            self._release.queue.wake(task.task_id)
        else:
            self._sessions.find_agent(task.task_id)
        if task.operation is not None:
            self._operations.queue.wake(task.task_id)

    async def _be_back(self, task_id: str) -> None:
        with suppress(TaskMovedError, StaleRevisionError, StorageUnavailableError):
            await self._services.actors.of(task_id).commit(lambda draft: draft.host.be_back())

    async def _return_to(self, task_id: str) -> None:
        async with self._returning:
            await self._go_on(task_id)

    async def _go_on(self, task_id: str) -> None:
        """Somebody else has changed a task of this host, as happens while that is thought lost: see what follows."""
        await self._be_back(task_id)
        actor = self._services.actors.of(task_id)
        with suppress(TaskMovedError, StorageUnavailableError):
            state = await actor.state()
            task = state.task
            for permission in task.permissions:
                if permission.state is not PermissionState.OPEN:
                    self._sessions.settled(permission.permission_id)
            for session in task.sessions:
                # One that is yet to be opened, or is being handed a prompt, runs no turn either: it goes on.
                if session.status in _OVER or was_stopped(state, session):
                    self._sessions.stop(session.session_id)
            self._provisioning.wake(task_id)
            self._operations.queue.wake(task_id)
            if task.status in RELEASING:
                self._release.queue.wake(task_id)
            await self._sessions.wake_all(actor)

    async def _let_go(self, actor: TaskActor) -> None:
        """Another host has the task: nothing of it goes on here."""
        with suppress(TaskMovedError, StorageUnavailableError):
            self._release.cancel_work((await actor.state()).task)
