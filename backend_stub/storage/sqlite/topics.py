"""What a topic is as a whole and what was missed of it; each function runs inside one read transaction.

Every row has the seq of its last change, so what a client missed is whatever rows have a higher one than its own.
"""

import sqlite3
from collections.abc import Iterator

from msgspec import Raw, structs

from backend_stub.domain.events import Missed, Snapshot, TopicEvent
from backend_stub.domain.storage import SessionOffer
from backend_stub.storage.sqlite import lists
from backend_stub.storage.sqlite.documents import listed, unread, whole
from backend_stub.storage.sqlite.reading import LAST_HISTORY
from backend_stub.storage.sqlite.statements import SQL
from foundry_tui.contract.codec import decode, encode
from foundry_tui.contract.events import EventName, TaskRemoved, Topic, TopicKind
from foundry_tui.contract.requests import SessionSnapshot, TaskSnapshot

_TASK, _SESSION = unread(TaskSnapshot), unread(SessionSnapshot)
_OFFER = unread(SessionOffer)


def has(connection: sqlite3.Connection, topic: Topic) -> bool:
    if topic.kind is TopicKind.TASKS:
        return True
    asked = SQL["sessions.task" if topic.kind is TopicKind.SESSION else "tasks.one"]
    return connection.execute(asked, (topic.id,)).fetchone() is not None


def snapshot(connection: sqlite3.Connection, topic: Topic) -> Snapshot | None:
    seq = lists.seq(connection)
    if topic.kind is TopicKind.TASKS:
        return Snapshot(seq, list(lists.snapshot(connection)))
    if not has(connection, topic):
        return None
    if topic.kind is TopicKind.TASK:
        (detail,) = connection.execute(SQL["tasks.detail"], (topic.id,)).fetchone()
        history = listed(connection.execute(SQL["history.last_of_task"], (topic.id, LAST_HISTORY)))
        return Snapshot(
            seq, [whole(detail, _TASK, sessions=lists.raw_sessions(connection, topic.id), history=history, seq=seq)]
        )
    if topic.kind is TopicKind.SESSION:
        body, offer = connection.execute(SQL["sessions.body"], (topic.id,)).fetchone()
        transcript = listed(connection.execute(SQL["transcript.of_session"], (topic.id,)))
        prompts = _prompts(connection, topic.id)
        return Snapshot(
            seq, [whole(body, _SESSION, **_offered(offer), prompts=prompts, transcript=transcript, seq=seq)]
        )
    lines = listed(connection.execute(SQL["stage_log.of_task"], (topic.id,)))
    return Snapshot(seq, [encode({"lines": lines, "seq": seq})])


def missed(connection: sqlite3.Connection, topic: Topic, seq: int) -> Missed | None:
    now = lists.seq(connection)
    if seq > now:
        return None
    read = _MISSED[topic.kind]
    return Missed(now, sorted(read(connection, topic.id, seq), key=lambda event: event.seq))


def _prompts(connection: sqlite3.Connection, session_id: str) -> tuple[Raw, ...]:
    """A session's prompts, oldest first."""
    (task_id,) = connection.execute(SQL["sessions.task"], (session_id,)).fetchone()
    return listed(connection.execute(SQL["prompts.of_session"], (task_id, session_id)))


def _offered(offer: bytes) -> dict[str, object]:
    """The fields of a session that are kept apart."""
    return structs.asdict(decode(offer, _OFFER))


def _missed_tasks(connection: sqlite3.Connection, _: str, seq: int) -> Iterator[TopicEvent]:
    for at, task_id, summary in connection.execute(SQL["tasks.summaries_after"], (seq,)).fetchall():
        yield TopicEvent(
            at, EventName.TASK, whole(summary, lists.SUMMARY, sessions=lists.raw_sessions(connection, task_id))
        )
    for at, task_id in connection.execute(SQL["pruned.after"], (seq,)):
        yield TopicEvent(at, EventName.TASK_REMOVED, encode(TaskRemoved(task_id=task_id)))
    for at, body in connection.execute(SQL["repos.after"], (seq,)):
        yield TopicEvent(at, EventName.REPO, body)


def _missed_task(connection: sqlite3.Connection, task_id: str, seq: int) -> Iterator[TopicEvent]:
    for at, detail in connection.execute(SQL["tasks.detail_after"], (task_id, seq)):
        yield TopicEvent(at, EventName.TASK, whole(detail, _TASK, sessions=lists.raw_sessions(connection, task_id)))
    for at, body in connection.execute(SQL["operations.after"], (task_id, seq)):
        yield TopicEvent(at, EventName.OPERATION, body)
    for at, body in connection.execute(SQL["history.after"], (task_id, seq)):
        yield TopicEvent(at, EventName.HISTORY, body)


def _missed_session(connection: sqlite3.Connection, session_id: str, seq: int) -> Iterator[TopicEvent]:
    for at, body, offer in connection.execute(SQL["sessions.body_after"], (session_id, seq)):
        data = whole(body, _SESSION, **_offered(offer), prompts=_prompts(connection, session_id))
        yield TopicEvent(at, EventName.SESSION, data)
    for at, body in connection.execute(SQL["transcript.after"], (session_id, seq)):
        yield TopicEvent(at, EventName.TRANSCRIPT, body)


def _missed_log(connection: sqlite3.Connection, task_id: str, seq: int) -> Iterator[TopicEvent]:
    for at, body in connection.execute(SQL["stage_log.after"], (task_id, seq)):
        yield TopicEvent(at, EventName.LOG, body)


_MISSED = {
    TopicKind.TASKS: _missed_tasks,
    TopicKind.TASK: _missed_task,
    TopicKind.SESSION: _missed_session,
    TopicKind.LOG: _missed_log,
}
