"""An agent begun anew is another process, with the conversation it had and the environment of now."""

import pytest

from foundry_tui.contract.records import TranscriptKind
from tests.local.world import LocalWorld, turn

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
