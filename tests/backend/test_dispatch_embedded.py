"""What the embedded dispatcher adds to what every dispatcher does (`tests/ports/test_dispatch.py`)."""

import anyio

from backend_stub.dispatch.embedded import LIMITS_AT_MOST, EmbeddedDispatcher
from backend_stub.domain.clock import Runtime
from tests.client.loop import simulate


def test_however_many_hang_no_more_run_than_some_times_the_limit() -> None:
    begun: list[str] = []

    async def run(key: str) -> None:
        begun.append(key)
        await anyio.sleep_forever()

    async def main() -> None:
        dispatcher = EmbeddedDispatcher(Runtime())
        queue = dispatcher.queue("test", run, 2, patience=1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dispatcher.serve)
            for number in range(5 * LIMITS_AT_MOST):
                queue.wake(str(number))
            # Long enough for many more to have lost their patience.
            await anyio.sleep(1_000)
            assert queue.running == len(begun) == 2 * LIMITS_AT_MOST
            queue.cancel(begun[0])
            await queue.ended(begun[0])
            await anyio.wait_all_tasks_blocked()
            assert queue.running == len(begun) - 1 == 2 * LIMITS_AT_MOST
            tasks.cancel_scope.cancel()

    simulate(main)
