"""A quick way to commit a single change: as one statement, which fails if another host has committed in between.

The usual way asks PostgreSQL twice. This one is taken where what has to be read first is known without asking, and
where no other host had committed when that was last looked at. If the statement fails, nothing was done, and the usual
way is taken.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from msgspec import Raw, Struct
from psycopg import AsyncConnection

from backend_stub.domain.events import Committed
from backend_stub.storage.postgres.event_rows import MayShorten, body_of, rows_of
from backend_stub.storage.postgres.log import Log, Own
from backend_stub.storage.postgres.tables import SQL, OneStatement
from backend_stub.storage.table_storage import Job
from backend_stub.storage.tables import Query, Row
from backend_stub.storage.writing import Transaction
from foundry_tui.contract.codec import decode
from foundry_tui.contract.events import EventName


class _Repo(Struct, frozen=True):
    repo_id: str


@dataclass(frozen=True)
class Prepared:
    """A job as one statement, with its result and its events, which hold once the statement is committed."""

    statement: OneStatement
    own: Own
    result: Any
    may_shorten: bool

    async def was_committed(self, connection: AsyncConnection) -> bool:
        """For a caller that keeps all others from committing meanwhile. Raises `psycopg.Error`."""
        return await is_kept(self.own, connection, may_shorten=self.may_shorten)


async def is_kept(own: Own, connection: AsyncConnection, *, may_shorten: bool) -> bool:
    """Whether the log has what this commit would have written last. Raises `psycopg.Error`."""
    last = own.events[-1]
    body = body_of(last, may_shorten=may_shorten)
    cursor = await connection.execute(SQL["events.has"], (last.seq, last.task_id, body), binary=True)
    return await cursor.fetchone() is not None


class OneStatementCommits:
    """Makes statements of jobs. It remembers the rows of repositories, all that a new task has to read first."""

    def __init__(self, log: Log, life: str, may_shorten: MayShorten) -> None:
        self.alone = True
        """Whether at the last look no other host had committed in between."""
        self._log = log
        self._life = life
        self._may_shorten = may_shorten
        self._repos: dict[str, bytes] = {}

    def follow(self, committed: Committed) -> None:
        """Take over what a commit changed in repositories; called with every commit, in order."""
        if committed.gap:
            self._repos.clear()
        for event in committed.events:
            if event.name is EventName.REPO and isinstance(event.record, Raw):
                body = bytes(event.record)
                self._repos[decode(body, _Repo).repo_id] = body

    async def prepare(self, job: Job, first: Query | None, lease: tuple[str, int] | None) -> Prepared | None:
        """The job as one statement, which fails unless the log's seq is the last; None where it cannot be one."""
        if not (self.alone and self._log.has_told_all) or (first is not None and self._known(first) is None):
            return None
        started, seq, may_shorten = time.perf_counter(), self._log.seq, self._may_shorten()
        statement = OneStatement(self._known)
        transaction = Transaction(statement, seq)
        # Whatever is wrong with the change shows again on the usual way, which tells who asked for it.
        with suppress(Exception):
            result = await job(transaction)
            if not transaction.events:
                return None
            statement.add("events.add", rows_of(transaction.events, may_shorten=may_shorten))
            if lease is not None:
                statement.add("hosts.is_latest", lease, must_change=True, first=True)
            # Hosts wait for each other at the counter, before there is anything else to wait for.
            statement.add("meta.tell_next", (transaction.seq, self._life, seq), must_change=True, first=True)
            return Prepared(statement, Own(transaction.events, started), result, may_shorten)
        return None

    def _known(self, query: Query) -> Sequence[Row] | None:
        body = self._repos.get(str(query.values[0])) if query.name == "repos.one" else None
        return None if body is None else [(body,)]
