"""Threads that jobs are handed to: each job once, one that hangs or fails harms nobody, never more than the limit."""

import threading
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from backend_stub.domain.errors import StorageUnavailableError
from backend_stub.storage.sqlite import open_storage
from backend_stub.storage.sqlite.threads import Threads
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.records import Repo
from foundry_tui.contract.status import TaskStatus
from tests.backend.rows import first_change

PATIENCE = 30


def test_every_job_runs_once_and_no_more_at_a_time_than_there_may_be_threads() -> None:
    threads, lock, done = Threads("test", 3), threading.Lock(), threading.Semaphore(0)
    running, most = 0, 0
    ran: list[int] = []

    def job(number: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(PATIENCE)
        with lock:
            running -= 1
            ran.append(number)
        done.release()

    together = threading.Barrier(3)
    for number in range(30):
        threads.submit(partial(job, number))
    for _ in range(30):
        assert done.acquire(timeout=PATIENCE)
    assert sorted(ran) == list(range(30))
    assert most == 3
    threads.close()


def test_a_job_that_hangs_keeps_one_thread_and_one_that_fails_keeps_none() -> None:
    threads, freed, done = Threads("test", 2), threading.Event(), threading.Semaphore(0)
    threads.submit(partial(_wait_for, freed))
    for _ in range(20):
        threads.submit(_fail)
        threads.submit(done.release)
    for _ in range(20):
        assert done.acquire(timeout=PATIENCE)
    freed.set()
    threads.close()


def test_a_thread_that_is_free_takes_the_next_job_so_that_one_thread_does_what_one_can() -> None:
    threads, names, done = Threads("test", 8), set(), threading.Semaphore(0)

    def job() -> None:
        names.add(threading.current_thread().name)
        done.release()

    before = threading.active_count()
    for _ in range(50):
        threads.submit(job)
        assert done.acquire(timeout=PATIENCE)
    # a thread that has just said it is done may not be free yet
    assert len(names) <= 3
    threads.close()
    for thread in threading.enumerate():
        if thread.name.startswith("test-"):
            thread.join(PATIENCE)
    assert threading.active_count() <= before


def test_what_comes_after_closing_is_done_too_so_that_nobody_waits_for_it_in_vain() -> None:
    threads, done = Threads("test", 1), threading.Semaphore(0)
    threads.submit(done.release)
    assert done.acquire(timeout=PATIENCE)
    threads.close()
    for _ in range(3):
        threads.submit(done.release)
        assert done.acquire(timeout=PATIENCE)


def test_after_closing_the_jobs_that_wait_are_still_done() -> None:
    threads, freed, done = Threads("test", 1), threading.Event(), threading.Event()
    threads.submit(partial(_wait_for, freed))
    threads.submit(done.set)
    threads.close()
    freed.set()
    assert done.wait(PATIENCE)


def test_a_thread_that_could_not_be_started_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, done = Threads("test", 1), threading.Semaphore(0)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            threads.submit(done.release)
    threads.submit(done.release)
    assert done.acquire(timeout=PATIENCE)
    assert not done.acquire(blocking=False), "what was refused is not done later"
    threads.close()


def _wait_for(event: threading.Event) -> None:
    event.wait(PATIENCE)


def _fail() -> None:
    raise RuntimeError("this job cannot be done")


@pytest.mark.anyio
async def test_a_change_for_which_there_is_no_thread_is_refused_and_not_lost_sight_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(tmp_path)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched, anyio.fail_after(PATIENCE):
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(StorageUnavailableError, match="thread"):
            await storage.make_and_commit(lambda reader: first_change(uuid7()))
        await storage.put_repo(Repo(repo_id="repo-1", label="shop", path="/1"))
    await storage.make_and_commit(lambda reader: first_change(uuid7()))
    assert len(await storage.having(frozenset(TaskStatus))) == 1
    await storage.close()


@pytest.mark.anyio
async def test_a_change_that_comes_while_somebody_looks_at_the_files_does_not_wait_for_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(tmp_path)
    condition = storage._condition
    looking, go = threading.Event(), threading.Event()

    def look_slowly() -> str | None:
        looking.set()
        go.wait(PATIENCE)
        return None

    real, answers = condition.files.changed, iter([lambda: "the log grows", look_slowly])
    monkeypatch.setattr(condition.files, "changed", lambda: next(answers, real)())
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, condition.why_reads_are_doubtful)
            await anyio.to_thread.run_sync(looking.wait, PATIENCE)
            group.start_soon(storage.put_repo, Repo(repo_id="repo-1", label="shop", path="/1"))
            # Once the thread that writes has done this, it was at the change before and let it lie.
            idle = threading.Event()
            await anyio.lowlevel.checkpoint()
            storage._writer._writer.submit(idle.set)
            await anyio.to_thread.run_sync(idle.wait, 0.1)
            go.set()
    assert await storage.repo("repo-1") is not None
    await storage.close()
