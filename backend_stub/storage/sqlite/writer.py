"""Writes changes, one thread at a time, which gathers what waits into one commit.

Whatever thread brings a change writes it, unless another is at it: waking one thread more costs what a commit may.
"""

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from backend_stub.domain.errors import StorageUnavailableError
from backend_stub.domain.events import Committed, Event
from backend_stub.domain.storage import Change
from backend_stub.storage.sqlite.condition import Condition
from backend_stub.storage.sqlite.tables import SQL, SqliteTables, run
from backend_stub.storage.sqlite.threads import Threads
from backend_stub.storage.table_storage import Job
from backend_stub.storage.writing import Transaction, apply_made
from foundry_tui.contract.records import HistoryEvent

GATHER = 256
"""Changes that one commit takes at most."""
MAKERS = 40
"""Threads that make changes at once; one that looks at a disk which does not answer is lost until it does."""


@dataclass
class _Outcome:
    """What became of a change, once `done`."""

    done: asyncio.Future[None]
    result: Any = None
    error: Exception | None = None


_Waiting = tuple[Job, _Outcome]


class Writer:
    """Commits jobs through the connection, of which it has sole use. Make it inside an event loop.

    `committed` is called in the thread that writes, with the last seq, before anybody is told of a commit. `tell` is
    called with each commit that has events on the event loop, in the order of the commits.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        condition: Condition,
        seq: int,
        committed: Callable[[int], None],
        tell: Callable[[Committed], None],
    ) -> None:
        self.seq = seq
        self._connection = connection
        self._condition = condition
        self._committed = committed
        self._tell_others = tell
        self._waiting: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._baton = threading.Lock()
        self._closed = False
        self._writer = Threads("foundry-writer", 1)
        self._makers = Threads("foundry-maker", MAKERS)
        self._loop = asyncio.get_running_loop()
        # So that there is a thread for it, whatever comes.
        self._writer.submit(self._write)

    async def submit(self, job: Job) -> Any:
        """Do the job in a transaction, commit it, and give back what it returned; what it raises is raised.

        Raises `StorageUnavailableError` when it cannot be committed.
        """
        outcome = _Outcome(self._loop.create_future())
        self._enter(job, outcome)
        self._writer.submit(self._write)
        return await _result(outcome)

    async def make_and_submit(self, make: Callable[[], Change]) -> tuple[Change, Sequence[HistoryEvent]]:
        """Make a change in a thread, which goes on to write it; see `Storage.make_and_commit`."""
        outcome = _Outcome(self._loop.create_future())
        self._check_open()
        # The last thing that the loop does before it waits: a thread that wakes earlier finds the loop still at work.
        self._loop.call_soon(self._hand_over, make, outcome)
        result: tuple[Change, Sequence[HistoryEvent]] = await _result(outcome)
        return result

    def refuse(self) -> bool:
        """Take no more jobs; False when that was so already."""
        with self._gate:
            was_closed, self._closed = self._closed, True
        return not was_closed

    def finish(self) -> bool:
        """Commit what still waits, now that nothing more comes, and close the connection; blocks.

        False when the log is no longer whole: then the connection stays open, since SQLite would move the log into the
        database as it closes.
        """
        self._writer.close()
        self._makers.close()
        with self._condition.writing:
            while not self._waiting.empty():
                self._write_some()
            if self._condition.files.changed() is not None:
                return False
            self._connection.close()
            return True

    def _enter(self, job: Job, outcome: _Outcome) -> None:
        """Put the job among those that the next commit takes; from any thread."""
        with self._gate:
            self._check_open()
            self._waiting.put((job, outcome))

    def _check_open(self) -> None:
        if self._closed:
            raise StorageUnavailableError("the backend is shutting down")

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
            self._enter(partial(apply_made, change), outcome)
        except Exception as refusal:  # noqa: BLE001  # it is the caller's to handle
            outcome.error = refusal
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_settle, outcome)
        else:
            self._write()

    def _write(self) -> None:
        """Commit all that waits, unless another thread is at it: then that one does.

        After it has let go of the baton a thread looks again whether something waits: a change that came just before
        that, while the baton was held, would else wait until the next change.
        """
        while not self._waiting.empty() and self._baton.acquire(blocking=False):
            try:
                with self._condition.writing:
                    self._write_some()
            finally:
                self._baton.release()

    def _write_some(self) -> None:
        """One commit of what waits; outlives every one that fails. For the thread that holds `writing`."""
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

    def _commit(self, batch: Sequence[_Waiting]) -> Sequence[Event]:
        condition, execute = self._condition, self._connection.execute
        transaction = Transaction(SqliteTables(self._connection), self.seq)
        # What is alone in its commit needs no savepoint, for which SQLite would copy each page that it changes.
        shared = len(batch) > 1
        if (fault := condition.why_commits_are_lost()) is not None:
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
                    outcome.result = run(job(transaction))
                except Exception as refusal:
                    # A change that can never be written must not take those down that share its commit.
                    if isinstance(refusal, sqlite3.Error) and not isinstance(refusal, sqlite3.IntegrityError):
                        raise
                    outcome.error = refusal
                at_work = False
                if outcome.error is not None:
                    execute("ROLLBACK TO change" if shared else "ROLLBACK")
                    transaction.back_to(mark)
                if shared:
                    execute("RELEASE change")
            if self._connection.in_transaction:
                if transaction.events:
                    execute(SQL["meta.set_seq"], (str(transaction.seq),))
                execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    execute("ROLLBACK")
            if shared and at_work:
                # Only one of them met what cannot be read or written: the others must not be refused with it.
                return [event for each in batch for event in self._commit([_afresh(each)])]
            condition.refusal = condition.why_not(error, "written")
            return _refuse(batch, condition.refusal)
        condition.refusal = None
        self.seq = transaction.seq
        condition.lost = condition.files.moved() or condition.files.log_changed()
        if condition.lost is not None:
            self._rescue()
            return _refuse(batch, f"{condition.lost}; what was asked for last may have been kept or not")
        condition.files.note()
        self._committed(self.seq)
        return transaction.events

    def _rescue(self) -> None:
        """Move a log that is gone from its place into the database, as long as it is open here."""
        files = self._condition.files
        if files.changed() is None:
            with suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            files.note()

    def _tell(self, batch: Sequence[_Waiting], events: Sequence[Event], seconds: float) -> None:
        # Those who wait go on only after this, but before anything that is put off from here.
        for _, outcome in batch:
            _settle(outcome)
        if events:
            self._tell_others(Committed(events, seconds))


async def _result(outcome: _Outcome) -> Any:
    await outcome.done
    if outcome.error is not None:
        raise outcome.error
    return outcome.result


def _settle(outcome: _Outcome) -> None:
    """In the event loop: let the caller that waits for the outcome go on, unless it was cancelled."""
    if not outcome.done.done():
        outcome.done.set_result(None)


def _refuse(batch: Sequence[_Waiting], why: str) -> Sequence[Event]:
    for _, outcome in batch:
        outcome.result = None
        outcome.error = StorageUnavailableError(why)
    return []


def _afresh(waiting: _Waiting) -> _Waiting:
    """The same job, its result and error taken away, to be done once more."""
    waiting[1].result = waiting[1].error = None
    return waiting
