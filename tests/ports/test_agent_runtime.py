"""What every agent runtime does, as `backend_stub.domain.agent` says: the demo's, and sandbox-agent's with an agent."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import msgspec
import pytest

from backend_stub.domain.agent import AgentRuntime
from backend_stub.domain.call import Call
from backend_stub.domain.errors import AgentError
from backend_stub.domain.provider import Provider
from foundry_tui.contract.records import Prompt, TaskDetail
from tests.backend.in_process import InProcess
from tests.local.world import LIMIT, LocalWorld, Told, prompt
from tests.world import Json

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


class Side:
    """Runtimes of one kind, and how their agent is told what to do."""

    def __init__(self, folder: Path, binary: Path | None) -> None:
        self.world = LocalWorld(folder, binary)
        self._demo = InProcess(folder) if binary is None else None

    @asynccontextmanager
    async def provider(self) -> AsyncIterator[Provider]:
        """A provider whose agents they are; the next one on the same folder is what a restart makes."""
        if self._demo is not None:
            yield self._demo.provider()
        else:
            async with self.world.provider() as local:
                yield local

    def call(self, task: TaskDetail) -> Call:
        return self.world.call(task)

    async def ready(self, provider: Provider, sessions: int = 1, branch: str = "fix/it") -> TaskDetail:
        """A task that has been through all stages, each of them twice."""
        task = self.world.task(branch, sessions=sessions)
        for _ in range(2):
            made = await provider.create_sandbox(self.call(task))
            task = msgspec.structs.replace(task, sandbox=made.sandbox)
            await provider.agents.ensure_agent(self.call(task))
            for session in task.sessions:
                await provider.agents.create_session(self.call(task), session)
        return task

    def told(self, demo: Json, agent: str) -> str:
        """A prompt for a turn, in the words of the scripted agent; the demo's agent is told by its script."""
        if self._demo is not None:
            self._demo.set_script({"default": {"turn": {"ms": 20, **demo}}})
        return agent

    def handed(self) -> int:
        """How many prompts the agent was handed."""
        if self._demo is not None:
            return len(self._demo.effects(effect="deliver_prompt"))
        return len(self.world.agent_saw("session/prompt"))

    def begun(self) -> tuple[int, int]:
        """How many agents were started, and sessions opened."""
        if self._demo is not None:
            return len(self._demo.effects(effect="start_agent")), len(self._demo.effects(effect="create_session"))
        return len(self.world.agent_saw("start")), len(self.world.agent_saw("session/new"))

    def close(self) -> None:
        self.world.close()
        if self._demo is not None:
            self._demo.close()


@pytest.fixture(params=["demo", "sandbox-agent"])
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Side]:
    side = Side(tmp_path, request.getfixturevalue("sandbox_agent") if request.param == "sandbox-agent" else None)
    yield side
    side.close()


async def turn(side: Side, agents: AgentRuntime, task: TaskDetail, said: Prompt) -> Told:
    """A turn from its delivery to its end."""
    told = Told()
    with anyio.fail_after(LIMIT):
        await agents.deliver(side.call(task), said, told)
        await agents.follow(side.call(task), said, told)
    return told


async def test_stages_again_change_nothing(side: Side) -> None:
    async with side.provider() as provider:
        await side.ready(provider, sessions=2)
        assert side.begun()[1] == 2
        before = side.begun()
    async with side.provider() as provider:
        assert provider.agents.on_lost is None
        assert provider.agents.on_said is None
        await side.ready(provider, branch="fix/that")
        assert side.begun() == (before[0] + 1, before[1] + 1), "another task has its own"


async def test_a_prompt_is_handed_over_once_and_its_turn_told_until_it_ends(side: Side) -> None:
    async with side.provider() as provider:
        agents, task = provider.agents, await side.ready(provider)
        said = prompt(task, side.told({"reply": "hello there"}, "say hello there"))
        told = Told()
        for _ in range(3):
            await agents.deliver(side.call(task), said, told)
        with anyio.fail_after(LIMIT):
            await agents.follow(side.call(task), said, told)
        assert told.text == "hello there"
        again = await turn(side, agents, task, said)
        assert set(again.items) <= set(told.items), "what is told again has the keys that it had"
        assert side.handed() == 1


