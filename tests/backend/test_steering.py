"""A prompt that steers goes into the turn where the agent takes it there; else the turn is stopped for it."""

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from backend_stub.agents.demo import DemoAgents
from backend_stub.domain.agent import Steered
from backend_stub.domain.call import Call
from backend_stub.providers.demo import DemoProvider
from backend_stub.server.backend import Backend
from foundry_tui.contract.records import Prompt, PromptState, TaskDetail
from foundry_tui.contract.requests import CreatePrompt
from tests.backend.in_process import InProcess, settings, until

pytestmark = pytest.mark.anyio

DELIVERED, ANSWERED, FAILED, QUEUED = (
    PromptState.DELIVERED,
    PromptState.ANSWERED,
    PromptState.FAILED,
    PromptState.QUEUED,
)


class Steers(DemoAgents):
    """A demo agent whose turns last until `goes_on`, and that does with steering prompts what `outcome` says."""

    outcome = Steered.TAKEN
    asked: list[str]
    steered: anyio.Event
    goes_on: anyio.Event
    answering: anyio.Event | None = None

    async def steer(self, call: Call, prompt: Prompt) -> Steered:
        self.asked.append(prompt.text)
        self.steered.set()
        if self.answering is not None:
            await self.answering.wait()
        return await super().steer(call, prompt) if self.outcome is Steered.TAKEN else self.outcome

    async def follow(self, call: Call, prompt: Prompt, turn: object) -> None:
        await self.goes_on.wait()


def demo(place: InProcess) -> tuple[DemoProvider, Steers]:
    place.set_script({"agent": {"accepts": {"steering": True}}})
    provider = place.provider()
    agents = Steers(provider._world, provider._script)
    agents.asked, agents.steered, agents.goes_on = [], anyio.Event(), anyio.Event()
    provider.agents = agents
    return provider, agents


@pytest.fixture
def place(tmp_path: Path) -> InProcess:
    return InProcess(tmp_path)


async def in_turn(place: InProcess, backend: Backend) -> tuple[str, str]:
    task_id = await place.create(backend)
    task = await until(backend, task_id, lambda task: task.status == "running")
    return task_id, task.sessions[0].session_id


async def steer(backend: Backend, session_id: str) -> None:
    request = CreatePrompt(prompt_id="p2", text="only the tests", steer=True)
    await backend.commands.prompt(session_id, request)


async def prompts(
    place: InProcess, backend: Backend, task_id: str, accept: Callable[[list[PromptState]], bool]
) -> TaskDetail:
    """The task, once the states of its session's prompts are as wanted."""

    async def are_so() -> bool:
        state = await backend.storage.load(task_id)
        assert state is not None
        ((_, prompts),) = state.prompts.items()
        return accept([prompt.state for prompt in prompts])

    await place.until(are_so)
    return await backend.commands.task(task_id)


async def test_it_is_delivered_into_the_turn_and_answered_with_it(place: InProcess) -> None:
    provider, agents = demo(place)
    async with place.backend(provider, settings()) as backend:
        task_id, session_id = await in_turn(place, backend)
        await steer(backend, session_id)
        task = await prompts(place, backend, task_id, lambda states: states == [DELIVERED, DELIVERED])
        assert task.status == "running"
        agents.goes_on.set()
        task = await prompts(place, backend, task_id, lambda states: states == [ANSWERED, ANSWERED])
        kinds = [str(event.kind) for event in (await backend.commands.task(task_id)).history]
        counts = [kinds.count(kind) for kind in ("session.stopped", "prompt.delivered", "task.running")]
        assert counts == [0, 2, 1]
    assert agents.asked == ["only the tests"]
    assert len(place.effects(effect="deliver_prompt")) == 2


async def test_what_the_agent_refuses_stops_the_turn_and_is_the_next(place: InProcess) -> None:
    provider, agents = demo(place)
    agents.outcome = Steered.REFUSED
    async with place.backend(provider, settings()) as backend:
        task_id, session_id = await in_turn(place, backend)
        await steer(backend, session_id)
        await prompts(place, backend, task_id, lambda states: states == [FAILED, DELIVERED])
        agents.goes_on.set()
        await prompts(place, backend, task_id, lambda states: states == [FAILED, ANSWERED])


async def test_what_comes_as_the_turn_ends_is_the_next(place: InProcess) -> None:
    provider, agents = demo(place)
    agents.outcome = Steered.TURN_OVER
    agents.answering = anyio.Event()
    async with place.backend(provider, settings()) as backend:
        task_id, session_id = await in_turn(place, backend)
        await steer(backend, session_id)
        await agents.steered.wait()
        agents.goes_on.set()
        await prompts(place, backend, task_id, lambda states: states == [ANSWERED, QUEUED])
        agents.answering.set()
        await prompts(place, backend, task_id, lambda states: states == [ANSWERED, ANSWERED])
    assert len(place.effects(effect="deliver_prompt")) == 2


async def test_cut_on_its_way_it_is_asked_for_again_after_the_restart(place: InProcess) -> None:
    provider, agents = demo(place)
    agents.answering = anyio.Event()
    async with place.backend(provider, settings()) as backend:
        task_id, session_id = await in_turn(place, backend)
        await steer(backend, session_id)
        await agents.steered.wait()
    agents.answering = None
    async with place.backend(provider, settings()) as backend:
        await prompts(place, backend, task_id, lambda states: states == [DELIVERED, DELIVERED])
        agents.goes_on.set()
        await prompts(place, backend, task_id, lambda states: states == [ANSWERED, ANSWERED])
    assert len(place.effects(effect="deliver_prompt")) == 2
