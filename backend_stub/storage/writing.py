"""What one change writes into the open transaction, whichever engine has it, and the events that it makes."""

from collections.abc import Sequence

from msgspec import UNSET, Raw, Struct
from msgspec.structs import replace

from backend_stub.domain.errors import (
    BranchTakenError,
    IdTakenError,
    StaleRevisionError,
    StorageError,
    TaskExistsError,
    TaskPrunedError,
)
from backend_stub.domain.events import Event
from backend_stub.domain.storage import Change, SessionOffer
from backend_stub.storage.tables import Query, Tables, WhyUnchanged, fetch_known, fetch_one
from foundry_tui.contract.attachments import encode_attachments
from foundry_tui.contract.codec import decode, encode
from foundry_tui.contract.events import EventName, TaskRemoved
from foundry_tui.contract.record import Record
from foundry_tui.contract.records import (
    HistoryEvent,
    Operation,
    PromptState,
    Repo,
    SessionState,
    SessionSummary,
    TaskDetail,
    summary_of,
)
from foundry_tui.contract.status import ENDED

_ROWS_OF_THEIR_OWN = ("sessions", "history")
_DONE_WITH = frozenset({PromptState.ANSWERED, PromptState.WITHDRAWN})
"""The states of a prompt whose attachments nobody needs any more."""
_OF_AN_OFFER = (*SessionOffer.__struct_fields__, "prompts")
"""The fields of a session that its summary has not; prompts are rows of their own."""
_NOT_OF_AN_OFFER = (*SessionSummary.__struct_fields__, "prompts")
OF_A_TASK = (
    "tasks",
    "branches",
    "sessions",
    "prompts",
    "attachments",
    "permissions",
    "transcript",
    "history",
    "stage_log",
    "operations",
)
"""The tables that have rows of a task."""


class Transaction:
    """The open transaction: its tables, the seq counter, and the events gathered so far."""

    def __init__(self, tables: Tables, seq: int) -> None:
        self.tables = tables
        self.seq = seq
        self.events: list[Event] = []

    def event(self, name: EventName, task_id: str, session_id: str, record: Record | TaskRemoved | Raw) -> int:
        """Allocate the next seq and note the event under it."""
        self.seq += 1
        self.events.append(Event(self.seq, name, task_id, session_id, record))
        return self.seq

    def mark(self) -> tuple[int, int]:
        """Where a change begins; for `back_to`."""
        return self.seq, len(self.events)

    def back_to(self, mark: tuple[int, int]) -> None:
        """Forget what a refused change noted."""
        self.seq, length = mark
        del self.events[length:]


def first_read(change: Change) -> Query | None:
    """What `apply` reads of the change before all else."""
    if change.expected:
        return Query("tasks.kept", (change.task.task_id,))
    return None if change.repo is None else Query("repos.one", (change.repo.repo_id,))


async def apply(change: Change, transaction: Transaction) -> Sequence[HistoryEvent]:
    """Write one change of one task; see `Storage.commit` for what it refuses."""
    task_id, tables = change.task.task_id, transaction.tables
    if change.expected == 0:
        await _begin_task(change, transaction)
    else:
        await _change_task(change, transaction)
        if change.moved:
            await tables.do("tasks.place", change.task.host, change.task.provider, task_id)
    if change.task.status in ENDED and await tables.change("tasks.end", task_id):
        await tables.do("meta.count_ended", 1)
    if change.expected and (change.free_branch or change.hold_branch is not None):
        await tables.do("branches.forget", task_id)
    if change.hold_branch is not None:
        refusal = _refused(BranchTakenError(change.hold_branch))
        await tables.must_change(refusal, "branches.hold", change.task.repo_id, change.hold_branch, task_id)
    await _write_prompts(change, tables)
    # Before the session, so that whoever sees a prompt answered has the answer.
    await _write_items(change, transaction)
    for session in change.sessions:
        await _write_session(session, transaction)
    for permission in change.permissions:
        refusal = _refused(IdTakenError("permission_id", permission.permission_id))
        await tables.must_change(refusal, "permissions.add", permission.permission_id, task_id)
    await _write_lines(change, transaction)
    for operation in change.operations:
        await _write_operation(operation, transaction)
    if change.leftover is not None:
        await tables.do("leftovers.write", task_id, encode(change.leftover))
    if change.leftover_gone:
        await drop_leftover(task_id, transaction)
    return await _write_history(change, transaction)


