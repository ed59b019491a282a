"""Storage in one SQLite file: one writer at a time that gathers what waits into one commit, readers beside it.

Whatever thread brings a change writes it, unless another is at it: waking one thread more costs what a commit may.
"""

import asyncio
import logging
import queue
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import msgspec

from backend_stub.domain.clock import wall_clock
from backend_stub.domain.errors import DatabaseUnusableError, StorageUnavailableError
from backend_stub.domain.storage import Change, Event, Fault, ItemKey, LeftoverRow, Missed, TaskState
from backend_stub.storage import reading, writing
from backend_stub.storage.files import DatabaseFiles
from backend_stub.storage.opening import check_writable, connect, is_damage, migrate, why_not
from backend_stub.storage.pulse import Pulse
from backend_stub.storage.threads import Threads
from foundry_tui.contract.events import Topic
from foundry_tui.contract.records import HistoryEvent, LogLine, Repo, TaskDetail
from foundry_tui.contract.status import TaskStatus

T = TypeVar("T")

logger = logging.getLogger(__name__)

FILE_NAME = "foundry.db"
GATHER = 256
"""Changes that one commit takes at most."""
READERS = 4
"""Threads that read at once."""
MAKERS = 40
"""Threads that make changes at once; one that looks at a disk which does not answer is lost until it does."""

PROBE_SECONDS = 1.0
"""What finding out takes at most, whether changes are refused still."""
_LEFT_OPEN: list[object] = []
"""Connections that must not be closed: that would move a log which is no longer whole into the database."""

Job = Callable[[writing.Transaction], Any]


@dataclass
class _Outcome:
    """What became of a change, once `done`."""

    done: asyncio.Future[None]
    result: Any = None
    error: Exception | None = None


_Waiting = tuple[Job, _Outcome]


def _settle(outcome: _Outcome) -> None:
    """In the event loop: let whoever waits go on, unless it was cancelled."""
    if not outcome.done.done():
        outcome.done.set_result(None)


