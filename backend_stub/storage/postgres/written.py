"""How events stand in the log that processes follow: written there by one, read out of it by the others.

A task has its sessions in its record, a session its prompts, and both are told whole with each change. In the log they
would be there as often, a thousand for each that is new; so of very many it has none, and whoever follows takes them
from their own rows. Where a host does not know that, all are there: it would take them for none.
"""

import logging
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct
from psycopg import AsyncConnection

from backend_stub.domain.events import Event
from backend_stub.storage.documents import listed, unread, whole
from backend_stub.storage.postgres.tables import SQL
from backend_stub.storage.tables import Row
from foundry_tui.contract.codec import decode, encode
from foundry_tui.contract.events import EventName
from foundry_tui.contract.records import HistoryEvent, SessionState, TaskDetail

logger = logging.getLogger(__name__)

MOST = 16
"""Sessions of a task, or prompts of a session, that the log has with it."""
READS = 2
"""The form of events that this version reads: those of the first lack nothing."""
MayLack = Callable[[], bool]
"""Whether every host reads events that lack what there is very many of."""

_READ_AS: dict[EventName, type[TaskDetail] | type[HistoryEvent]] = {
    EventName.TASK: TaskDetail,
    EventName.HISTORY: HistoryEvent,
}
"""Of other events nothing is to be known but their JSON."""


class _Parts(NamedTuple):
    """What a record may have very many of: its field, the statement that reads them, the record with all unread."""

    field: str
    statement: str
    unread: type[Struct]


_PARTS = {
    EventName.TASK: _Parts("sessions", "sessions.of_task", unread(TaskDetail)),
    EventName.SESSION: _Parts("prompts", "prompts.of_session", unread(SessionState)),
}


def written_of(events: Sequence[Event], *, may_lack: bool) -> tuple[bytes, str]:
    """What is written of them: their records' JSON in one, and JSON of the rest, with where each begins, from 1."""
    bodies = [body_of(event, may_lack=may_lack) for event in events]
    starts = accumulate(map(len, bodies), initial=1)
    rows = [
        {
            "seq": event.seq,
            "name": event.name,
            "task_id": event.task_id,
            "session_id": event.session_id,
            "start": start,
            "length": len(body),
        }
        for event, body, start in zip(events, bodies, starts, strict=False)
    ]
    return b"".join(bodies), encode(rows).decode()


def body_of(event: Event, *, may_lack: bool) -> bytes:
    """JSON of its record, as it is written."""
    record, parts = event.record, _PARTS.get(event.name) if may_lack else None
    if parts is None or isinstance(record, Raw) or len(getattr(record, parts.field)) <= MOST:
        return encode(record)
    return encode({name: getattr(record, name) for name in record.__struct_fields__ if name != parts.field})


async def completed(rows: Sequence[Row], connection: AsyncConnection) -> Sequence[Row]:
    """Rows of the log, each with its whole record: what the log has not is as it is by now, so perhaps newer.

    It is read once for all rows. Raises `psycopg.Error`.
    """
    read: dict[tuple[str, str], Sequence[Raw]] = {}
    complete = []
    for seq, name, *ids, body in rows:
        parts = _PARTS.get(name)
        if parts is not None and _lacks(body, parts):
            key = (ids[0], ids[1])
            if key not in read:
                cursor = await connection.execute(SQL[parts.statement], [each for each in ids if each], binary=True)
                read[key] = listed(await cursor.fetchall())
            body = whole(body, parts.unread, **{parts.field: read[key]})
        complete.append((seq, name, *ids, body))
    return complete


def event_of(row: Row) -> Event | None:
    """The event of a row; None for one that only newer backends know."""
    seq, name, task_id, session_id, body = row
    try:
        known = EventName(name)
        read_as = _READ_AS.get(known)
        record = Raw(body) if read_as is None else decode(body, read_as)
    except (ValueError, msgspec.DecodeError) as error:
        logger.warning("an event of another backend cannot be read: %s", error)
        return None
    return Event(seq, known, task_id, session_id, record)


def _lacks(body: bytes, parts: _Parts) -> bool:
    try:
        return getattr(decode(body, parts.unread), parts.field) is msgspec.UNSET
    except msgspec.DecodeError:
        # It is no event of this version, and told to nobody.
        return False
