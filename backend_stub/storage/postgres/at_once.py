"""Commits a change that is alone as one statement, in the hope that nobody else has committed since the last that is
known here.

Where somebody has, or what is to be read first is not known, nothing is done: whoever asks takes the longer way. That
is tried first from then on, until it turns out that nobody else commits any more.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from msgspec import Raw, Struct
from psycopg import AsyncConnection

from backend_stub.domain.events import Committed
from backend_stub.storage.postgres.log import Log, Own
from backend_stub.storage.postgres.tables import SQL, OneStatement
from backend_stub.storage.postgres.written import MayLack, body_of, written_of
from backend_stub.storage.table_storage import Job
from backend_stub.storage.tables import Read, Row
from backend_stub.storage.writing import Transaction
from foundry_tui.contract.codec import decode
from foundry_tui.contract.events import EventName


class _Repo(Struct, frozen=True):
    repo_id: str


@dataclass(frozen=True)
class Prepared:
    """A job as one statement, with what it gives and the events that it makes once that is committed."""

    statement: OneStatement
    own: Own
    result: Any
    may_lack: bool

    async def was_committed(self, connection: AsyncConnection) -> bool:
        """Found out by whoever keeps all others from committing. Raises `psycopg.Error`."""
        return await is_kept(self.own, connection, may_lack=self.may_lack)


async def is_kept(own: Own, connection: AsyncConnection, *, may_lack: bool) -> bool:
    """Whether the log has what this commit would have written last. Raises `psycopg.Error`."""
    last = own.events[-1]
    body = body_of(last, may_lack=may_lack)
    cursor = await connection.execute(SQL["events.has"], (last.seq, last.task_id, body), binary=True)
    return await cursor.fetchone() is not None


class AtOnce:
    """Knows what the rows of repositories have as of the log's seq: each new task changes that of its own."""

    def __init__(self, log: Log, life: str, may_lack: MayLack) -> None:
        self.alone = True
        """Whether nobody else had committed in between when that was looked at last."""
        self._log = log
        self._life = life
        self._may_lack = may_lack
        self._repos: dict[str, bytes] = {}

    def told(self, committed: Committed) -> None:
        """To be called with every commit, in order."""
        if committed.gap:
            self._repos.clear()
        for event in committed.events:
            if event.name is EventName.REPO and isinstance(event.record, Raw):
                body = bytes(event.record)
                self._repos[decode(body, _Repo).repo_id] = body

    async def prepare(self, job: Job, first: Read | None, lease: tuple[str, int] | None) -> Prepared | None:
        """The job as one statement, which fails unless the log's seq is the last; None where it cannot be one."""
        if not (self.alone and self._log.is_even) or (first is not None and self._known(first) is None):
            return None
        started, seq, may_lack = time.perf_counter(), self._log.seq, self._may_lack()
        statement = OneStatement(self._known)
        transaction = Transaction(statement, seq)
        # Whatever is wrong with a change is found again, where it can be told.
        with suppress(Exception):
            result = await job(transaction)
            if not transaction.events:
                return None
            statement.add("events.add", written_of(transaction.events, may_lack=may_lack))
            if lease is not None:
                statement.add("hosts.is_latest", lease, must_change=True, first=True)
            # Hosts wait for each other at the counter, before there is anything else to wait for.
            statement.add("meta.tell_next", (transaction.seq, self._life, seq), must_change=True, first=True)
            return Prepared(statement, Own(transaction.events, started), result, may_lack)
        return None

    def _known(self, read: Read) -> Sequence[Row] | None:
        body = self._repos.get(str(read.values[0])) if read.name == "repos.one" else None
        return None if body is None else [(body,)]
