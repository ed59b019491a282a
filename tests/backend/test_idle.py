"""An agent is ended when its time without a word is over by the backend's clock, and never while something goes on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from backend_stub.agents.demo import DemoAgents
from backend_stub.domain.agent import SaidOutsideTurn
from backend_stub.domain.call import Call
from backend_stub.domain.errors import AgentError
from backend_stub.providers.demo import DemoProvider
from backend_stub.server.backend import Backend
from backend_stub.task.alarms import Alarms
from foundry_tui.contract.records import PromptState, SessionStatus, SessionSummary, TaskDetail
from foundry_tui.contract.requests import CreatePrompt
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.transcript import TranscriptKind
from tests.backend.in_process import InProcess, has_status, settings, until

pytestmark = pytest.mark.anyio

HOUR = 3_600_000


class Ended(DemoAgents):
    """A demo agent that tells which of its sessions were ended, and may fail to."""

    ended: list[str]
    told: anyio.Event
    fails = False

    async def unload(self, call: Call, session_id: str) -> None:
        self.ended.append(session_id)
        self.told.set()
        if self.fails:
            raise AgentError("it does not end")


@pytest.fixture
def place(tmp_path: Path) -> InProcess:
    return InProcess(tmp_path)


def demo(place: InProcess) -> tuple[DemoProvider, Ended]:
    provider = place.provider()
    agents = Ended(provider._world, provider._script)
    agents.ended, agents.told = [], anyio.Event()
    provider.agents = agents
    return provider, agents


async def ready(place: InProcess, backend: Backend) -> tuple[str, SessionSummary]:
    task_id = await place.create(backend)
    task = await until(backend, task_id, has_status(TaskStatus.IDLE))
    return task_id, task.sessions[0]


def pass_time(place: InProcess, backend: Backend, milliseconds: int) -> None:
    place.clock.step += milliseconds
    backend.commands._sessions.idle.alarms.due()
    backend.commands._sessions.silences.alarms.due()


def is_unloaded(wanted: bool = True) -> Callable[[TaskDetail], bool]:
    return lambda task: (task.sessions[0].unloaded_since is not None) is wanted


async def until_ended(agents: Ended, times: int) -> None:
    while len(agents.ended) < times:
        agents.told = anyio.Event()
        await agents.told.wait()


async def test_it_is_ended_after_its_time_and_comes_back_with_a_prompt(place: InProcess) -> None:
    provider, agents = demo(place)
    async with place.backend(provider, settings()) as backend:
        task_id, session = await ready(place, backend)
        before = await backend.commands.task(task_id)
        pass_time(place, backend, HOUR - 60_000)
        # Heard of meanwhile, it has another hour.
        word = SaidOutsideTurn("p:late", TranscriptKind.MESSAGE, "by the way")
        await backend.commands._sessions.said(task_id, session.session_id, [word])
        pass_time(place, backend, 120_000)
        assert agents.ended == []
        pass_time(place, backend, HOUR)
        task = await until(backend, task_id, is_unloaded())
        await until_ended(agents, 1)
        assert task.sessions[0].status is SessionStatus.READY
        assert task.updated_at < place.clock.now() - HOUR
        assert task.history == before.history, "nothing has happened that anybody did"
        await backend.commands.prompt(session.session_id, CreatePrompt(prompt_id="again", text="go on"))
        task = await until(backend, task_id, is_unloaded(False))
        await until(backend, task_id, lambda task: task.history[-1].kind == "task.idle")
        # An hour after that it goes away again.
        pass_time(place, backend, HOUR + 1_000)
        await until_ended(agents, 2)


async def test_it_goes_on_as_long_as_something_goes_on_or_for_ever(place: InProcess) -> None:
    place.set_script({"default": {"turn": {"permission": "Run make?"}}})
    provider, agents = demo(place)
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        await until(backend, task_id, lambda task: task.needs_input == 1)
        pass_time(place, backend, 3 * HOUR)
        await anyio.wait_all_tasks_blocked()
        assert (await backend.commands.task(task_id)).sessions[0].unloaded_since is None
    async with place.backend(provider, replace(settings(), idle_ms=0)) as backend:
        task = await until(backend, task_id, lambda task: task.needs_input == 1)
        await backend.commands.stop(task.sessions[0].session_id)
        await until(backend, task_id, has_status(TaskStatus.IDLE))
        pass_time(place, backend, 1000 * HOUR)
        await anyio.wait_all_tasks_blocked()
    assert agents.ended == []


async def test_a_restart_ends_what_was_to_be_ended(place: InProcess) -> None:
    provider, agents = demo(place)
    agents.fails = True
    async with place.backend(provider, settings()) as backend:
        task_id, session = await ready(place, backend)
        pass_time(place, backend, HOUR + 1_000)
        await until_ended(agents, 1)
    agents.fails = False
    async with place.backend(provider, settings()) as backend:
        await until_ended(agents, 2)
        await backend.commands.prompt(session.session_id, CreatePrompt(prompt_id="again", text="go on"))
        await until(backend, task_id, is_unloaded(False))
        await until(backend, task_id, lambda task: task.history[-1].kind == "task.idle")
        state = await backend.storage.load(task_id)
        assert state is not None
        assert [each.state for each in state.prompts[session.session_id]] == [PromptState.ANSWERED] * 2
    assert len(place.effects(effect="deliver_prompt")) == 2


async def test_alarms_ring_once_and_in_time() -> None:
    now, rung = 0, list[str]()
    alarms = Alarms(lambda: now, rung.append)
    alarms.set("late", 50)
    alarms.set("soon", 10)
    alarms.set("never", 20)
    alarms.take_back("never")
    now = 30
    alarms.due()
    alarms.due()
    assert rung == ["soon"]
    async with anyio.create_task_group() as group:
        group.start_soon(alarms.run)
        await anyio.wait_all_tasks_blocked()
        alarms.set("sooner", 0)
        await anyio.wait_all_tasks_blocked()
        assert rung == ["soon", "sooner"]
        group.cancel_scope.cancel()
