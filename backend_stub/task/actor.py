"""The one writer of a task's rows, once it is made: every command and every outcome but pruning it goes through
`TaskActor.commit`.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar
from weakref import WeakValueDictionary

import anyio

from backend_stub.domain.clock import Runtime
from backend_stub.domain.errors import (
    StaleRevisionError,
    StorageUnavailableError,
    TaskElsewhereError,
    TaskMovedError,
    UnknownTaskError,
)
from backend_stub.domain.storage import ItemKey, Storage, TaskState
from backend_stub.task.activity import STILL
from backend_stub.task.rows import MAX_LINES
from backend_stub.task.task_change import TaskChange
from foundry_tui.contract.records import TaskDetail
from foundry_tui.contract.status import STAGE_OF_STATUS, StageName

T = TypeVar("T")

KEPT_ACTORS = 1_024
"""Actors held in memory; the rows of others are read again when needed."""

FLUSH_SECONDS = 0.05
"""How long stage log lines are gathered."""
SPEAK_SECONDS = 0.5
"""How long what a task says waits for a commit that is made anyway, before it has one of its own."""

DECIDED_AGAIN = 5
"""How often other hosts may be sooner: only while a task's own host is lost do several write."""

FlushSoon = Callable[["TaskActor", float], None]
"""Calls `TaskActor.flush` in so many seconds."""
MayWrite = Callable[[TaskDetail], bool]
"""Whether this host may change a task: it has it, or the host that has it is lost."""


class TaskActor:
    """Holds one task's rows and changes them, one commit at a time."""

    def __init__(
        self, task_id: str, storage: Storage, runtime: Runtime, flush_soon: FlushSoon, may_write: MayWrite
    ) -> None:
        self.task_id = task_id
        self._storage = storage
        self._runtime = runtime
        self._flush_soon = flush_soon
        self._may_write = may_write
        self._lock = anyio.Lock()
        self._state: TaskState | None = None
        self.heard: dict[str, int] = {}
        """When the agent of a session sent something last, by session_id, as far as it did in this process."""
        self._items: dict[str, dict[str, ItemKey]] = {}
        self._items_are_stale = False
        self._lines: list[tuple[str, str, int]] = []
        self._detail: tuple[StageName, str] | None = None
        self._pace = STILL
        self._speech_asked = False
        self._flush_asked = False

    async def state(self) -> TaskState:
        """The rows as committed; raises `UnknownTaskError`."""
        if self._state is None:
            async with self._lock:
                await self._load()
        state = self._state
        if state is None:
            raise UnknownTaskError(self.task_id)
        return state

    async def settled(self) -> TaskState:
        """The rows once no commit is under way: whoever was told of a commit finds it here.

        Raises `UnknownTaskError`.
        """
        async with self._lock:
            await self._load()
        return await self.state()

    async def load_items(self, session_id: str) -> None:
        """Read which transcript items the session has, which must be known before one is added."""
        if session_id not in self._items:
            keys = await self._storage.item_keys(session_id)
            self._items.setdefault(session_id, keys)

    async def commit(self, decide: Callable[[TaskChange], T]) -> T:
        """Have `decide` change a draft of the task, write that durably in one commit, and return what it returned.

        When it raises, nothing is written; so too with `StorageUnavailableError`, `StaleRevisionError` (the rows were
        changed by somebody else, and are read anew the next time), `UnknownTaskError` and `TaskElsewhereError`.
        """
        async with self._lock:
            try:
                return await self._attempt(decide)
            except (StaleRevisionError, TaskElsewhereError):
                self.read_anew()
                raise

    async def commit_asked(self, decide: Callable[[TaskChange], T]) -> T:
        """The same for what somebody asks for: where another host was sooner, it is decided again by what that left."""
        for _ in range(DECIDED_AGAIN):
            with suppress(StaleRevisionError):
                return await self.commit(decide)
        return await self.commit(decide)

    def read_anew(self) -> None:
        """The rows may have been changed by somebody else: they are read before anything is made of them."""
        self._state = None
        self._items_are_stale = True

    def log(self, stage: str, text: str) -> None:
        """Keep a stage log line with the next commit, which comes within 50 ms."""
        # Only line feeds end a line: other separators that Unicode knows are part of what was printed.
        # A file's name may have bytes that are no text: the log shows them escaped.
        text = text.encode("utf-8", "backslashreplace").decode()
        lines = text.removesuffix("\n").split("\n")
        self._lines.extend((stage, line.removesuffix("\r"), self._runtime.now()) for line in lines)
        del self._lines[:-MAX_LINES]
        self._ask_for_flush()

    def detail(self, stage: StageName, text: str) -> None:
        """Show what the stage does now, with the next commit, which comes within 50 ms."""
        self._detail = (stage, text)
        self._ask_for_flush()

    async def flush(self) -> None:
        """Commit the lines and details that wait, and what the task says once its time has come."""
        self._flush_asked = self._speech_asked = False
        if self._lines or self._detail or self._pace.due:
            await self.commit(lambda draft: None)

    @property
    def idle(self) -> bool:
        """Whether it may be dropped: nothing waits to be written."""
        return not (self._lines or self._detail or self._pace.due or self._lock.locked())

    async def _attempt(self, decide: Callable[[TaskChange], T]) -> T:
        await self._load()
        if self._state is None:
            raise UnknownTaskError(self.task_id)
        if not self._may_write(self._state.task):
            raise TaskElsewhereError(f"the task is on the host {self._state.task.host}")
        draft = TaskChange(self._state, self._runtime.now(), self._runtime.new_id, self._items, self.heard, self._pace)
        lines, detail = self._lines, self._detail
        self._lines, self._detail = [], None
        try:
            for stage, text, at in lines:
                draft.log(stage, text, at)
            if detail is not None and STAGE_OF_STATUS.get(draft.status) is detail[0]:
                draft.stages.tell(*detail)
            result = decide(draft)
            sealed = draft.seal()
            if sealed is not None:
                change, state = sealed
                with anyio.CancelScope(shield=True):
                    await self._storage.commit(change)
                self._state = state
                for session_id, keys in draft.new_keys.items():
                    self._items[session_id].update(keys)
            self._pace = draft.pace
        except BaseException:
            self._lines[:0] = lines
            self._detail = self._detail or detail
            raise
        if self._pace.due and not self._speech_asked:
            self._speech_asked = True
            self._flush_soon(self, SPEAK_SECONDS)
        return result

    def _ask_for_flush(self) -> None:
        if not self._flush_asked:
            self._flush_asked = True
            self._flush_soon(self, FLUSH_SECONDS)

    async def _load(self) -> None:
        if self._state is None:
            if self._items_are_stale:
                # A turn that goes on adds to transcripts without loading them again.
                self._items = {session_id: await self._storage.item_keys(session_id) for session_id in self._items}
                self._items_are_stale = False
            self._state = await self._storage.load(self.task_id)


