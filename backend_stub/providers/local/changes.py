"""What a task changed and what removing it would lose: computed behind, kept, and answered at once."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import TaskStatus
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from backend_stub.domain.errors import CallError
from backend_stub.providers.local.comparison import Compared, diff_of
from backend_stub.providers.local.losses import losses_of
from backend_stub.providers.local.recent import RecentDiffs
from backend_stub.providers.local.sandbox_record import Losses, Made, Record, Records
from foundry_tui.contract.requests import Diff

logger = logging.getLogger(__name__)

DIFFS_LIMIT = 32_000_000
"""Characters of all tasks' diffs that are held in memory; what was let go is computed again, or read from the disk."""
WORKERS = 2
WAIT_SECONDS = 20.0
"""How long somebody may wait for a newer diff; then what is known counts."""
PATIENCE = 3.0
"""Seconds that the end of a turn waits for what changed in it; a huge worktree takes longer."""


class Changes:
    """Known losses and diffs by task. `run` computes; the rest only reads, or says that something may have changed."""

    def __init__(self, records: Records, now: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._records = records
        self._now = now
        self._losses: dict[str, Losses] = {}
        self._diffs = RecentDiffs(DIFFS_LIMIT)
        self._changed: dict[str, str | None] = {}
        """What git said had changed when each of `_diffs` was computed."""
        self._waiting: set[str] = set()
        self._busy: set[str] = set()
        self._asked: Counter[str] = Counter()
        """How often each was asked for, and how many of those the last computation answers: it began after them."""
        self._answered: Counter[str] = Counter()
        self._jobs: MemoryObjectSendStream[str] | None = None
        self._idle = anyio.Event()
        self._left: set[str] = set()
        self._step = anyio.Event()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Compute what is asked for until cancelled."""
        send, receive = anyio.create_memory_object_stream[str](float("inf"))
        self._jobs = send
        async with send, receive, anyio.create_task_group() as group:
            for _ in range(WORKERS):
                group.start_soon(self._work, receive.clone())
            for task_id in tuple(self._waiting):
                send.send_nowait(task_id)
            task_status.started()

    async def _work(self, jobs: MemoryObjectReceiveStream[str]) -> None:
        async with jobs:
            async for task_id in jobs:
                self._waiting.discard(task_id)
                self._busy.add(task_id)
                asked = self._asked[task_id]
                try:
                    await self._compute(task_id)
                finally:
                    self._busy.discard(task_id)
                    self._answered[task_id] = asked
                    if self._asked[task_id] > asked:
                        self._queue(task_id)
                    self._step.set()
                    self._step = anyio.Event()
                if not self._waiting and not self._busy:
                    self._idle.set()

    def refresh(self, task_id: str) -> None:
        """Something may have changed in this task's worktree: compute anew, soon, once."""
        self._asked[task_id] += 1
        if task_id not in self._busy and task_id not in self._waiting:
            self._queue(task_id)

    def _queue(self, task_id: str) -> None:
        self._waiting.add(task_id)
        if self._idle.is_set():
            self._idle = anyio.Event()
        if self._jobs is not None:
            self._jobs.send_nowait(task_id)

    async def settled(self) -> None:
        """Wait until everything asked for has been computed."""
        while self._waiting or self._busy:
            await self._idle.wait()

    async def computed(self, task_id: str, patience: float = PATIENCE) -> None:
        """Wait until what was asked for of this task has been computed, for so many seconds at most."""
        with anyio.move_on_after(patience):
            while task_id in self._waiting or task_id in self._busy:
                await self._step.wait()

    async def newer(self, task_id: str, than: int) -> None:
        """Wait until the diff is one of a later `computed_at` that has all that was there when it was last asked for,
        or for `WAIT_SECONDS`.
        """
        known = self._diffs.get(task_id)
        if known is None or known.computed_at is None or known.computed_at <= than:
            self.refresh(task_id)
        asked = self._asked[task_id]
        with anyio.move_on_after(WAIT_SECONDS):
            while self._answered[task_id] < asked <= self._asked[task_id]:
                await self._step.wait()

    def know(self, task_id: str, losses: Losses) -> None:
        """What an earlier run knew; what was computed since counts more."""
        self._losses.setdefault(task_id, losses)

    def losses(self, task_id: str) -> Losses:
        """What removing would lose, as last computed."""
        return self._losses.get(task_id, Losses())

    def diff(self, task_id: str) -> Diff | None:
        """The changes as last computed; None before that, also when they were let go, as at a restart."""
        return self._diffs.get(task_id)

    async def leave(self, task_id: str) -> None:
        """The worktree is about to be removed: look into it no more, and wait until nobody does."""
        self._left.add(task_id)
        while task_id in self._busy:
            await self._step.wait()

    def watch(self, task_id: str) -> None:
        """The worktree is there, also again: compute what it has."""
        self._left.discard(task_id)
        self.refresh(task_id)

    def forget(self, task_id: str, *, diff: bool = False) -> None:
        """The worktree is gone; its last diff is kept for reading unless that is to be forgotten too."""
        self._losses.pop(task_id, None)
        self._changed.pop(task_id, None)
        if diff:
            self._diffs.drop(task_id)
            del self._asked[task_id], self._answered[task_id]
        else:
            self._left.discard(task_id)

    async def _compute(self, task_id: str) -> None:
        if task_id in self._left:
            return
        try:
            record = await anyio.to_thread.run_sync(self._records.load, task_id)
            if record is None or record.made is Made.RELEASED:
                self._losses.pop(task_id, None)
                await self._find_kept(task_id, record)
                return
            losses = await losses_of(record)
            if losses != self._losses.get(task_id):
                await anyio.to_thread.run_sync(self._records.save_losses, task_id, losses)
            self._losses[task_id] = losses
            if not await anyio.to_thread.run_sync(Path(record.worktree).is_dir):
                await self._find_kept(task_id, record)
                return
            held = self._diffs.get(task_id)
            known = Compared(held.files, self._changed.get(task_id)) if held is not None else None
            compared = await diff_of(record, known)
            files, self._changed[task_id] = compared.files, compared.changed
            at = max(self._now(), (held.computed_at or 0) + 1 if held is not None else 0)
            diff = Diff(files=files, computed_at=at, commits=losses.commits)
            self._diffs.put(task_id, diff)
            if held is None or held.files != files:
                await anyio.to_thread.run_sync(self._records.save_diff, task_id, diff)
        except (CallError, OSError) as error:
            # What cannot be computed now keeps its last value; removal looks for itself.
            logger.info("the changes of task %s cannot be computed: %s", task_id, error)
        except Exception:  # a defect here must not end the backend
            logger.exception("computing the changes of task %s failed", task_id)

    async def _find_kept(self, task_id: str, record: Record | None) -> None:
        """The last diff of a worktree that was removed before this run of the backend."""
        if record is not None and self._diffs.get(task_id) is None:
            kept = await anyio.to_thread.run_sync(self._records.known_diff, task_id)
            if kept is not None:
                self._diffs.put(task_id, kept)
