"""What is made behind: nobody waits who does not want to, one thing is made once at a time, and news are not missed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from backend_stub.domain.clock import Runtime
from backend_stub.domain.errors import ProviderError
from backend_stub.known_documents import KnownDocuments

pytestmark = pytest.mark.anyio


class Slow:
    """Makes documents that wait for `go`."""

    def __init__(self) -> None:
        self.go = anyio.Event()
        self.made = 0
        self.failure: ProviderError | None = None

    async def make(self, at: int) -> bytes:
        await self.go.wait()
        self.made += 1
        if self.failure is not None:
            raise self.failure
        return b"%d" % self.made


@asynccontextmanager
async def documents() -> AsyncIterator[tuple[KnownDocuments, Slow]]:
    async with anyio.create_task_group() as tasks:
        yield KnownDocuments(Runtime(), tasks), Slow()
        tasks.cancel_scope.cancel()


async def test_it_is_answered_at_once_and_made_behind() -> None:
    async with documents() as (known, slow):
        assert await known.answer("a", slow.make, None) is None
        await anyio.wait_all_tasks_blocked()
        slow.go.set()
        assert await known.answer("a", slow.make, 0) == b"1"
        assert await known.answer("a", slow.make, 0) == b"1"
        assert await known.answer("a", slow.make, None) == b"1"
        await anyio.wait_all_tasks_blocked()
        assert known.known("a") == b"2"


async def test_what_changes_while_it_is_made_is_in_the_answer_of_who_waits() -> None:
    async with documents() as (known, slow):
        await known.answer("a", slow.make, None)
        await anyio.wait_all_tasks_blocked()
        await known.answer("a", slow.make, None)
        slow.go.set()
        assert await known.answer("a", slow.make, 0) == b"2"


async def test_what_changed_before_one_asks_is_in_it_though_something_newer_was_made_meanwhile() -> None:
    async with documents() as (known, slow), anyio.create_task_group() as group:
        await known.answer("a", slow.make, None)
        await anyio.wait_all_tasks_blocked()
        assert await known.answer("a", slow.make, None) is None, "asked while one is made that has looked already"
        first, slow.go = slow.go, anyio.Event()
        first.set()
        await anyio.wait_all_tasks_blocked()
        assert known.known("a") == b"1"
        answers = []

        async def wait() -> None:
            answers.append(await known.answer("a", slow.make, 0))

        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        assert not answers
        slow.go.set()
        await anyio.wait_all_tasks_blocked()
        assert answers == [b"2"]


async def test_who_waits_is_told_of_a_failure_and_what_was_known_stays() -> None:
    async with documents() as (known, slow):
        slow.go.set()
        await known.answer("a", slow.make, 0)
        slow.failure = ProviderError("the disk is gone", retryable=False)
        assert await known.answer("a", slow.make, None) == b"1"
        with pytest.raises(ProviderError, match="gone"):
            await known.answer("a", slow.make, 10**15)
        assert await known.answer("a", slow.make, None) == b"1"


async def test_what_was_made_before_a_clock_was_set_back_is_made_anew() -> None:
    now = 10**12
    async with anyio.create_task_group() as tasks:
        known, slow = KnownDocuments(Runtime(now=lambda: now), tasks, fresh_ms=2_000), Slow()
        slow.go.set()
        assert await known.answer("a", slow.make, 0) == b"1"
        assert await known.answer("a", slow.make, None) == b"1"
        await anyio.wait_all_tasks_blocked()
        assert slow.made == 1, "it is fresh"
        now -= 24 * 3_600_000
        await known.answer("a", slow.make, None)
        await anyio.wait_all_tasks_blocked()
        assert known.known("a") == b"2"
        tasks.cancel_scope.cancel()
