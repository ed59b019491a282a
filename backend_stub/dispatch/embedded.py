"""A dispatcher in this process: it forgets everything when the process ends, so a start wakes what is unfinished."""

import heapq
import itertools
import logging
import math
from collections import deque
from dataclasses import dataclass, field

import anyio

from backend_stub.domain.clock import Runtime
from backend_stub.domain.dispatch import Run
from backend_stub.domain.errors import StaleRevisionError, StorageUnavailableError, TaskMovedError
from backend_stub.log import Sparing

logger = logging.getLogger(__name__)

LONGEST_WAIT_MS = 60_000
"""However the clock was set meanwhile, nothing waits longer than this for its next run."""
LIMITS_AT_MOST = 4
"""A lane never has more runs at once than this many times its limit, those beyond their `patience` among them."""
NEVER = math.inf, 0
AFTER_FAULT_MS = 1_000
"""Wait before running again what could not be committed."""


@dataclass
class _Run:
    began: float
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    ended: anyio.Event = field(default_factory=anyio.Event)
    again: bool = False


class Lane:
    """One queue: runs `run(key)` for every key that is woken, first come first served.

    See `backend_stub.domain.dispatch`. A run that takes longer than `patience` no longer counts towards the
    limit, so that others begin beside it, until there are `LIMITS_AT_MOST` times the limit of runs.
    """

    def __init__(
        self,
        name: str,
        run: Run,
        runtime: Runtime,
        limit: float = math.inf,
        patience: float = math.inf,
    ) -> None:
        self._name = name
        self._log = Sparing(logger)
        self._run = run
        self._runtime = runtime
        self._limit = limit
        self._patience = patience
        self._ready: deque[str] = deque()
        self._queued: set[str] = set()
        self._later: list[tuple[float, int, str]] = []
        self._due: dict[str, tuple[float, int]] = {}
        self._order = itertools.count()
        self._running: dict[str, _Run] = {}
        self._changed = anyio.Event()
        self._busy = anyio.Event()

    @property
    def running(self) -> int:
        """How many keys run now."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """How many keys could run but for the limit."""
        return len(self._ready)

    def wake(self, key: str, at: int | None = None) -> None:
        """Run the key soon, or at a time in milliseconds since the epoch; an earlier wake-up of the key is kept."""
        wait = 0 if at is None else min(at - self._runtime.now(), LONGEST_WAIT_MS)
        if wait > 0:
            due = anyio.current_time() + wait / 1000, next(self._order)
            if due < self._due.get(key, NEVER):
                self._due[key] = due
                heapq.heappush(self._later, (*due, key))
        elif key in self._running:
            self._running[key].again = True
        elif key not in self._queued:
            self._due.pop(key, None)
            self._queued.add(key)
            self._ready.append(key)
        # Without a place nothing can begin, and a run that ends tells of its place itself.
        if wait > 0 or len(self._running) < self._limit or self._patience < math.inf:
            self._changed.set()

    def cancel(self, key: str) -> None:
        """Take back every wake-up of the key and cancel its run."""
        self._due.pop(key, None)
        if key in self._queued:
            self._queued.discard(key)
            self._ready.remove(key)
        run = self._running.get(key)
        if run is not None:
            run.again = False
            run.scope.cancel()

    async def busy(self) -> None:
        """Wait until something runs."""
        await self._busy.wait()

    async def ended(self, key: str) -> None:
        """Wait until no run of the key is in progress."""
        run = self._running.get(key)
        if run is not None:
            await run.ended.wait()

    async def serve(self) -> None:
        """Run what is woken, until cancelled."""
        async with anyio.create_task_group() as tasks:
            while True:
                self._changed = anyio.Event()
                self._collect_due()
                while self._ready and self._taken() < self._limit:
                    key = self._ready.popleft()
                    self._queued.discard(key)
                    run = self._running[key] = _Run(began=anyio.current_time())
                    self._busy.set()
                    tasks.start_soon(self._once, key, run)
                due = self._later[0][0] if self._later else math.inf
                with anyio.move_on_at(min(due, self._next_place()) if self._ready else due):
                    await self._changed.wait()

    def _taken(self) -> int:
        """How many places are taken."""
        if self._patience == math.inf or len(self._running) >= LIMITS_AT_MOST * self._limit:
            return len(self._running)
        since = anyio.current_time() - self._patience
        return sum(run.began > since for run in self._running.values())

    def _next_place(self) -> float:
        """When the oldest run that holds a place has held it for long enough; never, if none holds one."""
        since = anyio.current_time() - self._patience
        return (
            min((run.began for run in self._running.values() if run.began > since), default=math.inf) + self._patience
        )

    def _collect_due(self) -> None:
        now = anyio.current_time()
        while self._later and self._later[0][0] <= now:
            *due, key = heapq.heappop(self._later)
            if self._due.get(key) == tuple(due):
                del self._due[key]
                self.wake(key)

    async def _once(self, key: str, run: _Run) -> None:
        at: int | None = None
        try:
            with run.scope:
                at = await self._run(key)
        except TaskMovedError:
            logger.debug("%s %s was superseded", self._name, key)
        except (StorageUnavailableError, StaleRevisionError) as error:
            self._log.warning("%s %s goes on later: %s", self._name, key, error)
            at = self._runtime.now() + AFTER_FAULT_MS
        except Exception:
            logger.exception("%s %s failed, and goes on later", self._name, key)
            at = self._runtime.now() + AFTER_FAULT_MS
        finally:
            del self._running[key]
            if not self._running:
                self._busy = anyio.Event()
            run.ended.set()
            self._changed.set()
        if run.again:
            self.wake(key)
        elif at is not None and not run.scope.cancel_called:
            self.wake(key, at)


class EmbeddedDispatcher:
    """See `backend_stub.domain.dispatch.Dispatcher`; each queue is a lane of its own."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lanes: list[Lane] = []

    def queue(self, name: str, run: Run, limit: float = math.inf, patience: float = math.inf) -> Lane:
        lane = Lane(name, run, self._runtime, limit, patience)
        self._lanes.append(lane)
        return lane

    async def serve(self) -> None:
        async with anyio.create_task_group() as tasks:
            for lane in self._lanes:
                tasks.start_soon(lane.serve)
