"""An agent with nothing to do is ended, and comes back with its conversation, its options and the next prompt."""

import json
import os

import anyio
import anyio.to_thread
import msgspec
import pytest

from backend_stub.agents.sandbox_agent.runtime import SandboxAgentRuntime
from backend_stub.providers.local import LocalProvider
from foundry_tui.contract.records import TaskDetail
from foundry_tui.contract.transcript import TranscriptKind
from tests.local.world import LocalWorld, Told, following, open_gate, prompt, turn
from tests.waiting import seen_at_last

pytestmark = pytest.mark.anyio

OFFERS = {
    "configOptions": [
        {
            "id": "model",
            "name": "Model",
            "category": "model",
            "type": "select",
            "currentValue": "small",
            "options": [{"value": "small", "name": "Small"}, {"value": "big", "name": "Big"}],
        }
    ]
}


def unloaded(task: TaskDetail, *sessions: int) -> TaskDetail:
    """The task as it says that the agents of these sessions were ended."""
    return msgspec.structs.replace(
        task,
        sessions=tuple(
            msgspec.structs.replace(session, unloaded_since=1) if number in sessions else session
            for number, session in enumerate(task.sessions)
        ),
    )


async def unload(provider: LocalProvider, world: LocalWorld, task: TaskDetail, session: int = 0) -> None:
    await provider.agents.unload(world.call(unloaded(task, session)), task.sessions[session].session_id)


@pytest.mark.parametrize("loads", [True, False])
async def test_it_comes_back_with_its_conversation_and_options(world: LocalWorld, loads: bool) -> None:
    world.environ["ACP_AGENT_OFFERS"] = json.dumps(OFFERS)
    if loads:
        world.environ["ACP_AGENT_LOADS"] = "1"
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        await turn(provider, world, task, "say one")
        await provider.agents.set_option(world.call(task), task.sessions[0].session_id, "model", "big")
        await unload(provider, world, task)
        assert world.living_agents() == []
        # While it is away too, options are set for when it is back.
        await provider.agents.set_option(world.call(task), task.sessions[0].session_id, "model", "small")
        await provider.agents.set_option(world.call(task), task.sessions[0].session_id, "model", "big")
        assert world.living_agents() == []
        told = await turn(provider, world, task, "say two", "p2")
        assert told.text == "two"
        notices = told.of(TranscriptKind.NOTICE)
        assert notices == [] if loads else "does not remember" in notices[0]
        assert len(world.agent_saw("session/load")) == loads
        assert [each["params"]["value"] for each in world.agent_saw("session/set_config_option")] == ["big", "big"]
        assert len(world.agent_saw("session/prompt")) == 2


@pytest.mark.slow
async def test_the_agents_of_other_sessions_go_on_and_the_last_one_takes_the_server_along(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task(sessions=2))
        async with following(world, provider, task, "pause", cut=True):
            await unload(provider, world, task, 1)
            assert len(world.living_agents()) == 1
            with pytest.raises(Exception, match="at work"):
                await unload(provider, world, task, 0)
        await provider.agents.stop(world.call(task), task.sessions[0].session_id)
        runtime = provider.agents
        assert isinstance(runtime, SandboxAgentRuntime)
        assert runtime._servers._held != {}
        task = unloaded(task, 1)
        # What was stopped is not waited for.
        await unload(provider, world, task, 0)
        assert (world.living_agents(), runtime._servers._held) == ([], {})


@pytest.mark.slow
async def test_begun_before_a_kill_it_is_done_after_it_and_the_prompt_is_handed_over_once(world: LocalWorld) -> None:
    world.environ["ACP_AGENT_LOADS"] = "1"
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task(sessions=2))
        await turn(provider, world, task, "say one")
    async with world.provider() as provider:
        # Killed as it was committed that the first is to be ended, which attaching does not undo.
        await provider.agents.attach(world.call(unloaded(task, 0)))
        await unload(provider, world, task, 0)
        assert len(world.living_agents()) == 1
        await unload(provider, world, task, 0)
    async with world.provider() as provider:
        # Killed as its next prompt was about to be handed over: it is wanted again.
        await provider.agents.attach(world.call(task))
        assert len(world.living_agents()) == 2
        told = await turn(provider, world, task, "say two", "p2")
        assert (told.text, told.of(TranscriptKind.NOTICE)) == ("two", [])
    texts = [each["params"]["prompt"][0]["text"] for each in world.agent_saw("session/prompt")]
    assert texts == ["say one", "say two"]


async def test_its_memory_is_told_while_it_is_there(world: LocalWorld) -> None:
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task(sessions=2))
        both = await provider.agents.memory(task.task_id)
        assert {each.session_id for each in both} == {each.session_id for each in task.sessions}
        assert all(each.bytes > 1_000_000 and each.agent == "pi" for each in both)
        await unload(provider, world, task, 0)
        assert [each.session_id for each in await provider.agents.memory(None)] == [task.sessions[1].session_id]
        assert await provider.agents.memory("another") == []


@pytest.mark.slow
async def test_an_opening_that_was_cut_takes_no_place_twice(world: LocalWorld) -> None:
    world.environ |= {"ACP_AGENT_LOADS": "1", "ACP_AGENT_SLOW": "0.5"}
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task(sessions=2))
        await unload(provider, world, task, 0)
        before = len(world.agent_pids())
        async with anyio.create_task_group() as group:
            group.start_soon(provider.agents.deliver, world.call(task), prompt(task, "say one"), Told())
            await seen_at_last(lambda: len(world.agent_pids()) > before)
            group.cancel_scope.cancel()
    async with world.provider() as provider:
        await provider.agents.attach(world.call(unloaded(task, 0)))
        told = await turn(provider, world, task, "say one")
        assert told.text == "one"
    assert len(world.living_agents()) == 2


@pytest.mark.slow
async def test_what_is_replayed_after_the_answer_belongs_to_no_turn(world: LocalWorld) -> None:
    world.environ["ACP_AGENT_LOADS"] = "first"
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        await turn(provider, world, task, "say one")
        await unload(provider, world, task)
        assert (await turn(provider, world, task, "say two", "p2")).text == "two"


async def test_an_agent_that_tells_its_options_later_has_them_set_then(world: LocalWorld) -> None:
    gate = world.folder / "offers"
    os.mkfifo(gate)
    world.environ |= {"ACP_AGENT_LOADS": "1", "ACP_AGENT_OFFERS": json.dumps(OFFERS)}
    world.environ["ACP_AGENT_OFFERS_LATER"] = str(gate)
    async with world.provider() as provider:
        task = await world.with_sandbox(provider, world.task())
        session_id = task.sessions[0].session_id
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, open_gate, gate)
            await provider.agents.create_session(world.call(task), task.sessions[0], {"model": "big"})
        assert len(world.agent_saw("session/set_config_option")) == 1
        await unload(provider, world, task)
        await provider.agents.deliver(world.call(task), prompt(task, "pause"), Told())
        # Asked for while it has not told any: it is no error, and set when it has.
        assert await provider.agents.set_option(world.call(task), session_id, "model", "big") == ()
        await anyio.to_thread.run_sync(open_gate, gate)
        await seen_at_last(lambda: len(world.agent_saw("session/set_config_option")) == 2)
    assert [each["params"]["value"] for each in world.agent_saw("session/set_config_option")] == ["big", "big"]