async def apply_made(change: Change, transaction: Transaction) -> tuple[Change, Sequence[HistoryEvent]]:
    """The same, of a change that was made for it."""
    return change, await apply(change, transaction)


async def put_repo(repo: Repo, transaction: Transaction, *, tell: bool = True) -> tuple[Repo, bool]:
    """Keep the repository; the one kept, and whether it is new.

    Of a known one its default branch and its trust are taken over.
    """
    known = await fetch_one(transaction.tables, "repos.one", repo.repo_id)
    kept = None if known is None else decode(known[0], Repo)
    now = repo if kept is None else replace(kept, default_branch=repo.default_branch, trust=repo.trust)
    if tell and now != kept:
        await _write_repo(now, transaction)
    return now, kept is None


async def prune(task_id: str, transaction: Transaction) -> None:
    """Forget all rows of a task but its id."""
    tables = transaction.tables
    row = await fetch_one(tables, "tasks.detail", task_id)
    if row is None:
        return
    task = decode(row[0], TaskDetail)
    removed = TaskRemoved(task_id=task_id)
    for (session_id,) in await tables.fetch("sessions.ids_of_task", task_id):
        transaction.event(EventName.TASK_REMOVED, task_id, session_id, removed)
    if task.status in ENDED:
        await tables.do("meta.count_ended", -1)
    for table in OF_A_TASK:
        await tables.do(f"{table}.forget", task_id)
    seq = transaction.event(EventName.TASK_REMOVED, task_id, "", removed)
    await tables.do("pruned.add", task_id, seq, task.updated_at)
    known = await fetch_one(tables, "repos.one", task.repo_id)
    if known is not None:
        repo = decode(known[0], Repo)
        await _write_repo(replace(repo, task_count=max(0, repo.task_count - 1)), transaction)


async def drop_leftover(task_id: str, transaction: Transaction) -> None:
    """Forget what the task left behind."""
    await transaction.tables.do("leftovers.forget", task_id)


async def touch(transaction: Transaction) -> None:
    """Write something that changes nothing, to find out whether that can be done."""
    await transaction.tables.do("meta.touch")


async def _begin_task(change: Change, transaction: Transaction) -> None:
    task, tables = change.task, transaction.tables
    if change.repo is not None:
        repo, _ = await put_repo(change.repo, transaction, tell=False)
        await _write_repo(replace(repo, task_count=repo.task_count + 1, latest_activity=change.at), transaction)
    summary, detail = _documents(task)
    seq = transaction.event(EventName.TASK, task.task_id, "", task)

    async def refusal() -> Exception:
        known = await fetch_one(tables, "tasks.request", task.task_id)
        return TaskPrunedError() if known is None else TaskExistsError(known[0])

    await tables.must_change(
        refusal,
        "tasks.add",
        task.task_id,
        task.repo_id,
        task.status,
        task.created_at,
        task.revision,
        seq,
        summary,
        detail,
        encode(change.private),
        change.request,
        task.host,
        task.provider,
        task.task_id,
    )


async def _change_task(change: Change, transaction: Transaction) -> None:
    task, private, tables = change.task, encode(change.private), transaction.tables
    kept = await fetch_one(tables, "tasks.kept", task.task_id)
    if kept == (change.expected, task.revision):
        await tables.do("tasks.change_all_but_the_record", private, task.task_id, change.expected)
        return
    summary, detail = _documents(task)
    seq = transaction.event(EventName.TASK, task.task_id, "", task)
    written = (task.status, task.revision, seq, summary, detail, private)
    await tables.must_change(
        _refused(StaleRevisionError()), "tasks.change", *written, task.task_id, change.expected, task.revision
    )


def _documents(task: TaskDetail) -> tuple[bytes, bytes]:
    """JSON of a task's summary and of its detail as they are kept; sessions and history events are rows of their own.

    Raises `ValueError` for a task with its history.
    """
    if task.history:
        raise ValueError("a task is written without its history")
    return _document(summary_of(task), ("sessions",)), _document(task, _ROWS_OF_THEIR_OWN)