class Actors:
    """The actors of all tasks, made when first asked for: never two of one task, `KEPT_ACTORS` idle ones at most."""

    def __init__(self, storage: Storage, runtime: Runtime, flush_soon: FlushSoon, may_write: MayWrite) -> None:
        self._storage = storage
        self._runtime = runtime
        self._flush_soon = flush_soon
        self._may_write = may_write
        self._recent: OrderedDict[str, TaskActor] = OrderedDict()
        self._alive: WeakValueDictionary[str, TaskActor] = WeakValueDictionary()

    def of(self, task_id: str) -> TaskActor:
        """The task's actor; that there is no such task shows when its rows are read."""
        actor = self._alive.get(task_id)
        if actor is None:
            actor = self._alive[task_id] = TaskActor(
                task_id, self._storage, self._runtime, self._flush_soon, self._may_write
            )
        self._recent[task_id] = actor
        self._recent.move_to_end(task_id)
        if len(self._recent) > KEPT_ACTORS:
            self._shrink()
        return actor

    def known(self, task_id: str) -> TaskActor | None:
        """The task's actor, if there is one."""
        return self._alive.get(task_id)

    def all_known(self) -> Sequence[TaskActor]:
        """The actors that there are."""
        return list(self._alive.values())

    def forget(self, task_id: str) -> None:
        """The task was pruned."""
        self._recent.pop(task_id, None)
        self._alive.pop(task_id, None)

    async def flush(self) -> None:
        """Commit what waits in any actor, as far as the storage takes it."""
        for actor in self.all_known():
            with suppress(TaskMovedError, StaleRevisionError, StorageUnavailableError):
                await actor.flush()

    def _shrink(self) -> None:
        for task_id, actor in list(self._recent.items())[: len(self._recent) - KEPT_ACTORS]:
            if actor.idle:
                del self._recent[task_id]
