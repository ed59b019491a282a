"""What every dispatcher does, as `backend_stub.domain.dispatch` says. Time is simulated."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from backend_stub.dispatch.embedded import EmbeddedDispatcher
from backend_stub.dispatch.owned import OwnedDispatcher
from backend_stub.domain.clock import Runtime
from backend_stub.domain.dispatch import Dispatcher
from tests.client.loop import simulate

Make = Callable[[], Dispatcher]


def now() -> int:
    """The simulated time in milliseconds."""
    return round(anyio.current_time() * 1000)


async def everything(key: str) -> bool:
    return True


KINDS: dict[str, Make] = {
    "embedded": lambda: EmbeddedDispatcher(Runtime(now=now)),
    "owned": lambda: OwnedDispatcher(EmbeddedDispatcher(Runtime(now=now)), everything),
}


@pytest.fixture(params=list(KINDS.values()), ids=list(KINDS))
def make(request: pytest.FixtureRequest) -> Make:
    """Makes one of each kind that there is."""
    made: Make = request.param
    return made


@asynccontextmanager
async def serving(dispatcher: Dispatcher) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dispatcher.serve)
        yield
        tasks.cancel_scope.cancel()


class Work:
    """Runs that are told of: `begun` and `ended` have their keys in order, `at` when each began, in milliseconds.

    A run takes `takes` seconds; `again` gives what it answers.
    """

    def __init__(self, takes: float = 1.0, again: Callable[[str], int | None] = lambda key: None) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.at: list[int] = []
        self.most = 0
        self._inside = 0
        self._takes = takes
        self._again = again

    async def run(self, key: str) -> int | None:
        self.begun.append(key)
        self.at.append(now())
        self._inside += 1
        self.most = max(self.most, self._inside)
        try:
            await anyio.sleep(anyio.current_time() if key.startswith("hangs") else self._takes)
        finally:
            self._inside -= 1
        self.ended.append(key)
        return self._again(key)


def test_nothing_runs_before_it_serves_and_all_that_was_woken_runs_then(make: Make) -> None:
    async def main() -> None:
        dispatcher, work = make(), Work()
        queues = [dispatcher.queue(name, work.run) for name in ("one", "two")]
        for queue in queues:
            queue.wake(f"key of {queue}")
        await anyio.sleep(10)
        assert work.begun == []
        async with serving(dispatcher):
            await anyio.sleep(10)
        assert sorted(work.ended) == sorted(f"key of {queue}" for queue in queues)

    simulate(main)


def test_a_key_runs_one_at_a_time_and_again_if_it_was_woken_meanwhile(make: Make) -> None:
    async def main() -> None:
        dispatcher, work = make(), Work(takes=1)
        queue = dispatcher.queue("test", work.run)
        async with serving(dispatcher):
            queue.wake("a")
            await queue.busy()
            assert (queue.running, queue.waiting) == (1, 0)
            for _ in range(3):
                queue.wake("a")
            await anyio.sleep(10)
        assert work.ended == ["a", "a"]
        assert work.most == 1

    simulate(main)


def test_no_more_run_at_once_than_the_limit_says_and_first_come_first_served(make: Make) -> None:
    async def main() -> None:
        dispatcher, work = make(), Work(takes=1)
        queue = dispatcher.queue("test", work.run, 3)
        keys = [str(number) for number in range(30)]
        async with serving(dispatcher):
            for key in keys:
                queue.wake(key)
            await queue.busy()
            await anyio.sleep(0.5)
            assert (queue.running, queue.waiting) == (3, 27)
            await anyio.sleep(10)
        assert work.begun == keys
        assert work.most == 3

    simulate(main)


def test_what_hangs_gives_its_place_to_those_that_wait(make: Make) -> None:
    async def main() -> None:
        dispatcher, work = make(), Work(takes=0.1)
        queue = dispatcher.queue("test", work.run, 2, patience=30)
        async with serving(dispatcher):
            for key in ("hangs 0", "hangs 1", "hangs 2", "hangs 3", *"abcdef"):
                queue.wake(key)
            await anyio.sleep(100)
            assert work.ended == list("abcdef")
            assert queue.running == 4

    simulate(main)


def test_a_key_that_hangs_is_not_begun_again_beside_itself(make: Make) -> None:
    async def main() -> None:
        dispatcher, work = make(), Work(takes=0.1)
        queue = dispatcher.queue("test", work.run, 1, patience=30)
        async with serving(dispatcher):
            queue.wake("hangs")
            await queue.busy()
            queue.wake("hangs")
            queue.wake("second")
            await anyio.sleep(100)
            assert work.begun == ["hangs", "second"]

    simulate(main)


def test_a_key_waits_for_its_time_without_a_place_and_an_earlier_time_is_kept(make: Make) -> None:
    async def main() -> None:
        dispatcher, work = make(), Work(takes=1)
        queue = dispatcher.queue("test", work.run, 1)
        began = now()
        async with serving(dispatcher):
            queue.wake("later", began + 20_000)
            queue.wake("now")
            await anyio.sleep(10)
            assert work.ended == ["now"]
            queue.wake("later", began + 50_000)
            await anyio.sleep(50)
        assert work.begun[:2] == ["now", "later"]
        assert work.at[1] - began == pytest.approx(20_000, abs=10)

    simulate(main)


def test_a_run_says_when_it_is_to_be_run_again(make: Make) -> None:
    async def main() -> None:
        left = iter([5_000, 7_000])
        dispatcher = make()
        work = Work(takes=1, again=lambda key: now() + step if (step := next(left, 0)) else None)
        queue = dispatcher.queue("test", work.run)
        async with serving(dispatcher):
            queue.wake("a")
            await anyio.sleep(100)
        assert work.ended == ["a"] * 3
        assert [later - earlier for earlier, later in zip(work.at, work.at[1:], strict=False)] == pytest.approx(
            [6_000, 8_000], abs=10
        )

    simulate(main)


def test_a_key_that_is_cancelled_runs_no_more(make: Make) -> None:
    async def main() -> None:
        dispatcher, work = make(), Work(takes=1)
        queue = dispatcher.queue("test", work.run, 1)
        async with serving(dispatcher):
            for key in ("runs", "waits"):
                queue.wake(key)
            queue.wake("later", now() + 5_000)
            await queue.busy()
            await anyio.sleep(0.1)
            queue.wake("runs")
            for key in ("runs", "waits", "later", "unknown"):
                queue.cancel(key)
            await queue.ended("runs")
            assert (queue.running, queue.waiting) == (0, 0)
            await anyio.sleep(100)
            assert (work.begun, work.ended) == (["runs"], [])
            queue.wake("runs")
            await anyio.sleep(10)
        assert work.ended == ["runs"]

    simulate(main)


@pytest.mark.parametrize("waited", ["busy", "ended"])
def test_what_is_waited_for_is_told(make: Make, waited: str) -> None:
    async def main() -> None:
        dispatcher, work = make(), Work(takes=1)
        queue = dispatcher.queue("test", work.run)
        waits: Callable[[], Awaitable[None]] = queue.busy if waited == "busy" else lambda: queue.ended("a")
        async with serving(dispatcher):
            queue.wake("a", now() + 3_000)
            await queue.ended("a")
            await queue.busy()
            began = now()
            await waits()
            assert now() - began == (0 if waited == "busy" else 1_000)

    simulate(main)


def test_all_ends_with_it(make: Make) -> None:
    async def main() -> None:
        dispatcher, work = make(), Work(takes=1)
        queue = dispatcher.queue("test", work.run)
        async with serving(dispatcher):
            queue.wake("a")
            queue.wake("b", now() + 2_000)
            await queue.busy()
        await anyio.sleep(10)
        assert (work.begun, work.ended) == (["a"], [])

    simulate(main)


def test_what_is_another_hosts_is_not_run_here_whatever_woke_it() -> None:
    async def main() -> None:
        mine, work = {"a"}, Work(0.1)

        async def is_mine(key: str) -> bool:
            return key in mine

        dispatcher = OwnedDispatcher(EmbeddedDispatcher(Runtime(now=now)), is_mine)
        queue = dispatcher.queue("work", work.run)
        async with serving(dispatcher):
            queue.wake("a")
            queue.wake("b")
            await anyio.sleep(1)
            assert work.begun == ["a"]
            mine.add("b")
            queue.wake("b")
            await anyio.sleep(1)
            assert work.begun == ["a", "b"]

    simulate(main)
