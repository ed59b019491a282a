"""A machine that has run out of something: nothing alive is taken for dead, and no answer is given up."""

import errno

import httpx
import pytest

from backend_stub.domain.errors import AgentError
from backend_stub.machine.faults import is_machine_fault
from foundry_tui.contract.transcript import TranscriptKind
from tests.local.world import LocalWorld, following, turn

pytestmark = pytest.mark.anyio


class Full(httpx.AsyncBaseTransport):
    """No connection can be opened, the first so many times; then all is as before."""

    def __init__(self, inner: httpx.AsyncBaseTransport, times: int) -> None:
        self.inner = inner
        self.times = times

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.times > 0:
            self.times -= 1
            raise httpx.ConnectError("All connection attempts failed") from OSError(errno.EMFILE, "Too many open files")
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


def fill(world: LocalWorld, provider: object, times: int) -> Full:
    """Let the next requests to the task's server fail."""
    [server] = provider.agents._servers._held.values()  # type: ignore[attr-defined]  # there is no other way to its client
    server.client._transport = full = Full(server.client._transport, times)
    return full


async def test_an_agent_that_cannot_be_reached_for_want_of_descriptors_is_not_replaced(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        fill(world, provider, 1)
        with pytest.raises(AgentError) as caught:
            await turn(provider, world, task, "say one")
        assert is_machine_fault(caught.value)
        told = await turn(provider, world, task, "say one")
        assert told.text == "one"
        assert told.of(TranscriptKind.NOTICE) == []
        fill(world, provider, 1)
        with pytest.raises((AgentError, OSError)) as again:
            await provider.agents.attach(world.call(task))
        assert is_machine_fault(again.value)
        await provider.agents.attach(world.call(task))
        assert len(world.agent_saw("start")) == 1


async def test_an_answer_reaches_the_agent_once_there_is_room(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend_stub.agents.sandbox_agent.connection.BUSY_WAIT", 0.01)
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        async with following(world, provider, task, "ask execute Run make?\nsay done") as told:
            await told.until(lambda: told.questions)
            full = fill(world, provider, 3)
            told.answer(next(iter(told.questions)), "yes")
        assert told.text == "answer: yesdone"
        assert full.times == 0
