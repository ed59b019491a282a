"""What a topic is as a whole and what was missed of it; each function runs inside one read transaction.

Every row has the seq of its last change, so what a client missed is whatever rows have a higher one than its own.
"""

from collections.abc import Iterable, Iterator

from msgspec import Raw, structs

from backend_stub.domain.events import Missed, Snapshot, TopicEvent
from backend_stub.domain.storage import SessionOffer
from backend_stub.storage import lists, reading
from backend_stub.storage.documents import listed, unread, whole
from backend_stub.storage.reading import LAST_HISTORY
from backend_stub.storage.tables import Row, Tables, fetch_known
from foundry_tui.contract.codec import decode, encode
from foundry_tui.contract.events import EventName, TaskRemoved, Topic, TopicKind
from foundry_tui.contract.requests import SessionSnapshot, TaskSnapshot

_TASK, _SESSION = unread(TaskSnapshot), unread(SessionSnapshot)
_OFFER = unread(SessionOffer)


async def has(tables: Tables, topic: Topic) -> bool:
    if topic.kind is TopicKind.TASKS:
        return True
    return bool(await tables.fetch("sessions.task" if topic.kind is TopicKind.SESSION else "tasks.one", topic.id))


async def snapshot(tables: Tables, topic: Topic) -> Snapshot | None:
    seq = await reading.seq(tables)
    if topic.kind is TopicKind.TASKS:
        return Snapshot(seq, await lists.snapshot(tables))
    if not await has(tables, topic):
        return None
    if topic.kind is TopicKind.TASK:
        (detail,) = await fetch_known(tables, "tasks.detail", topic.id)
        history = listed(await tables.fetch("history.last_of_task", topic.id, LAST_HISTORY))
        return Snapshot(
            seq, [whole(detail, _TASK, sessions=await _sessions(tables, topic.id), history=history, seq=seq)]
        )
    if topic.kind is TopicKind.SESSION:
        body, offer = await fetch_known(tables, "sessions.body", topic.id)
        transcript = listed(await tables.fetch("transcript.of_session", topic.id))
        prompts = await _prompts(tables, topic.id)
        return Snapshot(
            seq, [whole(body, _SESSION, **_offered(offer), prompts=prompts, transcript=transcript, seq=seq)]
        )
    lines = listed(await tables.fetch("stage_log.of_task", topic.id))
    return Snapshot(seq, [encode({"lines": lines, "seq": seq})])


async def missed(tables: Tables, topic: Topic, seq: int) -> Missed | None:
    now = await reading.seq(tables)
    if seq > now:
        return None
    read = _MISSED[topic.kind]
    return Missed(now, sorted(await read(tables, topic.id, seq), key=lambda event: event.seq))


async def _sessions(tables: Tables, task_id: str) -> tuple[Raw, ...]:
    """A task's sessions, in the order in which they were asked for."""
    return listed(await tables.fetch("sessions.of_task", task_id))


async def _prompts(tables: Tables, session_id: str) -> tuple[Raw, ...]:
    """A session's prompts, oldest first."""
    (task_id,) = await fetch_known(tables, "sessions.task", session_id)
    return listed(await tables.fetch("prompts.of_session", task_id, session_id))


def _offered(offer: bytes) -> dict[str, object]:
    """The fields of a session that are kept apart."""
    return structs.asdict(decode(offer, _OFFER))


async def _missed_tasks(tables: Tables, _: str, seq: int) -> list[TopicEvent]:
    changed = await tables.fetch("tasks.summaries_after", seq)
    sessions = await lists.sessions_by_task(tables, (task_id for _, task_id, _ in changed))
    pruned = await tables.fetch("pruned.after", seq)
    return [
        *(
            TopicEvent(at, EventName.TASK, lists.summary_with(summary, sessions.get(task_id, ())))
            for at, task_id, summary in changed
        ),
        *(TopicEvent(at, EventName.TASK_REMOVED, encode(TaskRemoved(task_id=task_id))) for at, task_id in pruned),
        *_as_kept(EventName.REPO, await tables.fetch("repos.after", seq)),
    ]


async def _missed_task(tables: Tables, task_id: str, seq: int) -> list[TopicEvent]:
    changed = await tables.fetch("tasks.detail_after", task_id, seq)
    sessions = await _sessions(tables, task_id) if changed else ()
    return [
        *(TopicEvent(at, EventName.TASK, whole(detail, _TASK, sessions=sessions)) for at, detail in changed),
        *_as_kept(EventName.OPERATION, await tables.fetch("operations.after", task_id, seq)),
        *_as_kept(EventName.HISTORY, await tables.fetch("history.after", task_id, seq)),
    ]


async def _missed_session(tables: Tables, session_id: str, seq: int) -> list[TopicEvent]:
    changed = await tables.fetch("sessions.body_after", session_id, seq)
    prompts = await _prompts(tables, session_id) if changed else ()
    return [
        *(
            TopicEvent(at, EventName.SESSION, whole(body, _SESSION, **_offered(offer), prompts=prompts))
            for at, body, offer in changed
        ),
        *_as_kept(EventName.TRANSCRIPT, await tables.fetch("transcript.after", session_id, seq)),
    ]


async def _missed_log(tables: Tables, task_id: str, seq: int) -> list[TopicEvent]:
    return list(_as_kept(EventName.LOG, await tables.fetch("stage_log.after", task_id, seq)))


def _as_kept(name: EventName, rows: Iterable[Row]) -> Iterator[TopicEvent]:
    """Events of records that are kept as they are told."""
    return (TopicEvent(at, name, body) for at, body in rows)


_MISSED = {
    TopicKind.TASKS: _missed_tasks,
    TopicKind.TASK: _missed_task,
    TopicKind.SESSION: _missed_session,
    TopicKind.LOG: _missed_log,
}