class SqliteStorage:
    """See `backend_stub.domain.storage.Storage`. Open with `open_storage`, inside an event loop."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, database: str, seq: int, pulse: Pulse, now: Callable[[], int]
    ) -> None:
        """Raises `OSError` when the files of the connection cannot be looked at, and `sqlite3.Error`."""
        self.database = database
        self.on_commit: Callable[[Sequence[Event], float], None] | None = None
        last = pulse.last()
        self.last_alive = None if last is None else last.at
        self._pulse = pulse
        self._clock = now
        self._path = path
        self._connection = connection
        self._files = DatabaseFiles(path)
        self._lost: str | None = None
        self._damage: str | None = None
        self._refusal: str | None = None
        self._is_cut = False
        self._seq = seq
        self._waiting: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._writing = threading.Lock()
        self._writer = Threads("foundry-writer", 1)
        self._makers = Threads("foundry-maker", MAKERS)
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._limiter = anyio.CapacityLimiter(READERS)
        # Now, so that neither a lack of descriptors nor a file that is gone from its place ends the reading.
        for _ in range(READERS):
            self._readers.put(self._open_reader())
        self._closed = False
        self._loop = asyncio.get_running_loop()
        # So that there is a thread for it, whatever comes.
        self._writer.submit(self._write)

    async def commit(self, change: Change) -> Sequence[HistoryEvent]:
        result: Sequence[HistoryEvent] = await self._submit(partial(writing.apply, change))
        return result

    async def commit_made(self, make: Callable[[], Change]) -> tuple[Change, Sequence[HistoryEvent]]:
        outcome = _Outcome(self._loop.create_future())
        self._check_open()
        # The last thing that the loop does before it waits: a thread that wakes earlier finds the loop still at work.
        self._loop.call_soon(self._hand_over, make, outcome)
        result: tuple[Change, Sequence[HistoryEvent]] = await self._result(outcome)
        return result

    async def prune(self, task_id: str) -> None:
        await self._submit(partial(writing.prune, task_id))

    async def put_repo(self, repo: Repo) -> tuple[Repo, bool]:
        result: tuple[Repo, bool] = await self._submit(partial(writing.put_repo, repo))
        return result

    async def drop_leftover(self, task_id: str) -> None:
        await self._submit(partial(writing.drop_leftover, task_id))

    def request_of(self, task_id: str) -> bytes | None:
        return self._now(reading.request_of, task_id)

    def branch_holder(self, repo_id: str, branch: str) -> str | None:
        return self._now(reading.branch_holder, repo_id, branch)

    def known_repo(self, repo_id: str) -> Repo | None:
        return self._now(reading.repo, repo_id)

    async def load(self, task_id: str) -> TaskState | None:
        return await self._read(reading.load, task_id)

    async def item_keys(self, session_id: str) -> dict[str, ItemKey]:
        return await self._read(reading.item_keys, session_id)

    async def task_of_session(self, session_id: str) -> str | None:
        return await self._read(reading.task_of_session, session_id)

    async def task_of_permission(self, permission_id: str) -> str | None:
        return await self._read(reading.task_of_permission, permission_id)

    async def repo(self, repo_id: str) -> Repo | None:
        return await self._read(reading.repo, repo_id)

    async def repos(self) -> Sequence[Repo]:
        return await self._read(reading.repos)

    async def held_branches(self, repo_id: str, names: Sequence[str]) -> dict[str, str]:
        return await self._read(reading.held_branches, repo_id, names)

    async def having(self, statuses: frozenset[TaskStatus]) -> Sequence[str]:
        return await self._read(reading.having, statuses)

    async def in_turn(self, status: TaskStatus) -> Sequence[str]:
        return await self._read(reading.in_turn, status)

    async def leftovers(self) -> Sequence[LeftoverRow]:
        return await self._read(reading.leftovers)

    async def history(self, task_id: str | None, after: int, limit: int) -> Sequence[HistoryEvent]:
        return await self._read(reading.history, task_id, after, limit)

    async def task(self, task_id: str) -> TaskDetail | None:
        return await self._read(reading.task, task_id)

    async def lines(self, task_id: str, stage: str | None, after: int, limit: int) -> Sequence[LogLine]:
        return await self._read(reading.lines, task_id, stage, after, limit)

    async def snapshot(self, topic: Topic) -> tuple[int, bytes] | None:
        return await self._read(reading.snapshot, topic)

    async def tasks_snapshot(self) -> tuple[int, Sequence[bytes]]:
        return await self._read(reading.tasks_snapshot)

    async def missed(self, topic: Topic, seq: int) -> Missed | None:
        return await self._read(reading.missed, topic, seq)

    async def has(self, topic: Topic) -> bool:
        return await self._read(reading.has, topic)

    async def fault(self) -> Fault | None:
        if self._refusal is not None:
            with suppress(StorageUnavailableError), anyio.move_on_after(PROBE_SECONDS):
                await self._submit(writing.touch)
        return await anyio.to_thread.run_sync(self._fault)

    def beat(self) -> None:
        self._pulse.beat(self.database, self._seq, self._clock())

    async def close(self) -> None:
        """Commit what waits and close the file; later changes raise `StorageUnavailableError`."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._finish)
        self.beat()
        self._pulse.close()
        with suppress(queue.Empty):
            while not self._is_cut:
                self._readers.get_nowait().close()
        if not self._is_cut:
            self._files.close()

    async def _submit(self, job: Job) -> Any:
        outcome = _Outcome(self._loop.create_future())
        self._enter(job, outcome)
        self._writer.submit(self._write)
        return await self._result(outcome)

    def _enter(self, job: Job, outcome: _Outcome) -> None:
        """Have the job wait for whoever writes next; from any thread."""
        with self._gate:
            self._check_open()
            self._waiting.put((job, outcome))

    def _check_open(self) -> None:
        if self._closed:
            raise StorageUnavailableError("the backend is shutting down")

    async def _result(self, outcome: _Outcome) -> Any:
        await outcome.done
        if outcome.error is not None:
            raise outcome.error
        return outcome.result

    def _hand_over(self, make: Callable[[], Change], outcome: _Outcome) -> None:
        try:
            self._makers.submit(partial(self._make, make, outcome))
        except RuntimeError as error:
            outcome.error = StorageUnavailableError(f"the system gives this process no thread more: {error}")
            _settle(outcome)

    def _make(self, make: Callable[[], Change], outcome: _Outcome) -> None:
        """In a thread: make a change and write it; the event loop hears of it once that is done."""
        try:
            change = make()
            self._enter(lambda transaction: (change, writing.apply(change, transaction)), outcome)
        except Exception as refusal:  # noqa: BLE001  # it is the caller's to handle
            outcome.error = refusal
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_settle, outcome)
        else:
            self._write()

    async def _read(self, read: Callable[..., T], *args: object) -> T:
        return await anyio.to_thread.run_sync(partial(self._now, read, *args), limiter=self._limiter)

    def _now(self, read: Callable[..., T], *args: object) -> T:
        if (fault := self._changed()) is not None:
            raise StorageUnavailableError(fault)
        try:
            connection = self._reader()
            try:
                connection.execute("BEGIN")
                try:
                    return read(connection, *args)
                finally:
                    connection.execute("ROLLBACK")
            finally:
                self._readers.put(connection)
        except (sqlite3.Error, msgspec.DecodeError) as error:
            raise StorageUnavailableError(self._why_not(error, "read")) from error

    def _why_not(self, error: sqlite3.Error | msgspec.DecodeError, doing: str) -> str:
        """What is wrong and what to do; damage is kept in mind, since only what meets it finds it."""
        if isinstance(error, msgspec.DecodeError):
            why = f"the database {self._path} is damaged, a row cannot be read ({error}): restore a copy"
        else:
            why = why_not(self._path, error, doing)
        if isinstance(error, msgspec.DecodeError) or is_damage(error):
            self._damage = why
        return why

    def _fault(self) -> Fault | None:
        gone = self._lost or self._files.moved() or self._changed() or self._refusal
        if gone is not None:
            return Fault("unavailable", gone)
        return None if self._damage is None else Fault("damaged", self._damage)

    def _changed(self) -> str | None:
        if self._files.changed() is None:
            return None
        # It may be this process that moves the log into the database just now.
        with self._writing:
            return self._files.changed()

    def _cannot_keep(self) -> str | None:
        """Why nothing that is committed now would be there later."""
        return self._lost or self._files.moved() or self._files.changed()

    def _reader(self) -> sqlite3.Connection:
        """A connection that nobody reads from now: there are as many as ever read at once, whatever thread comes."""
        with suppress(queue.Empty):
            return self._readers.get_nowait()
        return self._open_reader()

    def _open_reader(self) -> sqlite3.Connection:
        if (fault := self._files.moved()) is not None:
            raise StorageUnavailableError(fault)
        connection = connect(self._path)
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _write(self) -> None:
        """Commit all that waits, unless another thread is at it: then that one does."""
        while not self._waiting.empty() and self._writing.acquire(blocking=False):
            try:
                self._write_some()
            finally:
                self._writing.release()

    def _write_some(self) -> None:
        """One commit of what waits; outlives every one that fails. For the thread that holds `_writing`."""
        batch: list[_Waiting] = []
        with suppress(queue.Empty):
            while len(batch) < GATHER:
                batch.append(self._waiting.get_nowait())
        if not batch:
            return
        start = time.perf_counter()
        events = self._commit(batch)
        seconds = time.perf_counter() - start
        # The loop may be gone when the process is being torn down; what was committed stays committed.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._tell, batch, events, seconds)

    def _finish(self) -> None:
        """Commit what still waits, now that nothing more comes, and close the file."""
        self._writer.close()
        self._makers.close()
        with self._writing:
            while not self._waiting.empty():
                self._write_some()
            self._is_cut = self._files.changed() is not None
            if self._is_cut:
                _LEFT_OPEN.append(self)
            else:
                self._connection.close()

    def _commit(self, batch: Sequence[_Waiting]) -> Sequence[Event]:
        execute, transaction = self._connection.execute, writing.Transaction(self._connection, self._seq)
        # What is alone in its commit needs no savepoint, for which SQLite would copy each page that it changes.
        shared = len(batch) > 1
        if (fault := self._cannot_keep()) is not None:
            self._rescue()
            return _refuse(batch, fault)
        at_work = False
        try:
            execute("BEGIN IMMEDIATE")
            for job, outcome in batch:
                mark = transaction.mark()
                if shared:
                    execute("SAVEPOINT change")
                at_work = True
                try:
                    outcome.result = job(transaction)
                except sqlite3.IntegrityError as defect:
                    # A change that can never be written must not take those down that share its commit.
                    outcome.error = defect
                except sqlite3.Error:
                    raise
                except Exception as refusal:  # noqa: BLE001  # it is the caller's to handle
                    outcome.error = refusal
                at_work = False
                if outcome.error is not None:
                    execute("ROLLBACK TO change" if shared else "ROLLBACK")
                    transaction.back_to(mark)
                if shared:
                    execute("RELEASE change")
            if self._connection.in_transaction:
                transaction.finish()
                execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    execute("ROLLBACK")
            if shared and at_work:
                # Only one of them met what cannot be read or written: the others must not be refused with it.
                return [event for each in batch for event in self._commit([_afresh(each)])]
            self._refusal = self._why_not(error, "written")
            return _refuse(batch, self._refusal)
        self._refusal = None
        self._seq = transaction.seq
        self._lost = self._files.moved() or self._files.log_changed()
        if self._lost is not None:
            self._rescue()
            return _refuse(batch, f"{self._lost}; what was asked for last may have been kept or not")
        self._files.note()
        # Before anybody is told, so that nobody ever saw more than the pulse knows of.
        self.beat()
        return transaction.events

    def _rescue(self) -> None:
        """Move a log that is gone from its place into the database, as long as it is open here."""
        if self._files.changed() is None:
            with suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._files.note()

    def _tell(self, batch: Sequence[_Waiting], events: Sequence[Event], seconds: float) -> None:
        # Those who wait go on only after this, but before anything that is put off from here.
        for _, outcome in batch:
            _settle(outcome)
        try:
            if events and self.on_commit is not None:
                self.on_commit(events, seconds)
        except Exception:
            logger.exception("what was committed could not be told")


