"""What one change writes into SQLite, and the events that it makes; runs in the thread that writes."""

import sqlite3
from collections.abc import Sequence

from msgspec.structs import replace

from backend_stub.domain.errors import (
    BranchTakenError,
    IdTakenError,
    StaleRevisionError,
    TaskExistsError,
    TaskPrunedError,
)
from backend_stub.domain.storage import Change, Event
from foundry_tui.contract.codec import decode, encode
from foundry_tui.contract.events import EventName, TaskRemoved
from foundry_tui.contract.records import HistoryEvent, HistoryKind, Record, Repo, SessionState, TaskDetail, summary_of


class Transaction:
    """The open transaction: its connection, the seq counter, and the events gathered so far."""

    def __init__(self, connection: sqlite3.Connection, seq: int) -> None:
        self.execute = connection.execute
        self.executemany = connection.executemany
        self.seq = seq
        self.events: list[Event] = []
        self._first = seq

    def event(
        self,
        name: EventName,
        task_id: str,
        session_id: str,
        data: bytes,
        detail: bytes = b"",
        listed: tuple[str, Sequence[Record]] | None = None,
    ) -> int:
        """Allocate the next seq and note the event under it."""
        self.seq += 1
        self.events.append(Event(self.seq, name, task_id, session_id, data, detail, listed=listed))
        return self.seq

    def history(self, task_id: str, at: int, kind: HistoryKind, payload: dict[str, object]) -> HistoryEvent:
        """The same for an event of a task's history."""
        self.seq += 1
        event = HistoryEvent(seq=self.seq, task_id=task_id, kind=kind, at=at, payload=payload)
        self.events.append(Event(self.seq, EventName.HISTORY, task_id, "", encode(event), history=event))
        return event

    def mark(self) -> tuple[int, int]:
        return self.seq, len(self.events)

    def back_to(self, mark: tuple[int, int]) -> None:
        """Forget what a refused change noted."""
        self.seq, length = mark
        del self.events[length:]

    def finish(self) -> None:
        """Keep the counter, once a commit."""
        if self.seq != self._first:
            self.execute("UPDATE meta SET value = ? WHERE key = 'seq'", (str(self.seq),))


def apply(change: Change, transaction: Transaction) -> Sequence[HistoryEvent]:
    """Write one change of one task; see `Storage.commit` for what it refuses."""
    task = change.task
    if change.expected == 0:
        _begin_task(change, transaction)
    else:
        _change_task(change, transaction)
    if change.hold_branch is not None:
        _hold_branch(change, transaction)
    if change.free_branch:
        transaction.execute("DELETE FROM branches WHERE task_id = ?", (task.task_id,))
    _write_prompts(change, transaction)
    # Before the session, so that whoever sees a prompt answered has the answer.
    for item in change.items:
        body = encode(item)
        seq = transaction.event(EventName.TRANSCRIPT, task.task_id, item.session_id, body)
        written = transaction.execute(
            "INSERT INTO transcript VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (session_id, number) DO UPDATE "
            "SET revision = excluded.revision, seq = excluded.seq, body = excluded.body "
            "WHERE revision < excluded.revision AND item_id = excluded.item_id",
            (item.session_id, item.index, task.task_id, item.item_id, item.revision, seq, body),
        ).rowcount
        if not written:
            raise StaleRevisionError
    for session in change.sessions:
        _write_session(session, transaction)
    for permission in change.permissions:
        transaction.execute("INSERT OR IGNORE INTO permissions VALUES (?, ?)", (permission.permission_id, task.task_id))
    for line in change.lines:
        body = encode(line)
        seq = transaction.event(EventName.LOG, task.task_id, "", body)
        written = transaction.execute(
            "INSERT OR IGNORE INTO stage_log VALUES (?, ?, ?, ?, ?)", (task.task_id, line.index, line.stage, seq, body)
        ).rowcount
        if not written:
            raise StaleRevisionError
    if change.drop_lines_below:
        transaction.execute(
            "DELETE FROM stage_log WHERE task_id = ? AND number < ?", (task.task_id, change.drop_lines_below)
        )
    if change.leftover is not None:
        transaction.execute("INSERT OR REPLACE INTO leftovers VALUES (?, ?)", (task.task_id, encode(change.leftover)))
    if change.leftover_gone:
        drop_leftover(task.task_id, transaction)
    return _write_history(change, transaction)


