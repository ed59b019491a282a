"""What is said into a turn reaches an agent that takes it once, also over a restart; else it is the next prompt."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from backend_stub.agents.sandbox_agent import steering
from backend_stub.agents.sandbox_agent.messages import Gap, Message, Unreadable
from backend_stub.agents.sandbox_agent.session import Session
from backend_stub.domain.agent import Steered
from backend_stub.providers.local import LocalProvider
from foundry_tui.contract.records import TaskDetail
from tests.local.world import LIMIT, LocalWorld, Told, following, open_gate, prompt, turn

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def in_turn(
    world: LocalWorld, provider: LocalProvider, task: TaskDetail, gate: Path, *, cut: bool = False
) -> AsyncIterator[Told]:
    """A turn that has said one word, and goes on when the gate is opened."""
    os.mkfifo(gate)
    async with following(world, provider, task, f"say one\nwait {gate}\nsay two", cut=cut) as told:
        await told.until(lambda: told.text == "one")
        yield told


async def steer(provider: LocalProvider, world: LocalWorld, task: TaskDetail) -> Steered:
    with anyio.fail_after(LIMIT):
        return await provider.agents.steer(world.call(task), prompt(task, "only the tests", "p2"))


async def test_the_turn_goes_on_with_it_and_it_is_said_once(world: LocalWorld) -> None:
    world.environ["ACP_AGENT_STEERS"] = "yes"
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        async with in_turn(world, provider, task, world.folder / "gate") as told:
            assert await steer(provider, world, task) is Steered.TAKEN
            assert await steer(provider, world, task) is Steered.TAKEN
            await anyio.to_thread.run_sync(open_gate, world.folder / "gate")
        assert told.text == "one heard: only the tests|two", "what comes after it is another message"
        # Killed before its turn was written down as over, it is delivered again, which it was.
        assert (await turn(provider, world, task, "only the tests", "p2")).text == ""
        assert (await turn(provider, world, task, "say three", "p3")).text == "three"
        assert await steer(provider, world, task) is Steered.TURN_OVER
    (said,) = world.agent_saw("_session/steering")
    assert said["params"]["prompt"] == [{"type": "text", "text": "only the tests"}]
    assert said["params"]["_meta"] == {"steering": {"idleBehavior": "promptRequired"}}
    assert len(world.agent_saw("session/prompt")) == 2


async def test_what_it_said_before_it_took_it_in_is_the_same_message_however_late_that_is_read(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.environ["ACP_AGENT_STEERS"] = "yes"
    answered, take = anyio.Event(), Session._take

    async def taken_late(session: Session, number: int, message: Message | Unreadable | Gap) -> bool:
        if isinstance(message, Message) and b"heard" in bytes(message.params):
            await answered.wait()
        return await take(session, number, message)

    monkeypatch.setattr(Session, "_take", taken_late)
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        async with in_turn(world, provider, task, world.folder / "gate") as told:
            assert await steer(provider, world, task) is Steered.TAKEN
            answered.set()
            await anyio.to_thread.run_sync(open_gate, world.folder / "gate")
        assert told.text == "one heard: only the tests|two"


async def test_an_agent_that_refuses_it_does_not_have_it(world: LocalWorld) -> None:
    world.environ["ACP_AGENT_STEERS"] = "refuses"
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        async with in_turn(world, provider, task, world.folder / "gate"):
            assert await steer(provider, world, task) is Steered.REFUSED
            await anyio.to_thread.run_sync(open_gate, world.folder / "gate")
        assert (await turn(provider, world, task, "say it then", "p2")).text == "it then"


async def cut_on_its_way(world: LocalWorld, answer: Path, gate: Path) -> tuple[TaskDetail, Told]:
    """A task whose agent has heard a steered prompt, and answers it once `answer` opens; its backend has ended."""
    os.mkfifo(answer)
    world.environ["ACP_AGENT_STEERS"] = str(answer)
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        async with in_turn(world, provider, task, gate, cut=True) as told, anyio.create_task_group() as group:
            group.start_soon(provider.agents.steer, world.call(task), prompt(task, "only the tests", "p2"))
            await told.until(lambda: "heard" in told.text)
            group.cancel_scope.cancel()
    return task, told


async def test_cut_while_it_was_on_its_way_its_answer_tells_what_became_of_it(world: LocalWorld) -> None:
    answer, gate = world.folder / "answer", world.folder / "gate"
    task, told = await cut_on_its_way(world, answer, gate)
    async with world.provider() as provider:
        await provider.agents.attach(world.call(task))
        await anyio.to_thread.run_sync(open_gate, answer)
        assert await steer(provider, world, task) is Steered.TAKEN
        await anyio.to_thread.run_sync(open_gate, gate)
        with anyio.fail_after(LIMIT):
            await provider.agents.follow(world.call(task), prompt(task, ""), told)
    assert told.text.endswith("two")
    assert len(world.agent_saw("_session/steering")) == 1


async def test_what_an_agent_has_that_has_not_said_so_is_not_said_into_its_turn_again(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, gate = world.folder / "answer", world.folder / "gate"
    monkeypatch.setattr(steering, "ANSWER_WAIT", 0.05)
    task, told = await cut_on_its_way(world, answer, gate)
    async with world.provider() as provider:
        await provider.agents.attach(world.call(task))
        assert await steer(provider, world, task) is Steered.UNKNOWN
        assert await steer(provider, world, task) is Steered.UNKNOWN
        await anyio.to_thread.run_sync(open_gate, answer)
        await anyio.to_thread.run_sync(open_gate, gate)
        with anyio.fail_after(LIMIT):
            await provider.agents.follow(world.call(task), prompt(task, ""), told)
        # Its turn is over: what the agent answered meanwhile tells that this is no prompt of its own.
        assert (await turn(provider, world, task, "only the tests", "p2")).text == ""
    assert (len(world.agent_saw("_session/steering")), len(world.agent_saw("session/prompt"))) == (1, 1)
