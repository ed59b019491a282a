"""A lane of work: one at a time for a key, no more at once than there are places, and nothing that hangs keeps one."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from backend_stub.dispatch.embedded import MOST_BESIDE, Lane
from backend_stub.domain.clock import Runtime

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def serving(run: Callable[[str], Awaitable[int | None]], limit: float, patience: float) -> AsyncIterator[Lane]:
    lane = Lane("test", run, Runtime(), limit, patience)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lane.serve)
        yield lane
        tasks.cancel_scope.cancel()


async def test_what_hangs_gives_its_place_to_those_that_wait() -> None:
    ended: list[str] = []
    done = anyio.Event()

    async def run(key: str) -> None:
        if key.startswith("hanging"):
            await anyio.sleep_forever()
        ended.append(key)
        if len(ended) == 6:
            done.set()

    async with serving(run, 2, 0.05) as lane:
        for number in range(4):
            lane.wake(f"hanging {number}")
        for number in range(6):
            lane.wake(f"quick {number}")
        with anyio.fail_after(10):
            await done.wait()
        assert ended == [f"quick {number}" for number in range(6)]
        assert lane.running == 4


async def test_a_place_is_kept_by_what_does_not_hang() -> None:
    inside, most = 0, 0
    done = anyio.Event()
    left = 30

    async def run(key: str) -> None:
        nonlocal inside, most, left
        inside += 1
        most = max(most, inside)
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        inside -= 1
        left -= 1
        if not left:
            done.set()

    async with serving(run, 3, 60) as lane:
        for number in range(30):
            lane.wake(str(number))
        with anyio.fail_after(10):
            await done.wait()
    assert most == 3


async def test_however_many_hang_no_more_run_than_some_times_the_limit() -> None:
    begun: list[str] = []
    full = anyio.Event()

    async def run(key: str) -> None:
        begun.append(key)
        if len(begun) == 2 * MOST_BESIDE:
            full.set()
        await anyio.sleep_forever()

    async with serving(run, 2, 0.01) as lane:
        for number in range(5 * MOST_BESIDE):
            lane.wake(str(number))
        with anyio.fail_after(10):
            await full.wait()
        # Long enough for many more to have lost their patience.
        await anyio.sleep(0.1)
        assert lane.running == len(begun) == 2 * MOST_BESIDE
        lane.cancel(begun[0])
        await lane.ended(begun[0])
        await anyio.wait_all_tasks_blocked()
        assert lane.running == len(begun) - 1 == 2 * MOST_BESIDE


async def test_a_key_that_hangs_is_not_begun_again_beside_itself() -> None:
    begun: list[str] = []
    second = anyio.Event()

    async def run(key: str) -> None:
        begun.append(key)
        if key == "second":
            second.set()
        await anyio.sleep_forever()

    async with serving(run, 1, 0.05) as lane:
        lane.wake("first")
        await anyio.wait_all_tasks_blocked()
        lane.wake("first")
        lane.wake("second")
        with anyio.fail_after(10):
            await second.wait()
        assert begun == ["first", "second"]
