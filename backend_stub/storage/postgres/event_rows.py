"""The rows of the log of events: made of events by the process that commits, and read back into events by the others.

A task's record holds all its sessions, a session's all its prompts, and each event has the whole record. With very many
of them each change would write all of them into the log again. So a record with more than `MOST` is written in a short
form, without them, and who reads the log fetches them from their own tables. A host of an earlier version would take a
short record for one without sessions; as long as there is such a host, all records are written whole.
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
"""Of a record with more sessions or prompts than this, the short form is written."""
READS = 2
"""The form of the log that this version reads; the first form knew whole records only."""
MayShorten = Callable[[], bool]
"""Whether records may be written in the short form: every host knows how to read it."""

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


def rows_of(events: Sequence[Event], *, may_shorten: bool) -> tuple[bytes, str]:
    """What `events.add` is given: all records' JSON in one piece, and JSON that says of each event what it is about and
    where in that piece its record begins, counted from 1, and how long it is.
    """
    bodies = [body_of(event, may_shorten=may_shorten) for event in events]
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


def body_of(event: Event, *, may_shorten: bool) -> bytes:
    """JSON of its record, in the short form where that may be and the record has very many parts."""
    record, parts = event.record, _PARTS.get(event.name) if may_shorten else None
    if parts is None or isinstance(record, Raw) or len(getattr(record, parts.field)) <= MOST:
        return encode(record)
    return encode({name: getattr(record, name) for name in record.__struct_fields__ if name != parts.field})


async def completed(rows: Sequence[Row], connection: AsyncConnection) -> Sequence[Row]:
    """The same rows, each with its whole record: what the short form leaves out is read from its own table.

    That is as it stands by now, so perhaps newer than the event. It is read once for all rows. Raises `psycopg.Error`.
    """
    read: dict[tuple[str, str], Sequence[Raw]] = {}
    complete = []
    for seq, name, *ids, body in rows:
        parts = _PARTS.get(name)
        if parts is not None and _is_short(body, parts):
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


def _is_short(body: bytes, parts: _Parts) -> bool:
    try:
        return getattr(decode(body, parts.unread), parts.field) is msgspec.UNSET
    except msgspec.DecodeError:
        # It is no event of this version, and told to nobody.
        return False
