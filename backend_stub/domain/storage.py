"""What a storage of tasks promises: changes that are written whole or not at all, and reads of what is committed.

What it tells of its commits is a port of its own: `backend_stub.domain.events`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Literal, Protocol

from msgspec import Struct, field

from backend_stub.domain.events import Events
from foundry_tui.contract.attachments import NewAttachments
from foundry_tui.contract.questions import FieldValue, Permission
from foundry_tui.contract.records import (
    Accepts,
    HistoryEvent,
    HistoryKind,
    LogLine,
    Operation,
    Prompt,
    Repo,
    SessionCommand,
    SessionOption,
    SessionState,
    SessionSummary,
    TaskDetail,
    TaskSummary,
)
from foundry_tui.contract.requests import TasksSnapshot
from foundry_tui.contract.rules import Rule
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.transcript import TranscriptItem


class Fault(Struct, frozen=True):
    """What ails a storage; `state` is `unavailable` (no change can be kept), `degraded` (some cannot, as the disk is
    full) or `damaged` (some of what is kept cannot be read).

    `reason` says what to do, as a sentence without its end.
    """

    state: Literal["unavailable", "degraded", "damaged"]
    reason: str


class Opening(Struct, frozen=True):
    """A session that could not be opened yet: attempts made, and when the next one is due."""

    attempts: int = 0
    next_at: int | None = None


class Private(Struct, frozen=True, kw_only=True):
    """What the backend alone knows about a task, kept with its row."""

    sandbox_wanted: bool = False
    """The provider was asked for a sandbox at least once: there may be one, whole or half-made."""
    next_attempt_at: int | None = None
    """When what is tried again is due: a stage, finding the agent of a task that is ready, or a release."""
    openings: dict[str, Opening] = {}
    """Sessions that could not be opened yet, by session_id."""
    attaching: int = 0
    """Attempts to find the agent again that failed."""
    go_first: tuple[str, ...] = field(default=(), name="resent")
    """Ids of prompts that wait and go before all others that do: those that say again what a failed one said, and those
    that steer."""
    delivering: tuple[str, ...] = ()
    """Ids of prompts that are being handed over, or were when the backend was cut: the agent may have them, so they
    stay as they are."""
    went_on: bool = False
    """A prompt made the failed task go on, so that a retry which comes too late for that has nothing left to do."""
    asked_options: dict[str, dict[str, str | bool]] = {}
    """The options that a session is to have when it is opened, by session_id."""
    values_before_unsent: dict[str, dict[str, str | bool]] = field(default_factory=dict, name="unsent_options")
    """By session_id and option_id, what options were before they were set that the agent has not been told of since."""
    form_items: dict[str, str] = {}
    """The transcript items of the forms and pages that are open, by permission_id."""
    form_answers: dict[str, dict[str, FieldValue]] = {}
    """What the forms of a turn that goes on were filled in with, by permission_id."""
    operation_notes: dict[str, str] = {}
    """What the operation under way must know of its beginning when it goes on after a restart."""
    restarting: bool = False
    """The agent is to be ended and begun anew before anything else is asked of it."""
    release_attempt: int = 0
    """Attempts to release the sandbox that failed."""
    release_force: bool = False
    release_delete_branch: bool = False
    trust: bool = False
    """Whoever made the task trusts the set-up that it gets."""
    rules: tuple[Rule, ...] = ()
    """Those about permission that the task's repository brought, and that are trusted."""


class SessionOffer(Struct, frozen=True, kw_only=True):
    """What an agent offers in a session, as far as it has told, and since when it is silent; see `SessionState`."""

    options: tuple[SessionOption, ...] = ()
    commands: tuple[SessionCommand, ...] = ()
    accepts: Accepts = Accepts()
    turn_silent_since: int | None = None


class LeftoverRow(Struct, frozen=True, kw_only=True):
    """What a kill or an archive left behind, kept until it is removed, also when its task was pruned."""

    task: TaskDetail
    repo: Repo
    archive: bool
    force: bool
    delete_branch: bool


@dataclass(frozen=True)
class TaskState:
    """A task's rows as its actor holds them; prompts by session_id, oldest first, and what agents offer likewise.

    `version` rises by one with every change of any of these rows; 0: they are not kept yet.
    """

    task: TaskDetail
    private: Private
    prompts: dict[str, tuple[Prompt, ...]]
    log_count: int
    version: int = 0
    offers: Mapping[str, SessionOffer] = dataclass_field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """One commit of one task's rows, and what it leaves in the tables beside them."""

    at: int
    expected: int
    """The version of the task's rows that was read; 0: the task is new."""
    task: TaskDetail
    """In the revision that is kept already, its record did not change and makes no event."""
    private: Private
    history: Sequence[tuple[HistoryKind, dict[str, object]]] = ()
    """Kinds and payloads of new events."""
    sessions: Sequence[SessionState] = ()
    """Those that changed, with all their prompts."""
    prompts: Sequence[Prompt] = ()
    """Those of the sessions' prompts that changed."""
    attachments: Mapping[str, NewAttachments] = dataclass_field(default_factory=dict)
    """Those of new prompts, by prompt_id."""
    handed_on: Mapping[str, str] = dataclass_field(default_factory=dict)
    """By the id of a new prompt, that of the one whose attachments it takes over."""
    items: Sequence[TranscriptItem] = ()
    permissions: Sequence[Permission] = ()
    operations: Sequence[Operation] = ()
    """Those of the task's operations that changed."""
    lines: Sequence[LogLine] = ()
    """To be added to the task's log."""
    drop_lines_below: int = 0
    """Lines of the log with a lower index are dropped."""
    moved: bool = False
    """The task's host is not the one that it was."""
    request: bytes = b""
    """Of a new task alone: the digest of what asked for it."""
    repo: Repo | None = None
    """Of a new task alone: its repository."""
    hold_branch: str | None = None
    """The branch that the task holds from now on, in place of any other."""
    free_branch: bool = False
    """The task holds no branch any more."""
    leftover: LeftoverRow | None = None
    leftover_gone: bool = False


