"""What one change writes into the open transaction, and the events that it makes."""

import sqlite3
from collections.abc import Sequence

from msgspec import Raw, Struct
from msgspec.structs import replace

from backend_stub.domain.errors import (
    BranchTakenError,
    IdTakenError,
    StaleRevisionError,
    TaskExistsError,
    TaskPrunedError,
)
from backend_stub.domain.events import Event
from backend_stub.domain.storage import Change, SessionOffer
from backend_stub.storage.sqlite.statements import SQL
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
    TaskSummary,
    summary_of,
)
from foundry_tui.contract.status import ENDED

_ROWS_OF_THEIR_OWN = {"sessions", "history"}
_DONE_WITH = frozenset({PromptState.ANSWERED, PromptState.WITHDRAWN})
"""The states of a prompt whose attachments nobody needs any more."""
_SUMMARY = tuple(name for name in TaskSummary.__struct_fields__ if name not in _ROWS_OF_THEIR_OWN)
_DETAIL = tuple(name for name in TaskDetail.__struct_fields__ if name not in _ROWS_OF_THEIR_OWN)
_SESSION = SessionSummary.__struct_fields__
_OFFER = SessionOffer.__struct_fields__
"""The fields that a task's two documents and a session's two have as they are kept."""
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
    """The open transaction: its connection, the seq counter, and the events gathered so far."""

    def __init__(self, connection: sqlite3.Connection, seq: int) -> None:
        self.execute = connection.execute
        self.executemany = connection.executemany
        self.seq = seq
        self.events: list[Event] = []
        self._first = seq

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

    def finish(self) -> None:
        """Keep the counter, once a commit."""
        if self.seq != self._first:
            self.execute(SQL["meta.set_seq"], (str(self.seq),))


def apply(change: Change, transaction: Transaction) -> Sequence[HistoryEvent]:
    """Write one change of one task; see `Storage.commit` for what it refuses."""
    task_id = change.task.task_id
    if change.expected == 0:
        _begin_task(change, transaction)
    else:
        _change_task(change, transaction)
    if change.task.status in ENDED and transaction.execute(SQL["tasks.end"], (task_id,)).rowcount:
        transaction.execute(SQL["meta.count_ended"], (1,))
    if change.free_branch or change.hold_branch is not None:
        transaction.execute(SQL["branches.forget"], (task_id,))
    if change.hold_branch is not None:
        _hold_branch(change, change.hold_branch, transaction)
    _write_prompts(change, transaction)
    # Before the session, so that whoever sees a prompt answered has the answer.
    _write_items(change, transaction)
    for session in change.sessions:
        _write_session(session, transaction)
    for permission in change.permissions:
        if not transaction.execute(SQL["permissions.add"], (permission.permission_id, task_id)).rowcount:
            raise IdTakenError("permission_id", permission.permission_id)
    _write_lines(change, transaction)
    for operation in change.operations:
        _write_operation(operation, transaction)
    if change.leftover is not None:
        transaction.execute(SQL["leftovers.write"], (task_id, encode(change.leftover)))
    if change.leftover_gone:
        drop_leftover(task_id, transaction)
    return _write_history(change, transaction)


def put_repo(repo: Repo, transaction: Transaction, *, tell: bool = True) -> tuple[Repo, bool]:
    """Keep the repository; the one kept, and whether it is new.

    Of a known one its default branch and its trust are taken over.
    """
    known = transaction.execute(SQL["repos.one"], (repo.repo_id,)).fetchone()
    kept = None if known is None else decode(known[0], Repo)
    now = repo if kept is None else replace(kept, default_branch=repo.default_branch, trust=repo.trust)
    if tell and now != kept:
        _write_repo(now, transaction)
    return now, kept is None


def prune(task_id: str, transaction: Transaction) -> None:
    """Forget all rows of a task but its id."""
    row = transaction.execute(SQL["tasks.detail"], (task_id,)).fetchone()
    if row is None:
        return
    task = decode(row[0], TaskDetail)
    removed = TaskRemoved(task_id=task_id)
    for (session_id,) in transaction.execute(SQL["sessions.ids_of_task"], (task_id,)).fetchall():
        transaction.event(EventName.TASK_REMOVED, task_id, session_id, removed)
    if task.status in ENDED:
        transaction.execute(SQL["meta.count_ended"], (-1,))
    for table in OF_A_TASK:
        transaction.execute(SQL[f"{table}.forget"], (task_id,))
    seq = transaction.event(EventName.TASK_REMOVED, task_id, "", removed)
    transaction.execute(SQL["pruned.add"], (task_id, seq, task.updated_at))
    known = transaction.execute(SQL["repos.one"], (task.repo_id,)).fetchone()
    if known is not None:
        repo = decode(known[0], Repo)
        _write_repo(replace(repo, task_count=max(0, repo.task_count - 1)), transaction)


def drop_leftover(task_id: str, transaction: Transaction) -> None:
    """Forget what the task left behind."""
    transaction.execute(SQL["leftovers.forget"], (task_id,))


def touch(transaction: Transaction) -> None:
    """Write something that changes nothing, to find out whether that can be done."""
    transaction.execute(SQL["meta.touch"])


def _begin_task(change: Change, transaction: Transaction) -> None:
    task = change.task
    if change.repo is not None:
        repo, _ = put_repo(change.repo, transaction, tell=False)
        _write_repo(replace(repo, task_count=repo.task_count + 1, latest_activity=change.at), transaction)
    summary, detail = _documents(task)
    seq = transaction.event(EventName.TASK, task.task_id, "", task)
    is_new = transaction.execute(
        SQL["tasks.add"],
        (
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
            task.task_id,
        ),
    ).rowcount
    if not is_new:
        known = transaction.execute(SQL["tasks.request"], (task.task_id,)).fetchone()
        raise TaskPrunedError if known is None else TaskExistsError(known[0])


