"""Keeps what tasks say of their pull requests true: by need, and only while one may still change and somebody reads."""

import logging
from collections.abc import Callable, Sequence
from functools import partial

from backend_stub.domain.call import Call
from backend_stub.domain.errors import CallError, CallTimedOutError, conflict
from backend_stub.domain.forge import LONGEST_LIMIT, ForgeLimitedError
from backend_stub.domain.way_home import WayHome
from backend_stub.task.failures import NO_FAILURES
from backend_stub.task.services import Services
from backend_stub.task.task_change import TaskChange
from foundry_tui.contract.pull_request import IN_PROGRESS, ChecksState, Comment, Mergeable, PullRequest
from foundry_tui.contract.replace import replace

logger = logging.getLogger(__name__)

LOOKS = 2
"""Pull requests that are asked about at once."""
LIMIT = 90.0
"""Seconds that asking about one may take."""
AGAIN_MS = 3_000
"""Milliseconds between two looks at one for those who ask how it stands."""
SOONEST_MS, LATEST_MS = 15_000, 300_000
"""Milliseconds between two looks at one: the former while checks run, growing to the latter while nothing changes."""


class PullRequests:
    """Asks for the dispatcher, one look at a time for a task. `watched` tells whether somebody reads a task now."""

    def __init__(self, services: Services, watched: Callable[[str], bool]) -> None:
        self._services = services
        self._watched = watched
        self._waits: dict[str, int] = {}
        """Milliseconds from the last look at each task to the next."""
        self._last: dict[str, int] = {}
        self._limited_until = 0
        self._queue = services.dispatcher.queue("pull_request", self._look, LOOKS, LIMIT)

    def look(self, task_id: str) -> None:
        """Somebody reads the task. Returns at once."""
        last = self._last.get(task_id)
        at = None if last is None else last + self._waits.get(task_id, SOONEST_MS)
        limited = self._limit_ends()
        self._queue.wake(task_id, limited or None if at is None else max(at, limited))

    def look_now(self, task_id: str) -> None:
        """Somebody asks how it stands, and is not to read what was so minutes ago."""
        self._waits.pop(task_id, None)
        self._queue.wake(task_id, max(self._last.get(task_id, 0) + AGAIN_MS, self._limit_ends()))

    def look_soon(self, task_id: str) -> None:
        """Something was done that changes it."""
        self._waits.pop(task_id, None)
        self._last[task_id] = self._services.runtime.now()
        self._queue.wake(task_id, self._services.runtime.now() + SOONEST_MS)

    def forget(self, task_id: str) -> None:
        """The task is gone."""
        self._queue.cancel(task_id)
        self._waits.pop(task_id, None)
        self._last.pop(task_id, None)

    async def comments(self, task_id: str) -> Sequence[Comment]:
        """What was said about lines of the task's pull request, at which it is looked again; raises `RefusedError`."""
        way_home, call = await self._side(task_id)
        self.look_now(task_id)
        if way_home is None:
            return ()
        try:
            return await self._services.calls.within(LIMIT, None, partial(way_home.comments, call))
        except (CallError, CallTimedOutError) as failure:
            raise conflict(str(failure)) from failure

    async def _look(self, task_id: str) -> int | None:
        """Look at it, if it may have changed and somebody reads; when to look again."""
        if not self._watched(task_id):
            return None
        way_home, call = await self._side(task_id)
        held = call.task.pull_request
        if way_home is None or held is None or held.state not in IN_PROGRESS:
            return None
        now = self._services.runtime.now()
        if now < (limited := self._limit_ends()):
            return limited
        self._last[task_id] = now
        found = await self._ask(way_home, call)
        changed = found is not None and replace(found, at=held.at) != held
        if found is not None:
            # Also without news it is told when it was looked at: who waits for its checks goes by no older word.
            await self._services.actors.of(task_id).commit(partial(_find, found=found))
        if found is not None and found.state not in IN_PROGRESS:
            return None
        wait = self._wait(task_id, found, changed=changed)
        return max(now + wait, self._limited_until)

    def _limit_ends(self) -> int:
        """Until when the forge takes no more requests. A time further away than any is one that a clock set back left
        behind, and does not count.
        """
        return self._limited_until if self._limited_until - self._services.runtime.now() <= LONGEST_LIMIT * 1000 else 0

    def _wait(self, task_id: str, found: PullRequest | None, *, changed: bool) -> int:
        """How long to wait now, in milliseconds: longer each time that there was no news."""
        hurried = found is not None and (
            found.checks.state is ChecksState.PENDING or found.mergeable is Mergeable.UNKNOWN
        )
        before = self._waits.get(task_id, SOONEST_MS)
        wait = SOONEST_MS if changed or hurried else min(LATEST_MS, 2 * before)
        self._waits[task_id] = wait
        return wait

    async def _ask(self, way_home: WayHome, call: Call) -> PullRequest | None:
        """The pull request as it is now; None when that cannot be told."""
        try:
            return await self._services.calls.within(LIMIT, None, partial(way_home.pull_request, call))
        except NO_FAILURES:
            raise
        except ForgeLimitedError as failure:
            now = self._services.runtime.now()
            self._limited_until = max(failure.until or now + LATEST_MS, now + SOONEST_MS)
            logger.info("no pull request is looked at for %d s: %s", (self._limited_until - now) // 1000, failure)
        except (CallError, CallTimedOutError) as failure:
            logger.info("the pull request of task %s cannot be looked at: %s", call.task.task_id, failure)
        except Exception:  # a defect of a forge must not harm the task
            logger.exception("looking at the pull request of task %s failed", call.task.task_id)
        return None

    async def _side(self, task_id: str) -> tuple[WayHome | None, Call]:
        task = (await self._services.actors.of(task_id).state()).task
        repo = await self._services.storage.repo(task.repo_id)
        provider = self._services.providers.get(task.provider)
        if repo is None:
            raise conflict("The repository of this task is not known any more.")
        call = Call(task=task, repo=repo, log=lambda text: None, detail=lambda text: None)
        return (None if provider is None else provider.way_home), call


def _find(draft: TaskChange, found: PullRequest) -> None:
    draft.find_pull_request(found)