async def test_a_turn_goes_on_over_a_restart(side: Side) -> None:
    told = Told()
    async with side.provider() as provider:
        task = await side.ready(provider)
        said = prompt(task, side.told({"reply": "one two"}, "say one two"))
        await provider.agents.deliver(side.call(task), said, told)
    async with side.provider() as provider:
        with anyio.fail_after(LIMIT):
            await provider.agents.attach(side.call(task))
            await provider.agents.deliver(side.call(task), said, told)
            await provider.agents.follow(side.call(task), said, told)
        assert told.text == "one two"
        assert (side.handed(), side.begun()) == (1, (1, 1))


async def test_sessions_stand_side_by_side(side: Side) -> None:
    async with side.provider() as provider:
        agents, task = provider.agents, await side.ready(provider, sessions=2)
        text = side.told({"reply": "from one of them"}, "say from one of them")
        told = [Told(), Told()]
        async with anyio.create_task_group() as group:
            for number in (0, 1):
                said = prompt(task, text, f"p{number}", session=number)
                await agents.deliver(side.call(task), said, told[number])
                group.start_soon(agents.follow, side.call(task), said, told[number])
        assert [each.text for each in told] == ["from one of them"] * 2
        assert side.handed() == 2


@pytest.mark.parametrize("kind", ["allow_once", "reject_once", None])
async def test_a_question_is_asked_and_the_turn_goes_on_with_its_answer(side: Side, kind: str | None) -> None:
    async with side.provider() as provider:
        agents, task = provider.agents, await side.ready(provider)
        said = prompt(task, side.told({"permission": "Run make?"}, "ask execute Run make?\nsay Done."))
        told = Told()
        async with anyio.create_task_group() as group:
            await agents.deliver(side.call(task), said, told)
            group.start_soon(agents.follow, side.call(task), said, told)
            await told.until(lambda: told.questions)
            [(key, question)] = told.questions.items()
            assert question.title == "Run make?"
            chosen = {option.kind: option.option_id for option in question.options}
            assert set(chosen) == {"allow_once", "reject_once"}
            told.answer(key, chosen[kind] if kind is not None else None)
        assert told.text


async def test_a_turn_that_fails_says_why_and_another_may_follow(side: Side) -> None:
    async with side.provider() as provider:
        agents, task = provider.agents, await side.ready(provider)
        with pytest.raises(AgentError, match="the model is away"):
            text = side.told({"fail": "the model is away"}, "fail the model is away")
            await turn(side, agents, task, prompt(task, text))
        text = side.told({"reply": "again"}, "say again")
        assert (await turn(side, agents, task, prompt(task, text, "p2"))).text.endswith("again")


async def test_a_turn_that_is_cut_and_stopped_is_over_before_the_next(side: Side) -> None:
    async with side.provider() as provider:
        agents, task = provider.agents, await side.ready(provider)
        session_id = task.sessions[0].session_id
        await agents.stop(side.call(task), session_id)
        told = Told()
        said = prompt(task, side.told({"reply": "working", "hang": "after"}, "say working\npause\nsay never"))
        async with anyio.create_task_group() as group:
            await agents.deliver(side.call(task), said, told)
            group.start_soon(agents.follow, side.call(task), said, told)
            await told.until(lambda: told.text == "working")
            group.cancel_scope.cancel()
        await agents.stop(side.call(task), session_id)
        after = await turn(side, agents, task, prompt(task, side.told({"reply": "next"}, "say next"), "p2"))
        assert after.text == "next"
        assert told.text == "working"


async def test_what_is_not_open_is_closed(side: Side) -> None:
    async with side.provider() as provider:
        task = await side.ready(provider)
        for session_id in (task.sessions[0].session_id, task.sessions[0].session_id, "never opened"):
            await provider.agents.close_session(side.call(task), session_id)
