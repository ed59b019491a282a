"""What is read from SQLite; each function runs in a reader thread, inside one read transaction."""

import sqlite3
from collections.abc import Sequence

from msgspec.structs import replace

from backend_stub.domain.storage import Event, ItemKey, LeftoverRow, Missed, Private, TaskState, with_list
from foundry_tui.contract.branches import near_branches
from foundry_tui.contract.codec import decode, encode
from foundry_tui.contract.events import EventName, TaskRemoved, Topic, TopicKind
from foundry_tui.contract.records import HistoryEvent, LogLine, Prompt, PromptState, Repo, SessionSummary, TaskDetail
from foundry_tui.contract.status import TaskStatus

SNAPSHOT_HISTORY = 200
"""History events that come with a task."""


PIECE_BYTES = 65_536
"""Of a snapshot, that are sent at once."""


def request_of(connection: sqlite3.Connection, task_id: str) -> bytes | None:
    row = connection.execute("SELECT request FROM tasks WHERE task_id = ?", (task_id,)).fetchone()
    return None if row is None else bytes(row[0])


def branch_holder(connection: sqlite3.Connection, repo_id: str, branch: str) -> str | None:
    row = connection.execute(
        "SELECT task_id FROM branches WHERE repo_id = ? AND branch = ?", (repo_id, branch)
    ).fetchone()
    return None if row is None else str(row[0])


def load(connection: sqlite3.Connection, task_id: str) -> TaskState | None:
    row = connection.execute("SELECT detail, private FROM tasks WHERE task_id = ?", (task_id,)).fetchone()
    if row is None:
        return None
    sessions = decode(_sessions(connection, task_id), tuple[SessionSummary, ...])
    prompts: dict[str, list[Prompt]] = {}
    for (body,) in connection.execute("SELECT body FROM prompts WHERE task_id = ? ORDER BY number", (task_id,)):
        prompt = decode(body, Prompt)
        prompts.setdefault(prompt.session_id, []).append(prompt)
    (last,) = connection.execute("SELECT max(number) FROM stage_log WHERE task_id = ?", (task_id,)).fetchone()
    return TaskState(
        task=replace(decode(row[0], TaskDetail), sessions=sessions),
        private=decode(row[1], Private),
        prompts={session_id: tuple(each) for session_id, each in prompts.items()},
        log_count=0 if last is None else int(last) + 1,
    )


def item_keys(connection: sqlite3.Connection, session_id: str) -> dict[str, ItemKey]:
    rows = connection.execute("SELECT item_id, number, revision FROM transcript WHERE session_id = ?", (session_id,))
    return {item_id: ItemKey(index, revision) for item_id, index, revision in rows}


def task_of_session(connection: sqlite3.Connection, session_id: str) -> str | None:
    row = connection.execute("SELECT task_id FROM sessions WHERE session_id = ?", (session_id,)).fetchone()
    return None if row is None else str(row[0])


def task_of_permission(connection: sqlite3.Connection, permission_id: str) -> str | None:
    row = connection.execute("SELECT task_id FROM permissions WHERE permission_id = ?", (permission_id,)).fetchone()
    return None if row is None else str(row[0])


def repo(connection: sqlite3.Connection, repo_id: str) -> Repo | None:
    row = connection.execute("SELECT body FROM repos WHERE repo_id = ?", (repo_id,)).fetchone()
    return None if row is None else decode(row[0], Repo)


def repos(connection: sqlite3.Connection) -> Sequence[Repo]:
    return [decode(body, Repo) for (body,) in connection.execute("SELECT body FROM repos ORDER BY repo_id")]


