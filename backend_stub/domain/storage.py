"""What a storage promises: atomic changes, one rising `seq` in commit order, and reads as of a `seq`.

The event log is compacted by construction: every row carries the seq of its last change, so what a client missed is
whatever rows have a higher one. What happens now is handed to `on_commit` in commit order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from msgspec import Struct, field

from foundry_tui.contract.codec import encode
from foundry_tui.contract.events import EventName, Topic
from foundry_tui.contract.records import (
    HistoryEvent,
    HistoryKind,
    LogLine,
    Permission,
    Prompt,
    Record,
    Repo,
    SessionState,
    TaskDetail,
    TranscriptItem,
)
from foundry_tui.contract.status import TaskStatus


class Fault(Struct, frozen=True):
    """What ails a storage; `state` is `unavailable` (no change can be kept) or `damaged` (some of it cannot be read).

    `reason` says what to do, as a sentence without its end.
    """

    state: Literal["unavailable", "damaged"]
    reason: str


class Opening(Struct, frozen=True):
    """A session that could not be opened yet: attempts made, and when the next one is due."""

    attempts: int = 0
    next_at: int | None = None


class Private(Struct, frozen=True, kw_only=True):
    """What the backend alone knows about a task, kept with its row; `openings` by session_id.

    `attaching` counts the attempts to find the agent again that failed. `first_in_line` are the ids of prompts that
    wait and go before all others that do: they say again what was said before those, or into the turn that ran.
    `delivering` are the ids of prompts that are being handed over, or were when the backend was cut: the agent may have
    them, so they stay as they are. `went_on`: a prompt made the failed task go on, so that a retry which comes too late
    for that has nothing left to do and is no error.
    """

    sandbox_wanted: bool = False
    """The provider was asked for a sandbox at least once: there may be one, whole or half-made."""
    next_attempt_at: int | None = None
    openings: dict[str, Opening] = {}
    attaching: int = 0
    first_in_line: tuple[str, ...] = field(default=(), name="resent")
    delivering: tuple[str, ...] = ()
    went_on: bool = False
    release_attempt: int = 0
    release_force: bool = False
    release_delete_branch: bool = False
    trust: bool = False
    """Whoever made the task trusts the set-up that it gets."""


class LeftoverRow(Struct, frozen=True, kw_only=True):
    """What a kill or an archive left behind, kept until it is removed, also when its task was pruned."""

    task: TaskDetail
    repo: Repo
    archive: bool
    force: bool
    delete_branch: bool


def with_list(document: bytes, name: str, items: bytes) -> bytes:
    """JSON of a record with one more field, whose JSON is `items`."""
    return b'%b,"%b":%b}' % (document[:-1], name.encode(), items)


class Event(Struct, frozen=True):
    """One committed change as streams tell it. `data` is for topic `tasks` and the rest, `detail` for `task:`.

    What is committed now has its `history` too, where it is an event of that. `listed` is what the record has many of,
    by the field's name: it is made JSON only for those who listen.
    """

    seq: int
    name: EventName
    task_id: str
    session_id: str
    data: bytes
    detail: bytes = b""
    history: HistoryEvent | None = None
    listed: tuple[str, Sequence[Record]] | None = None

    def whole(self, document: bytes) -> bytes:
        """`data` or `detail` with what is listed in it."""
        return document if self.listed is None else with_list(document, self.listed[0], encode(self.listed[1]))


@dataclass(frozen=True)
class TaskState:
    """A task's rows as its actor holds them; prompts by session_id, oldest first."""

    task: TaskDetail
    private: Private
    prompts: dict[str, tuple[Prompt, ...]]
    log_count: int


@dataclass(frozen=True)
class Change:
    """One commit of one task's rows. `expected` is the revision that was read (0: the task is new).

    When `task` has that same revision the task's record did not change and makes no event.
    """

    at: int
    expected: int
    task: TaskDetail
    private: Private
    history: Sequence[tuple[HistoryKind, dict[str, object]]] = ()
    sessions: Sequence[SessionState] = ()
    prompts: Sequence[Prompt] = ()
    items: Sequence[TranscriptItem] = ()
    permissions: Sequence[Permission] = ()
    lines: Sequence[LogLine] = ()
    drop_lines_below: int = 0
    request: bytes = b""
    repo: Repo | None = None
    hold_branch: str | None = None
    free_branch: bool = False
    leftover: LeftoverRow | None = None
    leftover_gone: bool = False


