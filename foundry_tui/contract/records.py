"""The records that the backend tells of; field names are the wire's.

Times are integer milliseconds since the epoch, UTC. `revision` starts at 1 and rises by one with every
committed change of its record. Null and absent are the same.
"""

from typing import Any

from msgspec import UNSET, UnsetType

from foundry_tui.contract.activity import Activity, PlanProgress
from foundry_tui.contract.attachments import Attachment
from foundry_tui.contract.open_enum import OpenEnum
from foundry_tui.contract.pull_request import PullRequest
from foundry_tui.contract.questions import Ask, Permission, PermissionPolicy
from foundry_tui.contract.record import Record
from foundry_tui.contract.starts import StartedFrom
from foundry_tui.contract.status import StageName, TaskStatus
from foundry_tui.contract.transcript import TranscriptItem
from foundry_tui.contract.work import Work

PROMPT_EXCERPT = 200
"""Characters of the prompt that a `TaskSummary` carries."""


class ErrorKind(OpenEnum):
    """What sort of thing failed."""

    TIMEOUT = "timeout"
    PROVIDER = "provider"
    AGENT = "agent"
    GIT = "git"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


class StageState(OpenEnum):
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class SessionStatus(OpenEnum):
    PENDING_PROVISION = "pending_provision"
    PENDING_CREATE = "pending_session_create"
    READY = "ready"
    RUNNING = "running"
    ERROR = "error"
    CLOSED = "closed"


class PromptState(OpenEnum):
    QUEUED = "queued"
    DELIVERED = "delivered"
    ANSWERED = "answered"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


class HistoryKind(OpenEnum):
    """What a history event tells; `stage.*` always has `payload["stage"]`."""

    TASK_CREATED = "task.created"
    PROVISION_QUEUED = "provision.queued"
    STAGE_STARTED = "stage.started"
    STAGE_RETRYING = "stage.retrying"
    STAGE_COMPLETED = "stage.completed"
    STAGE_FAILED = "stage.failed"
    PROVISION_RESUMED = "provision.resumed"
    RETRY_REQUESTED = "provision.retry_requested"
    TASK_NAMED = "task.named"
    SANDBOX_CREATED = "sandbox.created"
    SANDBOX_RESUMED = "sandbox.resumed"
    AGENT_READY = "agent.ready"
    SESSION_REQUESTED = "session.requested"
    SESSION_READY = "session.ready"
    SESSION_FAILED = "session.failed"
    SESSION_CLOSED = "session.closed"
    SESSION_STOPPED = "session.stopped"
    OPTION_SET = "session.option_set"
    PROMPT_QUEUED = "prompt.queued"
    PROMPT_DELIVERED = "prompt.delivered"
    PROMPT_ANSWERED = "prompt.answered"
    PROMPT_FAILED = "prompt.failed"
    PROMPT_EDITED = "prompt.edited"
    PROMPT_WITHDRAWN = "prompt.withdrawn"
    PERMISSION_OPENED = "permission.opened"
    PERMISSION_ANSWERED = "permission.answered"
    PERMISSION_CANCELLED = "permission.cancelled"
    TASK_RUNNING = "task.running"
    TASK_IDLE = "task.idle"
    TASK_ERROR = "task.error"
    OPERATION_REQUESTED = "operation.requested"
    OPERATION_COMPLETED = "operation.completed"
    OPERATION_FAILED = "operation.failed"
    CHECKPOINT_MADE = "checkpoint.made"
    TASK_RENAMED = "task.renamed"
    ARCHIVE_REQUESTED = "task.archive_requested"
    KILL_REQUESTED = "task.kill_requested"
    SANDBOX_RELEASED = "sandbox.released"
    SANDBOX_DESTROYED = "sandbox.destroyed"
    SANDBOX_LEFTOVER = "sandbox.leftover"
    TASK_ARCHIVED = "task.archived"
    TASK_KILLED = "task.killed"


class TaskError(Record, frozen=True, kw_only=True):
    """What stopped a task, a stage, a session or a prompt, in words that a person can act on.

    `retryable` false says that no further attempt was made by itself; asking for a retry is allowed all the same.
    `option` is the name of an option that was asked for and that the agent does not offer; it stands there only then.
    """

    kind: ErrorKind
    message: str
    retryable: bool
    at: int
    stage: StageName | None = None
    option: str | UnsetType = UNSET


class StageProgress(Record, frozen=True, kw_only=True):
    """The stage that is at work now, as a summary shows it. `attempt` counts from 1."""

    name: StageName
    attempt: int
    max_attempts: int
    started_at: int | None = None
    detail: str | None = None


