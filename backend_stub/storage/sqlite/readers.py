"""Connections that read beside the one that writes."""

import queue
import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import anyio
import anyio.to_thread
import msgspec

from backend_stub.domain.errors import StorageUnavailableError
from backend_stub.storage import reading
from backend_stub.storage.sqlite.condition import Condition
from backend_stub.storage.sqlite.opening import connect
from backend_stub.storage.sqlite.tables import SqliteTables, run
from backend_stub.storage.tables import Tables
from foundry_tui.contract.records import Repo

AT_ONCE = 4
"""Threads that read for the event loop at once."""

P = ParamSpec("P")
T = TypeVar("T")


class Readers:
    """As many connections as ever read at once. Raises `sqlite3.Error` when they cannot be opened.

    It is also the `Reader` of whoever makes a change, who asks in a thread of its own.
    """

    def __init__(self, path: Path, condition: Condition) -> None:
        self._path = path
        self._condition = condition
        self._limiter = anyio.CapacityLimiter(AT_ONCE)
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        # Now, so that neither a lack of descriptors nor a file that is gone from its place ends the reading.
        for _ in range(AT_ONCE):
            self._idle.put(self._open())

    async def read(
        self, read: Callable[Concatenate[Tables, P], Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `read` in a thread, in one transaction; raises `StorageUnavailableError`."""
        return await anyio.to_thread.run_sync(partial(self.read_now, read, *args, **kwargs), limiter=self._limiter)

    def read_now(
        self, read: Callable[Concatenate[Tables, P], Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The same in this thread."""
        if (fault := self._condition.why_reads_are_doubtful()) is not None:
            raise StorageUnavailableError(fault)
        try:
            connection = self._take()
            try:
                connection.execute("BEGIN")
                try:
                    return run(read(SqliteTables(connection), *args, **kwargs))
                finally:
                    connection.execute("ROLLBACK")
            finally:
                self._idle.put(connection)
        except (sqlite3.Error, msgspec.DecodeError) as error:
            raise StorageUnavailableError(self._condition.why_not(error, "read")) from error

    def request_of(self, task_id: str) -> bytes | None:
        return self.read_now(reading.request_of, task_id)

    def branch_holder(self, repo_id: str, branch: str) -> str | None:
        return self.read_now(reading.branch_holder, repo_id, branch)

    def repo(self, repo_id: str) -> Repo | None:
        return self.read_now(reading.repo, repo_id)

    def close(self) -> None:
        """Close those that nobody reads from."""
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    def _take(self) -> sqlite3.Connection:
        """A connection that nobody reads from now."""
        with suppress(queue.Empty):
            return self._idle.get_nowait()
        return self._open()

    def _open(self) -> sqlite3.Connection:
        if (fault := self._condition.files.moved()) is not None:
            raise StorageUnavailableError(fault)
        connection = connect(self._path)
        connection.execute("PRAGMA query_only = ON")
        return connection