@dataclass(frozen=True)
class ItemKey:
    """What must be known of a transcript item to go on with it."""

    index: int
    revision: int


class Reader(Protocol):
    """What is committed, for whoever makes a change.

    Each answer is true at the moment of the question: the commit itself checks again what must still hold then.
    Every method may raise `StorageUnavailableError`.
    """

    def request_of(self, task_id: str) -> bytes | None:
        """Digest of the request that made the task; None when there is no such task."""
        ...

    def branch_holder(self, repo_id: str, branch: str) -> str | None:
        """The task that holds this branch of the repository; None when no task does."""
        ...

    def repo(self, repo_id: str) -> Repo | None: ...


class Storage(Protocol):
    """Durable storage of tasks. Every asynchronous method may raise `StorageUnavailableError`."""

    last_alive: int | None
    """When somebody was last at work on it before it was opened, in milliseconds since the epoch; None: not known."""

    @property
    def events(self) -> Events:
        """What was committed, for streams."""
        ...

    async def commit(self, change: Change) -> Sequence[HistoryEvent]:
        """Write all of it or nothing, durably; the history events with their seqs.

        Raises `StaleRevisionError` when the task's rows are not those that were read; also for a session, a transcript
        item or a line of the log that is there in this revision or a later one. Raises `BranchTakenError`, and
        `IdTakenError` for an id that belongs to another task or session; for a new task `TaskExistsError` and
        `TaskPrunedError`. Raises `ValueError` for a task that is given with its history, or a prompt without its
        session: such a change can never be written.
        """
        ...

    async def make_and_commit(self, make: Callable[[Reader], Change]) -> tuple[Change, Sequence[HistoryEvent]]:
        """Call `make`, and commit the change that it returns; see `commit`. What `make` raises is raised.

        `make` may take its time, as whoever looks at a disk does: meanwhile everything else goes on.
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
        """What the task left behind is removed, and no longer to be remembered."""
        ...

    async def sessions(self) -> Sequence[SessionSummary]:
        """The sessions of all tasks that have not ended."""
        ...

    async def load(self, task_id: str) -> TaskState | None:
        """A task's rows, for its actor; None when there is no such task."""
        ...

    async def item_keys(self, session_id: str) -> dict[str, ItemKey]:
        """The session's transcript items by item_id."""
        ...

    async def task_of_session(self, session_id: str) -> str | None: ...

    async def attachments(self, prompt_id: str) -> NewAttachments:
        """What goes with a prompt; nothing when there is no such prompt."""
        ...

    async def task_of_permission(self, permission_id: str) -> str | None: ...

    async def operation(self, operation_id: str) -> Operation | None: ...

    async def last_words(self, task_id: str) -> str | None:
        """The agent's last message in the task, of whichever session."""
        ...

    async def repo(self, repo_id: str) -> Repo | None: ...

    async def repos(self) -> Sequence[Repo]: ...

    async def held_branches(self, repo_id: str, names: Sequence[str]) -> dict[str, str]:
        """The branches that tasks of this repository hold and that one of these names cannot stand beside, and which
        task holds each.
        """
        ...

    async def having(self, statuses: frozenset[TaskStatus]) -> Sequence[str]:
        """Ids of the tasks that have one of these statuses, oldest first.

        Unless one of these is of tasks that have ended, it costs nothing that there are many of those.
        """
        ...

    async def operating(self) -> Sequence[str]:
        """Ids of the tasks that have an operation under way."""
        ...

    async def in_turn(self, status: TaskStatus) -> Sequence[str]:
        """Ids of the tasks of this status that have a prompt which was delivered and has not ended.

        Of those that have not ended themselves; how many have costs nothing.
        """
        ...

    async def leftovers(self) -> Sequence[LeftoverRow]: ...

    async def leftover(self, task_id: str) -> LeftoverRow | None: ...

    async def history(self, task_id: str | None, after: int, limit: int) -> Sequence[HistoryEvent]:
        """The first `limit` history events after seq `after`, of one task or (None) of all."""
        ...

    async def task(self, task_id: str) -> TaskDetail | None:
        """The task with the end of its history, both as of one moment and never older than what was told of it."""
        ...

    async def ended_before(self, task_id: str, limit: int) -> TasksSnapshot | None:
        """The newest `limit` of the tasks that have ended and are older than this one, newest first, and how many are
        older still (`older`); None when there is no such task, be it of those that have ended or not.

        One task is older than another when its `created_at` is less, or the same and its `task_id` less.
        """
        ...

    async def find(
        self, holding: Callable[[Sequence[TaskSummary]], Collection[str]], before: str | None, limit: int
    ) -> TasksSnapshot | None:
        """The newest `limit` of all tasks, ended or not, that `holding` has the ids of, newest first.

        Only those that are older than the task `before`, if that is given; None when there is no such task. `older`
        counts those that were not looked at. `holding` is called in a thread with some hundred tasks at a time, newest
        first and without their sessions; what it raises is raised.
        """
        ...

    async def lines(self, task_id: str, stage: str | None, after: int, limit: int) -> Sequence[LogLine]:
        """The first `limit` lines of the task's log after index `after`, of one stage or (None) of all."""
        ...

    async def fault(self) -> Fault | None:
        """What ails it now; None when all is well."""
        ...

    def beat(self) -> None:
        """Somebody is at work on it, even if nothing is committed."""
        ...

    async def close(self) -> None:
        """Commit what waits; what is asked for later raises `StorageUnavailableError`."""
        ...
