"""Finds out what became of a task's branch: at the end of each turn, and when somebody looks at the task."""

import logging
from functools import partial

import anyio

from backend_stub.domain.call import Call
from backend_stub.domain.errors import CallError, CallTimedOutError
from backend_stub.task.failures import NO_FAILURES
from backend_stub.task.services import Services
from backend_stub.task.task_change import TaskChange
from foundry_tui.contract.replace import replace
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.work import Work

logger = logging.getLogger(__name__)

FINDERS = 2
"""Tasks whose branches are looked at at once."""
LIMIT = 120.0
"""Seconds that looking at one branch may take."""
TURN_WAITS = 1.0
"""Seconds that the end of a turn waits for it; what takes longer is told behind."""
AGAIN_MS = 2_000
"""Milliseconds between two looks at one task for those who read it."""
_LOOKED_AT = frozenset({TaskStatus.IDLE, TaskStatus.ERROR})
"""In a turn it changes all the time, and is told when that ends."""


class WorkFinder:
    """Looks for the dispatcher, one look at a time for a task."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._last: dict[str, int] = {}
        """When each task was looked at last, in milliseconds since the epoch."""
        self._ended: dict[str, str] = {}
        """The operation of each task that has ended without a look since."""
        self._queue = services.dispatcher.queue("work", self._find, FINDERS, LIMIT)

    def look(self, task_id: str) -> None:
        """Somebody reads the task: see whether its branch is still as it says. Returns at once."""
        last = self._last.get(task_id)
        self._queue.wake(task_id, None if last is None else last + AGAIN_MS)

    def look_soon(self, task_id: str) -> None:
        """Something was done in the task's sandbox."""
        self._queue.wake(task_id)

    def look_at_what_is_left(self, task_id: str, operation_id: str) -> None:
        """An operation has ended: what is found now counts as of its end, so that what is found otherwise later has
        changed since.
        """
        self._ended[task_id] = operation_id
        self.look_soon(task_id)

    def forget(self, task_id: str) -> None:
        """The task has ended: nobody looks at it any more."""
        self._queue.cancel(task_id)
        self._last.pop(task_id, None)
        self._ended.pop(task_id, None)

    async def after_turn(self, call: Call) -> Work | None:
        """What a turn that ends now made of the branch; None when that is to be told behind, or cannot be said."""
        with anyio.move_on_after(TURN_WAITS):
            return await self._ask(call, after_turn=True)
        self.look_soon(call.task.task_id)
        return None

    async def look_now(self, call: Call) -> None:
        """Have the provider look before this returns, so that all it knows of the task's work is as of now."""
        await self._ask(call)

    async def _find(self, task_id: str) -> int | None:
        ended = self._ended.pop(task_id, None)
        work = await self._look(task_id)
        if work is None:
            return None

        def find(draft: TaskChange) -> None:
            end = next((each.finished_at for each in draft.task.operations if each.operation_id == ended), None)
            note_work(draft, work if end is None else replace(work, at=end))

        await self._services.actors.of(task_id).commit(find)
        return None

    async def _look(self, task_id: str) -> Work | None:
        """What the branch holds now; None where nothing can be told, or changes all the time."""
        task = (await self._services.actors.of(task_id).state()).task
        repo = await self._services.storage.repo(task.repo_id)
        if repo is None or task.sandbox is None or task.status not in _LOOKED_AT:
            return None
        self._last[task_id] = self._services.runtime.now()
        return await self._ask(Call(task=task, repo=repo, log=lambda text: None, detail=lambda text: None))

    async def _ask(self, call: Call, *, after_turn: bool = False) -> Work | None:
        """What the provider tells; None when it cannot."""
        provider = self._services.providers.get(call.task.provider)
        if provider is None:
            return None
        try:
            return await self._services.calls.within(LIMIT, None, partial(provider.work, call, after_turn=after_turn))
        except NO_FAILURES:
            raise
        except (CallError, CallTimedOutError) as failure:
            logger.info("what became of the branch of task %s cannot be told: %s", call.task.task_id, failure)
        except Exception:  # a defect of a provider must not harm the task
            logger.exception("looking at the branch of task %s failed", call.task.task_id)
        return None


def note_work(draft: TaskChange, work: Work | None) -> None:
    """Have the task say what was found of its branch; that nothing was done yet is no news."""
    if draft.status in _LOOKED_AT and (draft.task.work is not None or _has_some(work)):
        draft.find_work(work)


def _has_some(work: Work | None) -> bool:
    return work is not None and bool(work.ahead or work.behind or work.files or work.uncommitted)
