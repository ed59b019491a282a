"""Which host has a task."""

from functools import partial

from backend_stub.domain.hosts import HostIdentity
from backend_stub.domain.storage import Storage
from backend_stub.task.actor import Actors
from backend_stub.task.task_change import TaskChange
from foundry_tui.contract.status import ENDED, TaskStatus

LIVING = frozenset(TaskStatus) - ENDED


async def rename_host(storage: Storage, actors: Actors, host: HostIdentity) -> None:
    """Have this host's tasks that have not ended call it by the name that it has now."""
    for task_id in await storage.having(LIVING):
        await actors.of(task_id).commit(partial(TaskChange.stand_on, host=host))