def held_branches(connection: sqlite3.Connection, repo_id: str, names: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    here = "SELECT branch, task_id FROM branches WHERE repo_id = ?"
    if not all(name.isascii() for name in names):
        # The index knows case in ASCII only.
        held = dict(connection.execute(here, (repo_id,)).fetchall())
        return {branch: held[branch] for branch in near_branches(names, held)}
    above = {"/".join(name.split("/")[:depth]) for name in names for depth in range(1, name.count("/") + 1)}
    # Given an equation, SQLite would take the primary key, and look at every branch of the repository.
    between = f"{here} AND branch >= ? COLLATE NOCASE AND branch <= ? COLLATE NOCASE LIMIT 2"
    # What comes between `/` and the character after it is below the name.
    bounds = [*((name, name) for name in (*names, *above)), *((f"{name}/", f"{name}0") for name in names)]
    for first, last in bounds:
        found |= connection.execute(between, (repo_id, first, last)).fetchall()
    return {branch: found[branch] for branch in near_branches(names, found)}


def having(connection: sqlite3.Connection, statuses: frozenset[TaskStatus]) -> Sequence[str]:
    marks = ", ".join("?" for _ in statuses)
    rows = connection.execute(
        f"SELECT task_id FROM tasks WHERE status IN ({marks}) ORDER BY created_at, task_id", tuple(statuses)
    )
    return [task_id for (task_id,) in rows]


def in_turn(connection: sqlite3.Connection, status: TaskStatus) -> Sequence[str]:
    rows = connection.execute(
        "SELECT DISTINCT tasks.task_id FROM tasks JOIN prompts ON prompts.task_id = tasks.task_id "
        "WHERE tasks.status = ? AND prompts.state = ?",
        (status, PromptState.DELIVERED),
    )
    return [task_id for (task_id,) in rows]


def leftovers(connection: sqlite3.Connection) -> Sequence[LeftoverRow]:
    return [decode(body, LeftoverRow) for (body,) in connection.execute("SELECT body FROM leftovers")]


def history(connection: sqlite3.Connection, task_id: str | None, after: int, limit: int) -> Sequence[HistoryEvent]:
    if task_id is None:
        rows = connection.execute("SELECT body FROM history WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))
    else:
        rows = connection.execute(
            "SELECT body FROM history WHERE task_id = ? AND seq > ? ORDER BY seq LIMIT ?", (task_id, after, limit)
        )
    return [decode(body, HistoryEvent) for (body,) in rows]


def task(connection: sqlite3.Connection, task_id: str) -> TaskDetail | None:
    row = connection.execute("SELECT detail FROM tasks WHERE task_id = ?", (task_id,)).fetchone()
    if row is None:
        return None
    return replace(
        decode(row[0], TaskDetail),
        sessions=decode(_sessions(connection, task_id), tuple[SessionSummary, ...]),
        history=tuple(last_history(connection, task_id, SNAPSHOT_HISTORY)),
    )


def _sessions(connection: sqlite3.Connection, task_id: str) -> bytes:
    """JSON of a task's sessions, in the order in which they were asked for."""
    rows = connection.execute("SELECT body FROM sessions WHERE task_id = ? ORDER BY rowid", (task_id,)).fetchall()
    return b"[%b]" % b",".join(body for (body,) in rows)


def _prompts(connection: sqlite3.Connection, session_id: str) -> bytes:
    """JSON of a session's prompts, oldest first."""
    task_id = task_of_session(connection, session_id)
    rows = connection.execute(
        "SELECT body FROM prompts WHERE task_id = ? AND session_id = ? ORDER BY number", (task_id, session_id)
    ).fetchall()
    return b"[%b]" % b",".join(body for (body,) in rows)


def last_history(connection: sqlite3.Connection, task_id: str, limit: int) -> Sequence[HistoryEvent]:
    rows = connection.execute(
        "SELECT body FROM history WHERE task_id = ? ORDER BY seq DESC LIMIT ?", (task_id, limit)
    ).fetchall()
    return [decode(body, HistoryEvent) for (body,) in reversed(rows)]


def lines(connection: sqlite3.Connection, task_id: str, stage: str | None, after: int, limit: int) -> Sequence[LogLine]:
    rows = connection.execute(
        "SELECT body FROM stage_log WHERE task_id = ?1 AND number > ?2 AND (?3 IS NULL OR stage = ?3) "
        "ORDER BY number LIMIT ?4",
        (task_id, after, stage, limit),
    )
    return [decode(body, LogLine) for (body,) in rows]


def _seq(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT value FROM meta WHERE key = 'seq'").fetchone()[0])


def has(connection: sqlite3.Connection, topic: Topic) -> bool:
    if topic.kind is TopicKind.TASKS:
        return True
    if topic.kind is TopicKind.SESSION:
        return task_of_session(connection, topic.id) is not None
    return connection.execute("SELECT 1 FROM tasks WHERE task_id = ?", (topic.id,)).fetchone() is not None


def snapshot(connection: sqlite3.Connection, topic: Topic) -> tuple[int, bytes] | None:
    seq = _seq(connection)
    if topic.kind is TopicKind.TASKS:
        return seq, b"".join(tasks_snapshot(connection)[1])
    if not has(connection, topic):
        return None
    if topic.kind is TopicKind.TASK:
        (body,) = connection.execute("SELECT detail FROM tasks WHERE task_id = ?", (topic.id,)).fetchone()
        body = with_list(body, "sessions", _sessions(connection, topic.id))
        return seq, with_history(body, last_history(connection, topic.id, SNAPSHOT_HISTORY), seq)
    if topic.kind is TopicKind.SESSION:
        (body,) = connection.execute("SELECT body FROM sessions WHERE session_id = ?", (topic.id,)).fetchone()
        items = connection.execute(
            "SELECT body FROM transcript WHERE session_id = ? ORDER BY number", (topic.id,)
        ).fetchall()
        body = with_list(body, "prompts", _prompts(connection, topic.id))
        return seq, b'%b,"transcript":[%b],"seq":%d}' % (body[:-1], b",".join(item for (item,) in items), seq)
    rows = connection.execute("SELECT body FROM stage_log WHERE task_id = ? ORDER BY number", (topic.id,)).fetchall()
    return seq, b'{"lines":[%b],"seq":%d}' % (b",".join(line for (line,) in rows), seq)


def tasks_snapshot(connection: sqlite3.Connection) -> tuple[int, Sequence[bytes]]:
    """The snapshot of topic `tasks`, in pieces of about `PIECE_BYTES`."""
    seq = _seq(connection)
    sessions: dict[str, bytes] = {}
    for task_id, body in connection.execute("SELECT task_id, body FROM sessions ORDER BY rowid"):
        earlier = sessions.get(task_id)
        sessions[task_id] = body if earlier is None else b"%b,%b" % (earlier, body)
    known = b",".join(body for (body,) in connection.execute("SELECT body FROM repos ORDER BY repo_id"))
    pieces: list[bytes] = []
    piece, comma = bytearray(b'{"seq":%d,"repos":[%b],"tasks":[' % (seq, known)), b""
    for task_id, summary in connection.execute("SELECT task_id, summary FROM tasks ORDER BY created_at, task_id"):
        piece += comma
        piece += with_list(summary, "sessions", b"[%b]" % sessions.get(task_id, b""))
        comma = b","
        if len(piece) >= PIECE_BYTES:
            pieces.append(bytes(piece))
            piece.clear()
    pieces.append(bytes(piece + b"]}"))
    return seq, pieces


def with_history(detail: bytes, events: Sequence[HistoryEvent], seq: int) -> bytes:
    """JSON of a stored task with its history and a snapshot's seq; its text is not read for that."""
    return b'%b,"history":%b,"seq":%d}' % (detail.removesuffix(b"}"), encode(events), seq)


def missed(connection: sqlite3.Connection, topic: Topic, seq: int) -> Missed | None:
    now = _seq(connection)
    if seq > now:
        return None
    if topic.kind is TopicKind.TASKS:
        events = _missed_tasks(connection, seq)
    elif topic.kind is TopicKind.TASK:
        events = _missed_task(connection, topic.id, seq)
    elif topic.kind is TopicKind.SESSION:
        events = _missed_session(connection, topic.id, seq)
    else:
        events = [
            Event(at, EventName.LOG, topic.id, "", body)
            for at, body in connection.execute(
                "SELECT seq, body FROM stage_log WHERE task_id = ? AND seq > ? ORDER BY number", (topic.id, seq)
            )
        ]
    return Missed(now, sorted(events, key=lambda event: event.seq))


def _missed_tasks(connection: sqlite3.Connection, seq: int) -> list[Event]:
    events = [
        Event(at, EventName.TASK, task_id, "", with_list(summary, "sessions", _sessions(connection, task_id)))
        for at, task_id, summary in connection.execute(
            "SELECT seq, task_id, summary FROM tasks WHERE seq > ?", (seq,)
        ).fetchall()
    ]
    events += [
        Event(at, EventName.TASK_REMOVED, task_id, "", encode(TaskRemoved(task_id=task_id)))
        for at, task_id in connection.execute("SELECT seq, task_id FROM pruned WHERE seq > ?", (seq,))
    ]
    events += [
        Event(at, EventName.REPO, "", "", body)
        for at, body in connection.execute("SELECT seq, body FROM repos WHERE seq > ?", (seq,))
    ]
    return events


def _missed_task(connection: sqlite3.Connection, task_id: str, seq: int) -> list[Event]:
    events = [
        Event(at, EventName.TASK, task_id, "", b"", with_list(detail, "sessions", _sessions(connection, task_id)))
        for at, detail in connection.execute(
            "SELECT seq, detail FROM tasks WHERE task_id = ? AND seq > ?", (task_id, seq)
        )
    ]
    events += [
        Event(at, EventName.HISTORY, task_id, "", body)
        for at, body in connection.execute(
            "SELECT seq, body FROM history WHERE task_id = ? AND seq > ? ORDER BY seq", (task_id, seq)
        )
    ]
    return events


def _missed_session(connection: sqlite3.Connection, session_id: str, seq: int) -> list[Event]:
    events = [
        Event(at, EventName.SESSION, "", session_id, with_list(body, "prompts", _prompts(connection, session_id)))
        for at, body in connection.execute(
            "SELECT seq, body FROM sessions WHERE session_id = ? AND seq > ?", (session_id, seq)
        )
    ]
    events += [
        Event(at, EventName.TRANSCRIPT, "", session_id, body)
        for at, body in connection.execute(
            "SELECT seq, body FROM transcript WHERE session_id = ? AND seq > ?", (session_id, seq)
        )
    ]
    return events