@dataclass(frozen=True)
class Missed:
    """What a client missed: events to send, coalesced, in order of seq; `seq` is where they lead to."""

    seq: int
    events: Sequence[Event]


@dataclass(frozen=True)
class ItemKey:
    """What must be known of a transcript item to go on with it."""

    index: int
    revision: int


class Storage(Protocol):
    """Durable storage of tasks. Every method may raise `StorageUnavailableError`."""

    database: str
    """Names this database's life, which ends when an older copy takes its place; no dash in it."""
    last_alive: int | None
    """When somebody was last at work on it before it was opened, in milliseconds since the epoch; None: not known."""
    on_commit: Callable[[Sequence[Event], float], None] | None
    """Told of what was committed and of the seconds it took: on the event loop, in commit order, before the committing
    calls return."""

    async def commit(self, change: Change) -> Sequence[HistoryEvent]:
        """Write all of it or nothing, durably; the history events with their seqs.

        Raises `StaleRevisionError` (also of a session, a transcript item or a line of the log that is known in this
        revision or a later one), `BranchTakenError`, `IdTakenError`; for a new task `TaskExistsError`,
        `TaskPrunedError`.
        """
        ...

    async def commit_made(self, make: Callable[[], Change]) -> tuple[Change, Sequence[HistoryEvent]]:
        """Commit what `make` makes, in a thread that may look at the disk; what it raises is raised.

        The thread hands its change over by itself, so that no change waits for the event loop in between.
        """
        ...

    async def prune(self, task_id: str) -> None:
        """Forget an ended task but for its id."""
        ...

    async def put_repo(self, repo: Repo) -> tuple[Repo, bool]:
        """Add a repository, or note the default branch and the trust of a known one.

        The one kept, and whether it is new.
        """
        ...

    async def drop_leftover(self, task_id: str) -> None:
        """The leftover of a pruned task is removed at last."""
        ...

    def request_of(self, task_id: str) -> bytes | None:
        """Digest of the request that made the task, from any thread."""
        ...

    def branch_holder(self, repo_id: str, branch: str) -> str | None:
        """The task that holds a branch, from any thread."""
        ...

    def known_repo(self, repo_id: str) -> Repo | None:
        """A repository, from any thread."""
        ...

    async def load(self, task_id: str) -> TaskState | None: ...

    async def item_keys(self, session_id: str) -> dict[str, ItemKey]: ...

    async def task_of_session(self, session_id: str) -> str | None: ...

    async def task_of_permission(self, permission_id: str) -> str | None: ...

    async def repo(self, repo_id: str) -> Repo | None: ...

    async def repos(self) -> Sequence[Repo]: ...

    async def held_branches(self, repo_id: str, names: Sequence[str]) -> dict[str, str]:
        """The branches that tasks of this repository hold and that one of these names cannot stand beside, and which
        task holds each.
        """
        ...

    async def having(self, statuses: frozenset[TaskStatus]) -> Sequence[str]:
        """Ids of the tasks that have one of these statuses, oldest first."""
        ...

    async def in_turn(self, status: TaskStatus) -> Sequence[str]:
        """Ids of the tasks of this status that have a prompt which was delivered and has not ended."""
        ...

    async def leftovers(self) -> Sequence[LeftoverRow]: ...

    async def history(self, task_id: str | None, after: int, limit: int) -> Sequence[HistoryEvent]: ...

    async def task(self, task_id: str) -> TaskDetail | None:
        """The task with the end of its history, both as of one moment and never older than what was told of it."""
        ...

    async def lines(self, task_id: str, stage: str | None, after: int, limit: int) -> Sequence[LogLine]: ...

    async def snapshot(self, topic: Topic) -> tuple[int, bytes] | None:
        """The topic whole as JSON and the seq it stands at; None when there is no such thing."""
        ...

    async def tasks_snapshot(self) -> tuple[int, Sequence[bytes]]:
        """The snapshot of topic `tasks` in pieces: there may be very many, and nobody is to hold still for all."""
        ...

    async def missed(self, topic: Topic, seq: int) -> Missed | None:
        """What changed after `seq`; None when that cannot be said (a seq from the future)."""
        ...

    async def has(self, topic: Topic) -> bool: ...

    async def fault(self) -> Fault | None:
        """What ails it now; None when all is well."""
        ...

    def beat(self) -> None:
        """Somebody is at work on it, even if nothing is committed."""
        ...

    async def close(self) -> None: ...
