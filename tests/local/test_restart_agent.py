"""An agent begun anew is another process, with the conversation it had and the environment of now."""

import anyio
import pytest

from backend_stub.agents.sandbox_agent.runtime import SandboxAgentRuntime
from backend_stub.agents.sandbox_agent.state import FORGOT, REMEMBERS, StoredSession
from foundry_tui.contract.transcript import TranscriptKind
from tests.local.world import LIMIT, LocalWorld, turn

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("loads", [True, False])
async def test_it_is_another_process_with_the_same_conversation(world: LocalWorld, loads: bool) -> None:
    if loads:
        world.environ["ACP_AGENT_LOADS"] = "1"
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        await turn(provider, world, task, "say one")
        [before] = world.living_agents()
        await provider.agents.restart(world.call(task))
        [now] = world.living_agents()
        assert now != before
        assert len(world.agent_saw("session/load")) == loads
        told = await turn(provider, world, task, "say two", "p2")
        assert told.text == "two"
        [notice] = told.of(TranscriptKind.NOTICE)
        assert ("has read the conversation" if loads else "does not remember") in notice
        # Cut before it was done, it is done again.
        await provider.agents.restart(world.call(task))
        assert (await turn(provider, world, task, "say three", "p3")).text == "three"


async def test_that_it_was_begun_anew_is_said_once_and_of_no_conversation_that_has_not_begun(world: LocalWorld) -> None:
    world.environ["ACP_AGENT_LOADS"] = "1"
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        for prompt_id, notices in {"p1": [], "p2": [REMEMBERS]}.items():
            await provider.agents.restart(world.call(task))
            await provider.agents.restart(world.call(task))
            told = await turn(provider, world, task, "say it", prompt_id)
            assert told.of(TranscriptKind.NOTICE) == notices


def test_what_is_forgotten_is_not_remembered_by_the_next_process() -> None:
    state = StoredSession(session_id="s", agent="a")
    for remembers in (True, False, True):
        state.note_start(remembers=remembers)
    assert state.notices == [FORGOT]


async def test_a_prompt_in_the_midst_of_it_starts_no_other_process_beside(world: LocalWorld) -> None:
    async with world.provider() as provider, anyio.create_task_group() as group:
        task = await world.with_session(provider, world.task())
        await turn(provider, world, task, "say one")
        group.start_soon(provider.agents.restart, world.call(task))
        runtime = provider.agents
        assert isinstance(runtime, SandboxAgentRuntime)
        with anyio.fail_after(LIMIT):
            while runtime._sessions:
                await anyio.sleep(0)
        assert (await turn(provider, world, task, "say two", "p2")).text == "two"
    assert len(world.living_agents()) == 1