class StageRecord(Record, frozen=True, kw_only=True):
    """One stage of a task, whole. `attempt` is 0 until it first starts, and stays at the one that succeeded."""

    name: StageName
    state: StageState = StageState.PENDING
    attempt: int = 0
    max_attempts: int = 1
    started_at: int | None = None
    finished_at: int | None = None
    deadline_at: int | None = None
    detail: str | None = None
    error: TaskError | None = None


class Sandbox(Record, frozen=True, kw_only=True):
    """Where the agent works. `cwd` is its folder, as a path on the machine of the backend that has the task."""

    sandbox_id: str
    cwd: str
    created_at: int


class Leftover(Record, frozen=True, kw_only=True):
    """Something that releasing or destroying could not remove; it is tried again at the next start."""

    what: str
    why: str
    at: int


class OptionType(OpenEnum):
    """What values an option of a session can have."""

    SELECT = "select"
    BOOLEAN = "boolean"


class OptionChoice(Record, frozen=True, kw_only=True):
    """One value that an option of a session can have; choices of one `group` belong together."""

    value: str
    name: str
    description: str | None = None
    group: str | None = None


class SessionOption(Record, frozen=True, kw_only=True):
    """Something that an agent lets one choose: `category` is what about (mode, model, thought_level, …), `value` is one
    of `choices` or true or false, `error` why the agent refused what was asked for last.
    """

    option_id: str
    name: str
    type: OptionType
    value: str | bool
    description: str | None = None
    category: str | None = None
    choices: tuple[OptionChoice, ...] = ()
    error: str | None = None


class SessionCommand(Record, frozen=True, kw_only=True):
    """A command of the agent, sent as the prompt `/name …`; `hint` says what may follow the name."""

    name: str
    description: str = ""
    hint: str | None = None


class Accepts(Record, frozen=True, kw_only=True):
    """What an agent takes beside text and links: images, sounds and files in prompts, prompts into a running turn."""

    image: bool = False
    audio: bool = False
    embedded: bool = False
    steering: bool = False


class Cost(Record, frozen=True, kw_only=True):
    """What a session has cost so far, in a currency by its ISO 4217 code."""

    amount: float
    currency: str


class Usage(Record, frozen=True, kw_only=True):
    """How much of the model's context a session has used, in tokens, of how many there are."""

    used: int
    size: int
    cost: Cost | None = None


class SessionSummary(Record, frozen=True, kw_only=True):
    """One conversation with an agent; its id is made by the client and never changes. `model` and `mode` are names.

    `unloaded_since`: its agent had nothing to do for long and was ended; it comes back with the next prompt. `held`: a
    person stopped the turn, and what waits is not handed over until somebody says more or has it go on.
    """

    session_id: str
    task_id: str
    name: str
    agent: str
    status: SessionStatus
    created_at: int
    updated_at: int
    revision: int
    unread: bool = False
    error: TaskError | None = None
    model: str | None = None
    mode: str | None = None
    usage: Usage | None = None
    unloaded_since: int | None = None
    held: bool = False


class Prompt(Record, frozen=True, kw_only=True):
    """What was said to the agent, kept from the moment it was accepted.

    One that has `steer` was said into a turn: it went before all that waited.
    """

    prompt_id: str
    session_id: str
    text: str
    state: PromptState
    at: int
    attachments: tuple[Attachment, ...] = ()
    steer: bool = False
    error: TaskError | None = None


class HistoryEvent(Record, frozen=True, kw_only=True):
    """One thing that happened to a task; `seq` is the backend's commit order."""

    seq: int
    task_id: str
    kind: HistoryKind
    at: int
    payload: dict[str, Any]


class OperationKind(OpenEnum):
    """What an operation does; what each is told in its request is in `operations.py`."""

    COMMIT = "commit"
    UPDATE = "update"
    PUSH = "push"
    PULL_REQUEST = "pull_request"
    LAND = "land"
    APPLY = "apply"
    UNDO = "undo"
    HAND_OVER = "hand_over"