def _document(record: Struct, without: Sequence[str]) -> bytes:
    """JSON of a record without these fields."""
    return encode(replace(record, **dict.fromkeys(without, UNSET)))


async def _write_prompts(change: Change, tables: Tables) -> None:
    guarded = {session.session_id for session in change.sessions}
    task_id = change.task.task_id
    for prompt in change.prompts:
        if prompt.session_id not in guarded:
            raise ValueError("a prompt is written with its session, whose revision guards it")
        refusal = _refused(IdTakenError("prompt_id", prompt.prompt_id))
        row = (prompt.prompt_id, prompt.session_id, task_id, prompt.state, encode(prompt))
        await tables.must_change(refusal, "prompts.write", *row)
        if prompt.attachments and prompt.state in _DONE_WITH:
            await tables.do("attachments.drop", prompt.prompt_id)
    if change.attachments or change.handed_on:
        # What refuses the change is to be found before an id that is there already.
        await tables.settle()
    for prompt_id, attachments in change.attachments.items():
        await tables.do("attachments.add", prompt_id, task_id, encode_attachments(attachments))
    for prompt_id, earlier in change.handed_on.items():
        await tables.do("attachments.hand_on", prompt_id, earlier, task_id)


async def _write_items(change: Change, transaction: Transaction) -> None:
    task_id, refusal = change.task.task_id, _refused(StaleRevisionError())
    for item in change.items:
        body = encode(item)
        seq = transaction.event(EventName.TRANSCRIPT, task_id, item.session_id, Raw(body))
        row = (item.session_id, item.index, task_id, item.item_id, item.revision, seq, body)
        await transaction.tables.must_change(refusal, "transcript.write", *row)


async def _write_session(session: SessionState, transaction: Transaction) -> None:
    tables = transaction.tables
    seq = transaction.event(EventName.SESSION, session.task_id, session.session_id, session)
    body, offer = _document(session, _OF_AN_OFFER), _document(session, _NOT_OF_AN_OFFER)

    async def refusal() -> Exception:
        (holder,) = await fetch_known(tables, "sessions.task", session.session_id)
        return StaleRevisionError() if holder == session.task_id else IdTakenError("session_id", session.session_id)

    row = (session.session_id, session.task_id, seq, body, session.revision, offer)
    await tables.must_change(refusal, "sessions.write", *row)


async def _write_operation(operation: Operation, transaction: Transaction) -> None:
    id_, tables, body = operation.operation_id, transaction.tables, encode(operation)
    seq = transaction.event(EventName.OPERATION, operation.task_id, "", Raw(body))

    async def refusal() -> Exception:
        (holder,) = await fetch_known(tables, "operations.task", id_)
        return StaleRevisionError() if holder == operation.task_id else IdTakenError("operation_id", id_)

    row = (id_, operation.task_id, operation.state, operation.revision, seq, body)
    await tables.must_change(refusal, "operations.write", *row)


async def _write_lines(change: Change, transaction: Transaction) -> None:
    task_id, refusal = change.task.task_id, _refused(StaleRevisionError())
    for line in change.lines:
        body = encode(line)
        seq = transaction.event(EventName.LOG, task_id, "", Raw(body))
        await transaction.tables.must_change(refusal, "stage_log.add", task_id, line.index, line.stage, seq, body)
    if change.drop_lines_below:
        await transaction.tables.do("stage_log.drop_below", task_id, change.drop_lines_below)


async def _write_history(change: Change, transaction: Transaction) -> Sequence[HistoryEvent]:
    task_id, told = change.task.task_id, []
    for kind, payload in change.history:
        event = HistoryEvent(seq=transaction.seq + 1, task_id=task_id, kind=kind, at=change.at, payload=payload)
        transaction.event(EventName.HISTORY, task_id, "", event)
        await transaction.tables.do("history.add", event.seq, task_id, encode(event))
        told.append(event)
    return told


async def _write_repo(repo: Repo, transaction: Transaction) -> None:
    body = encode(repo)
    seq = transaction.event(EventName.REPO, "", "", Raw(body))
    await transaction.tables.do("repos.write", repo.repo_id, seq, body)


def _refused(error: StorageError) -> WhyUnchanged:
    async def why() -> Exception:
        return error

    return why