def _write_session(session: SessionState, transaction: Transaction) -> None:
    body = encode(replace(session, prompts=())).removesuffix(_NO_PROMPTS) + b"}"
    listed = ("prompts", session.prompts)
    seq = transaction.event(EventName.SESSION, session.task_id, session.session_id, body, listed=listed)
    written = transaction.execute(
        "INSERT INTO sessions (session_id, task_id, seq, body, revision) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (session_id) DO UPDATE SET seq = excluded.seq, body = excluded.body, revision = excluded.revision "
        "WHERE task_id = excluded.task_id AND revision < excluded.revision",
        (session.session_id, session.task_id, seq, body, session.revision),
    ).rowcount
    if not written:
        (holder,) = transaction.execute(
            "SELECT task_id FROM sessions WHERE session_id = ?", (session.session_id,)
        ).fetchone()
        raise StaleRevisionError if holder == session.task_id else IdTakenError("session_id", session.session_id)


_NO_PROMPTS = b',"prompts":[]}'
_NO_SESSIONS = b',"sessions":[]'
"""How these stand in JSON; in a text each of the quotes would have a backslash before it."""
_NO_HISTORY = b',"history":[]}'
"""How the JSON of a task without history events ends: it is the record's last field."""


def _documents(task: TaskDetail) -> tuple[bytes, bytes]:
    """JSON of a task's summary and of its detail as they are kept; sessions and history events are rows of their own.

    Raises `ValueError` for a task with its history.
    """
    bare = replace(task, sessions=())
    summary, detail = encode(summary_of(bare)), encode(bare)
    if not detail.endswith(_NO_HISTORY):
        raise ValueError("a task is written without its history")
    whole = detail[: -len(_NO_HISTORY)] + b"}"
    return summary.replace(_NO_SESSIONS, b"", 1), whole.replace(_NO_SESSIONS, b"", 1)


def _begin_task(change: Change, transaction: Transaction) -> None:
    task = change.task
    if change.repo is not None:
        repo, _ = put_repo(change.repo, transaction, tell=False)
        _put(replace(repo, task_count=repo.task_count + 1, latest_activity=change.at), transaction)
    summary, detail = _documents(task)
    seq = transaction.event(EventName.TASK, task.task_id, "", summary, detail, ("sessions", task.sessions))
    is_new = transaction.execute(
        "INSERT INTO tasks SELECT ?1, ?, ?, ?, ?, ?, ?, ?, ?, ? "
        "WHERE NOT EXISTS (SELECT 1 FROM pruned WHERE task_id = ?1) ON CONFLICT (task_id) DO NOTHING",
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
        ),
    ).rowcount
    if not is_new:
        known = transaction.execute("SELECT request FROM tasks WHERE task_id = ?", (task.task_id,)).fetchone()
        raise TaskPrunedError if known is None else TaskExistsError(known[0])


def _change_task(change: Change, transaction: Transaction) -> None:
    task = change.task
    if task.revision == change.expected:
        found = transaction.execute(
            "UPDATE tasks SET private = ? WHERE task_id = ? AND revision = ?",
            (encode(change.private), task.task_id, change.expected),
        ).rowcount
    else:
        summary, detail = _documents(task)
        seq = transaction.event(EventName.TASK, task.task_id, "", summary, detail, ("sessions", task.sessions))
        found = transaction.execute(
            "UPDATE tasks SET status = ?, revision = ?, seq = ?, summary = ?, detail = ?, private = ? "
            "WHERE task_id = ? AND revision = ?",
            (
                task.status,
                task.revision,
                seq,
                summary,
                detail,
                encode(change.private),
                task.task_id,
                change.expected,
            ),
        ).rowcount
    if not found:
        raise StaleRevisionError