def _change_task(change: Change, transaction: Transaction) -> None:
    task, private = change.task, encode(change.private)
    kept = transaction.execute(SQL["tasks.kept"], (task.task_id,)).fetchone()
    if kept == (change.expected, task.revision):
        transaction.execute(SQL["tasks.change_all_but_the_record"], (private, task.task_id, change.expected))
        return
    summary, detail = _documents(task)
    seq = transaction.event(EventName.TASK, task.task_id, "", task)
    found = transaction.execute(
        SQL["tasks.change"],
        (task.status, task.revision, seq, summary, detail, private, task.task_id, change.expected, task.revision),
    ).rowcount
    if not found:
        raise StaleRevisionError


def _documents(task: TaskDetail) -> tuple[bytes, bytes]:
    """JSON of a task's summary and of its detail as they are kept; sessions and history events are rows of their own.

    Raises `ValueError` for a task with its history.
    """
    if task.history:
        raise ValueError("a task is written without its history")
    return _document(summary_of(task), _SUMMARY), _document(task, _DETAIL)


def _document(record: Struct, names: Sequence[str]) -> bytes:
    """JSON of these fields of a record."""
    return encode({name: getattr(record, name) for name in names})


def _hold_branch(change: Change, branch: str, transaction: Transaction) -> None:
    task = change.task
    if not transaction.execute(SQL["branches.hold"], (task.repo_id, branch, task.task_id)).rowcount:
        raise BranchTakenError(branch)


def _write_prompts(change: Change, transaction: Transaction) -> None:
    guarded = {session.session_id for session in change.sessions}
    for prompt in change.prompts:
        if prompt.session_id not in guarded:
            raise ValueError("a prompt is written with its session, whose revision guards it")
        written = transaction.execute(
            SQL["prompts.write"],
            (prompt.prompt_id, prompt.session_id, change.task.task_id, prompt.state, encode(prompt)),
        ).rowcount
        if not written:
            raise IdTakenError("prompt_id", prompt.prompt_id)
        if prompt.attachments and prompt.state in _DONE_WITH:
            transaction.execute(SQL["attachments.drop"], (prompt.prompt_id,))
    task_id = change.task.task_id
    for prompt_id, attachments in change.attachments.items():
        transaction.execute(SQL["attachments.add"], (prompt_id, task_id, encode_attachments(attachments)))
    for prompt_id, earlier in change.handed_on.items():
        transaction.execute(SQL["attachments.hand_on"], (prompt_id, earlier, task_id))


def _write_items(change: Change, transaction: Transaction) -> None:
    task_id = change.task.task_id
    for item in change.items:
        body = encode(item)
        seq = transaction.event(EventName.TRANSCRIPT, task_id, item.session_id, Raw(body))
        written = transaction.execute(
            SQL["transcript.write"],
            (item.session_id, item.index, task_id, item.item_id, item.revision, seq, body),
        ).rowcount
        if not written:
            raise StaleRevisionError


def _write_session(session: SessionState, transaction: Transaction) -> None:
    seq = transaction.event(EventName.SESSION, session.task_id, session.session_id, session)
    body, offer = _document(session, _SESSION), _document(session, _OFFER)
    written = transaction.execute(
        SQL["sessions.write"], (session.session_id, session.task_id, seq, body, session.revision, offer)
    ).rowcount
    if not written:
        (holder,) = transaction.execute(SQL["sessions.task"], (session.session_id,)).fetchone()
        raise StaleRevisionError if holder == session.task_id else IdTakenError("session_id", session.session_id)


def _write_operation(operation: Operation, transaction: Transaction) -> None:
    body = encode(operation)
    seq = transaction.event(EventName.OPERATION, operation.task_id, "", Raw(body))
    written = transaction.execute(
        SQL["operations.write"],
        (operation.operation_id, operation.task_id, operation.state, operation.revision, seq, body),
    ).rowcount
    if not written:
        (holder,) = transaction.execute(SQL["operations.task"], (operation.operation_id,)).fetchone()
        if holder == operation.task_id:
            raise StaleRevisionError
        raise IdTakenError("operation_id", operation.operation_id)


def _write_lines(change: Change, transaction: Transaction) -> None:
    task_id = change.task.task_id
    for line in change.lines:
        body = encode(line)
        seq = transaction.event(EventName.LOG, task_id, "", Raw(body))
        if not transaction.execute(SQL["stage_log.add"], (task_id, line.index, line.stage, seq, body)).rowcount:
            raise StaleRevisionError
    if change.drop_lines_below:
        transaction.execute(SQL["stage_log.drop_below"], (task_id, change.drop_lines_below))


def _write_history(change: Change, transaction: Transaction) -> Sequence[HistoryEvent]:
    task_id, told = change.task.task_id, []
    for kind, payload in change.history:
        event = HistoryEvent(seq=transaction.seq + 1, task_id=task_id, kind=kind, at=change.at, payload=payload)
        transaction.event(EventName.HISTORY, task_id, "", event)
        told.append(event)
    transaction.executemany(SQL["history.add"], [(event.seq, task_id, encode(event)) for event in told])
    return told


def _write_repo(repo: Repo, transaction: Transaction) -> None:
    body = encode(repo)
    seq = transaction.event(EventName.REPO, "", "", Raw(body))
    transaction.execute(SQL["repos.write"], (repo.repo_id, seq, body))