class OperationState(OpenEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNDER_WAY = frozenset({OperationState.QUEUED, OperationState.RUNNING})
"""States of an operation that has not ended."""


class OperationStep(Record, frozen=True, kw_only=True):
    """One step of an operation; `detail` says in a few words what it does or did."""

    name: str
    state: OperationState
    started_at: int | None = None
    finished_at: int | None = None
    detail: str | None = None


class Operation(Record, frozen=True, kw_only=True):
    """Something that is done with a task's work, durable as a stage is. `request` holds what was asked for beside the
    kind; `result` what came of it (`sha` of a commit, `number` and `url` of a pull request …).
    """

    operation_id: str
    task_id: str
    kind: OperationKind
    request: dict[str, Any]
    state: OperationState
    at: int
    revision: int
    steps: tuple[OperationStep, ...] = ()
    result: dict[str, Any] | None = None
    error: TaskError | None = None
    finished_at: int | None = None


class TaskSummary(Record, frozen=True, kw_only=True):
    """A task as lists show it; `prompt` is cut to its first 200 characters, `operation` is the one under way.

    `asks` are its open questions, oldest first, at most `MOST_ASKS`; `needs_input` counts all of them.
    `permission_policy` says which questions about permission are answered without a person. `host` is the name of the
    machine that its sandbox is on.
    """

    task_id: str
    repo_id: str
    repo_label: str
    prompt: str
    agent: str
    provider: str
    status: TaskStatus
    status_since: int
    created_at: int
    updated_at: int
    revision: int
    title: str | None = None
    branch: str | None = None
    stage: StageProgress | None = None
    stages_done: int = 0
    error: TaskError | None = None
    needs_input: int = 0
    asks: tuple[Ask, ...] = ()
    unread: bool = False
    sessions: tuple[SessionSummary, ...] = ()
    permission_policy: PermissionPolicy = PermissionPolicy.ASK
    work: Work | None = None
    pull_request: PullRequest | None = None
    operation: Operation | None = None
    activity: Activity | None = None
    plan: PlanProgress | None = None
    host: str | None = None


class TaskDetail(TaskSummary, frozen=True, kw_only=True):
    """A task whole: `prompt` uncut, its last 20 `operations` and 200 events of `history` (absent in `task` events).

    `started_from` is what the request said as `from`, `asked_options` what it said as `options`.
    """

    base_branch: str | None = None
    started_from: StartedFrom | None = None
    asked_options: dict[str, str | bool] | None = None
    sandbox: Sandbox | None = None
    stages: tuple[StageRecord, ...] = ()
    permissions: tuple[Permission, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    operations: tuple[Operation, ...] = ()
    history: tuple[HistoryEvent, ...] = ()


def summary_of(task: TaskSummary) -> TaskSummary:
    """The summary of a task, from its detail; a summary is given back as it is."""
    if type(task) is TaskSummary:
        return task
    fields = {name: getattr(task, name) for name in TaskSummary.__struct_fields__}
    fields["prompt"] = task.prompt[:PROMPT_EXCERPT]
    return TaskSummary(**fields)


class SessionState(SessionSummary, frozen=True, kw_only=True):
    """A session with its prompts and what its agent offers: a `session` event of the session's own topic.

    `turn_silent_since`: while a turn runs, since when the agent has sent nothing; its last word may be younger by up to
    a minute, and then came as a transcript item.
    """

    options: tuple[SessionOption, ...] = ()
    commands: tuple[SessionCommand, ...] = ()
    accepts: Accepts = Accepts()
    turn_silent_since: int | None = None
    prompts: tuple[Prompt, ...] = ()


class SessionDetail(SessionState, frozen=True, kw_only=True):
    """A session whole."""

    transcript: tuple[TranscriptItem, ...] = ()


class RepoTrust(Record, frozen=True, kw_only=True):
    """What a repository's `.foundry/` would run or have agents obey: its files (paths in the repository), the digest
    of all they say, and whether a person trusted this very content. Without that it is skipped.
    """

    digest: str
    trusted: bool
    files: tuple[str, ...]


class Repo(Record, frozen=True, kw_only=True):
    """A repository that tasks were or can be made in: a folder (`path`) or a git URL (`remote`)."""

    repo_id: str
    label: str
    path: str | None = None
    remote: str | None = None
    default_branch: str | None = None
    task_count: int = 0
    latest_activity: int | None = None
    trust: RepoTrust | None = None


class LogLine(Record, frozen=True, kw_only=True):
    """One line that a provider printed; `index` rises by one within its task."""

    index: int
    stage: str
    at: int
    text: str


class FileDiff(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A file that the task changed against its base; `status` is git's letter (A, M, D, R, T, ?).

    `added` and `removed` are null for what was not counted, such as a binary file. `cut`: the patch is not whole; the
    counts are right all the same.
    """

    path: str
    status: str
    added: int | None
    removed: int | None
    patch: str
    cut: bool = False
    size: int | None = None
    """Bytes of a binary file; None for any other, and for one that is gone."""
    size_before: int | None = None
    """Bytes of a binary file at the base; None where it was not there."""


class Health(Record, frozen=True, kw_only=True, omit_defaults=True):
    """The backend about itself; `providers` maps each provider to `ready` or to why it is not.

    `status` is `ok`, `unavailable` (no change can be kept), `degraded` (some cannot, as the disk is full) or
    `damaged` (some of what is kept cannot be read); `reason` then says what to do.
    """

    status: str
    version: str
    pid: int
    started_at: int
    providers: dict[str, str]
    reason: str | None = None