def _refuse(batch: Sequence[_Waiting], why: str) -> Sequence[Event]:
    for _, outcome in batch:
        outcome.result = None
        outcome.error = StorageUnavailableError(why)
    return []


def _afresh(waiting: _Waiting) -> _Waiting:
    """The same once more, whatever became of it before."""
    waiting[1].result = waiting[1].error = None
    return waiting


def open_storage(folder: Path, now: Callable[[], int] = wall_clock) -> SqliteStorage:
    """The storage in `folder`, made or migrated if need be; call it inside an event loop.

    `now` is the time of day in milliseconds. Raises `DatabaseUnusableError` with a sentence that names the path when
    the file cannot be used.
    """
    path = folder / FILE_NAME
    try:
        pulse = Pulse(folder)
        if pulse.last() is not None and path.exists() and not path.stat().st_size:
            raise DatabaseUnusableError(
                f"the database {path} is damaged (it is empty): restore a copy, or remove the file to start empty"
            )
        connection = connect(path, make=True)
        migrate(path, connection)
        check_writable(connection)
        meta: dict[str, str] = dict(connection.execute("SELECT key, value FROM meta").fetchall())
        database, seq = meta["database"], int(meta["seq"])
        if not _is_continued(pulse, database, seq):
            database = _begin_life(connection)
        return SqliteStorage(path, connection, database, seq, pulse, now)
    except OSError as error:
        raise DatabaseUnusableError(
            f"the data folder {folder} cannot be written ({error.strerror}): check its owner and permissions"
        ) from error
    except sqlite3.DatabaseError as error:
        raise DatabaseUnusableError(why_not(path, error)) from error
    except (KeyError, ValueError) as error:
        raise DatabaseUnusableError(
            f"the database {path} is damaged (its meta table lacks {error}): restore a copy, or move the file away"
        ) from error


def _is_continued(pulse: Pulse, database: str, seq: int) -> bool:
    """Whether the database is the one that was last worked on, and not a copy that knows less."""
    last = pulse.last()
    return last is not None and last.database == database and last.seq <= seq and pulse.is_untouched(last)


def _begin_life(connection: sqlite3.Connection) -> str:
    """Name the database anew: what clients know of its earlier life is no longer true of it."""
    name = secrets.token_hex(6)
    connection.execute("UPDATE meta SET value = ? WHERE key = 'database'", (name,))
    return name