def _hold_branch(change: Change, transaction: Transaction) -> None:
    task, branch = change.task, change.hold_branch
    holder = transaction.execute(
        "SELECT task_id FROM branches WHERE repo_id = ? AND branch = ?", (task.repo_id, branch)
    ).fetchone()
    if holder is not None and holder[0] != task.task_id:
        raise BranchTakenError(str(branch))
    transaction.execute("INSERT OR REPLACE INTO branches VALUES (?, ?, ?)", (task.repo_id, branch, task.task_id))


def _write_prompts(change: Change, transaction: Transaction) -> None:
    for prompt in change.prompts:
        written = transaction.execute(
            "INSERT INTO prompts (prompt_id, session_id, task_id, state, body) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (prompt_id) DO UPDATE SET state = excluded.state, body = excluded.body "
            "WHERE session_id = excluded.session_id",
            (prompt.prompt_id, prompt.session_id, change.task.task_id, prompt.state, encode(prompt)),
        ).rowcount
        if not written:
            raise IdTakenError("prompt_id", prompt.prompt_id)


def _write_history(change: Change, transaction: Transaction) -> Sequence[HistoryEvent]:
    task_id, first = change.task.task_id, len(transaction.events)
    told = [transaction.history(task_id, change.at, kind, payload) for kind, payload in change.history]
    rows = [(event.seq, task_id, event.data) for event in transaction.events[first:]]
    transaction.executemany("INSERT INTO history VALUES (?, ?, ?)", rows)
    return told


def put_repo(repo: Repo, transaction: Transaction, *, tell: bool = True) -> tuple[Repo, bool]:
    """Keep the repository; the one kept, and whether it is new.

    Of a known one its default branch and its trust are taken over.
    """
    known = transaction.execute("SELECT body FROM repos WHERE repo_id = ?", (repo.repo_id,)).fetchone()
    kept = None if known is None else decode(known[0], Repo)
    now = repo if kept is None else replace(kept, default_branch=repo.default_branch, trust=repo.trust)
    if tell and now != kept:
        _put(now, transaction)
    return now, kept is None


def _put(repo: Repo, transaction: Transaction) -> None:
    body = encode(repo)
    seq = transaction.event(EventName.REPO, "", "", body)
    transaction.execute(
        "INSERT INTO repos VALUES (?, ?, ?) "
        "ON CONFLICT (repo_id) DO UPDATE SET seq = excluded.seq, body = excluded.body",
        (repo.repo_id, seq, body),
    )


def prune(task_id: str, transaction: Transaction) -> None:
    """Forget all rows of a task but its id."""
    row = transaction.execute("SELECT detail FROM tasks WHERE task_id = ?", (task_id,)).fetchone()
    if row is None:
        return
    task = decode(row[0], TaskDetail)
    removed = encode(TaskRemoved(task_id=task_id))
    for (session_id,) in transaction.execute(
        "SELECT session_id FROM sessions WHERE task_id = ?", (task_id,)
    ).fetchall():
        transaction.event(EventName.TASK_REMOVED, task_id, session_id, removed)
    for table in ("tasks", "branches", "sessions", "prompts", "permissions", "transcript", "history", "stage_log"):
        transaction.execute(f"DELETE FROM {table} WHERE task_id = ?", (task_id,))
    seq = transaction.event(EventName.TASK_REMOVED, task_id, "", removed)
    transaction.execute("INSERT OR REPLACE INTO pruned VALUES (?, ?, ?)", (task_id, seq, task.updated_at))
    known = transaction.execute("SELECT body FROM repos WHERE repo_id = ?", (task.repo_id,)).fetchone()
    if known is not None:
        repo = decode(known[0], Repo)
        _put(replace(repo, task_count=max(0, repo.task_count - 1)), transaction)


def drop_leftover(task_id: str, transaction: Transaction) -> None:
    """What was left behind is gone."""
    transaction.execute("DELETE FROM leftovers WHERE task_id = ?", (task_id,))


def touch(transaction: Transaction) -> None:
    """Write something that changes nothing, to find out whether that can be done."""
    transaction.execute("UPDATE meta SET value = value WHERE key = 'seq'")
