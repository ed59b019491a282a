"""The end of a task: archiving releases its sandbox, killing destroys it, as a durable step of its own."""

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from backend_stub.domain.call import Call
from backend_stub.domain.dispatch import Queue
from backend_stub.domain.errors import CallError, SupersededError, UnknownTaskError
from backend_stub.domain.provider import Release
from backend_stub.domain.storage import LeftoverRow
from backend_stub.task.actor import TaskActor
from backend_stub.task.failures import NO_FAILURES, task_error
from backend_stub.task.services import Services
from backend_stub.task.sessions import Sessions
from backend_stub.task.task_change import TaskChange
from foundry_tui.contract.records import ErrorKind, Repo, TaskDetail, TaskError
from foundry_tui.contract.status import RELEASING, TaskStatus

logger = logging.getLogger(__name__)

RELEASES = 32
"""Tasks that are released or destroyed at once."""
SWEEPS = 8
"""Leftovers of earlier releases that are removed at once."""
PATIENCE = 5.0
"""Seconds after which one that still goes on counts no more among those at once: what hangs holds nobody up."""

DOING = {"release_sandbox": "releasing the sandbox", "destroy_sandbox": "destroying the sandbox"}


class Releasing:
    """Releases tasks in one queue, and tries again to remove what earlier releases left behind in another."""

    def __init__(self, services: Services, sessions: Sessions, provisioning: Queue, operations: Queue) -> None:
        self._services = services
        self._sessions = sessions
        self._provisioning = provisioning
        self._operations = operations
        self.queue = services.dispatcher.queue("release", self._release, RELEASES, PATIENCE)
        self.sweeping = services.dispatcher.queue("sweep", self._sweep, SWEEPS, PATIENCE)
        services.calls.on_late_end = self.sweeping.wake

    def cancel_work(self, task: TaskDetail) -> None:
        """Cancel whatever runs for the task, without waiting for its end."""
        self._provisioning.cancel(task.task_id)
        self._operations.cancel(task.task_id)
        self._sessions.cancel_task(task)

    async def _release(self, task_id: str) -> int | None:
        """One attempt to release or destroy the task's sandbox; when the next one is due, if one follows."""
        actor = self._services.actors.of(task_id)
        state = await actor.state()
        task, private = state.task, state.private
        if task.status not in RELEASING:
            return None
        self.cancel_work(task)
        await self._provisioning.ended(task_id)
        await self._operations.ended(task_id)
        await self._sessions.ended(state)
        waits_until = private.next_attempt_at
        if not self._services.settings.is_due(waits_until, private.release_attempt, self._services.runtime.now()):
            return waits_until
        if not private.sandbox_wanted:
            await actor.commit(partial(_end, removed=False))
            return None
        archive = task.status is TaskStatus.ARCHIVING
        repo = await self._repo(task)
        attempt = private.release_attempt + 1
        how = Release(force=private.release_force, delete_branch=private.release_delete_branch)
        still_made = self._services.calls.abandoned(task_id)
        try:
            await self._remove(task, repo, archive, how, actor.log)
        except NO_FAILURES:
            raise
        except Exception as failure:  # noqa: BLE001  # a defect of a provider must not lose the task
            return await self._fail(actor, failure, archive, attempt, how, repo)
        if still_made:
            why = "a call that ignores being cancelled still runs, and may make it again"
            error = TaskError(kind=ErrorKind.INTERNAL, message=why, retryable=True, at=self._services.runtime.now())
            await actor.commit(partial(_give_up, error=error, repo=repo, how=how))
            if not self._services.calls.abandoned(task_id):
                self.sweeping.wake(task_id)
        else:
            await actor.commit(partial(_end, removed=True))
        return None

    async def sweep_all(self, has: Callable[[str | None], bool]) -> None:
        """Try again to remove everything that releases left behind on the hosts that this backend `has`."""
        for row in await self._services.storage.leftovers():
            if has(row.task.host):
                self.sweeping.wake(row.task.task_id)

    async def _sweep(self, task_id: str) -> None:
        """Try again to remove what was left behind of a task; what cannot be removed stays listed."""
        row = await self._services.storage.leftover(task_id)
        if row is None:
            return
        how = Release(force=row.force, delete_branch=row.delete_branch)
        try:
            await self._remove(row.task, row.repo, row.archive, how, lambda stage, text: None)
        except Exception as failure:  # noqa: BLE001  # a defect of a provider must not be tried without end
            logger.warning("what was left behind of task %s still cannot be removed: %r", task_id, failure)
            return
        try:
            await self._services.actors.of(task_id).commit(
                lambda draft: draft.sandbox.remove_leftovers(archive=row.archive)
            )
        except UnknownTaskError:
            await self._services.storage.drop_leftover(task_id)
            if (provider := self._services.providers.get(row.task.provider)) is not None:
                provider.forget(task_id)

    async def _remove(
        self, task: TaskDetail, repo: Repo, archive: bool, how: Release, log: Callable[[str, str], None]
    ) -> None:
        """Have the provider release or destroy the sandbox; `log` takes the stage and a line."""
        provider = self._services.providers.get(task.provider)
        if provider is None:
            raise CallError(f"the provider {task.provider} is not available in this backend", retryable=False)
        name = "release_sandbox" if archive else "destroy_sandbox"
        call = Call(task=task, repo=repo, log=partial(log, name), detail=lambda text: None)
        remove: Callable[[Call, Release], Awaitable[None]] = (
            provider.release_sandbox if archive else provider.destroy_sandbox
        )
        await self._services.calls.within(
            self._services.settings.timeout_ms[name] / 1000, None, partial(remove, call, how)
        )

    async def _fail(
        self, actor: TaskActor, failure: Exception, archive: bool, attempt: int, how: Release, repo: Repo
    ) -> int | None:
        """Commit that the attempt failed; when the next one is due, or None when the task ends all the same."""
        name = "release_sandbox" if archive else "destroy_sandbox"
        error = task_error(failure, DOING[name], self._services.settings.timeout_ms[name], self._services.runtime.now())
        if error.retryable and attempt < self._services.settings.attempts:
            next_at = self._services.runtime.now() + self._services.settings.backoff(
                attempt, self._services.runtime.jitter()
            )

            await actor.commit(lambda draft: draft.release_later(attempt, next_at))
            return next_at
        await actor.commit(partial(_give_up, error=error, repo=repo, how=how))
        return None

    async def _repo(self, task: TaskDetail) -> Repo:
        repo = await self._services.storage.repo(task.repo_id)
        return repo or Repo(repo_id=task.repo_id, label=task.repo_label)


def _give_up(draft: TaskChange, error: TaskError, repo: Repo, how: Release) -> None:
    """End the task, and keep what is left behind to be removed later."""
    _expect_releasing(draft)
    archive = draft.status is TaskStatus.ARCHIVING
    row = LeftoverRow(task=draft.task, repo=repo, archive=archive, force=how.force, delete_branch=how.delete_branch)
    draft.sandbox.leave_behind(row, error.message)
    draft.end()


def _end(draft: TaskChange, removed: bool) -> None:
    """End the task; `removed`: there was, or may have been, a sandbox."""
    _expect_releasing(draft)
    if removed:
        draft.sandbox.remove(archive=draft.status is TaskStatus.ARCHIVING)
    draft.end()


def _expect_releasing(draft: TaskChange) -> None:
    """Raise `SupersededError` unless the task is still being released."""
    if draft.status not in RELEASING:
        raise SupersededError
