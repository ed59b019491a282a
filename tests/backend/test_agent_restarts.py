"""An agent that is begun anew while something else goes on with it: it is done all the same, and takes nothing away."""

from collections.abc import Awaitable, Callable, Mapping

import anyio
import pytest

from backend_stub.agents.demo import DemoAgents
from backend_stub.domain.agent import OptionsChanged, OptionValue
from backend_stub.domain.call import Call
from backend_stub.domain.errors import AgentError
from backend_stub.providers.demo import DemoProvider
from backend_stub.server.backend import Backend
from foundry_tui.contract.records import HistoryKind, OptionType, SessionOption, SessionSummary, TaskDetail
from foundry_tui.contract.requests import CreateSession, SetOption
from foundry_tui.contract.status import TaskStatus
from tests.backend.in_process import InProcess, has_status, settings, until

pytestmark = pytest.mark.anyio

FAST = SessionOption(option_id="fast", name="Fast", type=OptionType.BOOLEAN, value=False)
SLOW = SessionOption(option_id="slow", name="Slow", type=OptionType.BOOLEAN, value=False)


class Hold:
    """Tells that something has come here, and holds it up until it may go on, or has it fail then."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.reached, self.goes_on = anyio.Event(), anyio.Event()
        self._failure = failure

    async def __call__(self) -> None:
        self.reached.set()
        await self.goes_on.wait()
        if self._failure is not None:
            raise self._failure


class Held(DemoAgents):
    """A demo agent with options that a test may hold up. `did` tells what was asked of it, in order."""

    did: list[str]
    attaching: Callable[[], Awaitable[None]] | None = None
    setting: Callable[[], Awaitable[None]] | None = None
    opened: Callable[[str], Awaitable[None]] | None = None

    async def attach(self, call: Call) -> None:
        if self.attaching is not None:
            await self.attaching()
        await super().attach(call)

    async def create_session(
        self, call: Call, session: SessionSummary, options: Mapping[str, OptionValue] | None = None
    ) -> None:
        await super().create_session(call, session, options)
        if self.opened is not None:
            await self.opened(session.session_id)

    async def restart(self, call: Call) -> None:
        self.did.append("restart")

    async def set_option(
        self, call: Call, session_id: str, option_id: str, value: OptionValue
    ) -> tuple[SessionOption, ...]:
        if self.setting is not None:
            await self.setting()
        self.did.append(f"{option_id}={value}")
        return (SessionOption(option_id=option_id, name="Fast", type=OptionType.BOOLEAN, value=value),)


def held(place: InProcess) -> tuple[DemoProvider, Held]:
    provider = place.provider()
    agents = Held(provider._world, provider._script)
    agents.did = []
    provider.agents = agents
    return provider, agents


async def ready(place: InProcess, backend: Backend) -> tuple[str, str]:
    """Ids of a task that is idle, and of its session."""
    task_id = await place.create(backend)
    task = await until(backend, task_id, has_status(TaskStatus.IDLE))
    return task_id, task.sessions[0].session_id


async def unsent(backend: Backend, task_id: str) -> dict[str, dict[str, OptionValue]]:
    state = await backend.storage.load(task_id)
    assert state is not None
    return state.private.values_before_unsent


async def all_sent(place: InProcess, backend: Backend, task_id: str) -> None:
    """Wait until the agent has been told of all options, or has none any more that it was to be told of."""

    async def is_so() -> bool:
        return not await unsent(backend, task_id)

    with anyio.fail_after(3):
        await place.until(is_so)


async def options(backend: Backend, task_id: str, session_id: str) -> tuple[SessionOption, ...]:
    state = await backend.storage.load(task_id)
    assert state is not None
    return state.offers[session_id].options


def agents_ready(count: int) -> Callable[[TaskDetail], bool]:
    return lambda task: [event.kind for event in task.history].count(HistoryKind.AGENT_READY) == count


async def test_an_agent_is_begun_anew_also_while_it_is_being_found(place: InProcess) -> None:
    provider, agents = held(place)
    async with place.backend(provider, settings()) as backend:
        task_id, _ = await ready(place, backend)
        agents.attaching = finding = Hold()
        await backend.commands.restart_agent(task_id)
        await finding.reached.wait()
        await backend.commands.restart_agent(task_id)
        finding.goes_on.set()
        with anyio.fail_after(3):
            await until(backend, task_id, agents_ready(3))
        assert agents.did == ["restart", "restart"]


async def test_an_option_that_is_being_set_as_the_agent_is_begun_anew_is_set_again(place: InProcess) -> None:
    provider, agents = held(place)
    async with place.backend(provider, settings()) as backend:
        task_id, session_id = await ready(place, backend)
        await backend.commands._sessions.options.changed(task_id, session_id, [OptionsChanged((FAST,))])
        agents.setting = setting = Hold(AgentError("the connection broke"))
        await backend.commands.set_option(session_id, "fast", SetOption(value=True))
        await setting.reached.wait()
        await backend.commands.restart_agent(task_id)
        agents.setting = None
        setting.goes_on.set()
        with anyio.fail_after(3):
            await until(backend, task_id, agents_ready(2))
            await all_sent(place, backend, task_id)
        assert agents.did == ["restart", "fast=True"]
        (option,) = await options(backend, task_id, session_id)
        assert (option.value, option.error) == (True, None)


async def test_what_was_set_outlives_an_agent_that_tells_its_options_only_later(place: InProcess) -> None:
    provider, agents = held(place)
    async with place.backend(provider, settings()) as backend:
        task_id, session_id = await ready(place, backend)
        changed = backend.commands._sessions.options.changed
        await changed(task_id, session_id, [OptionsChanged((FAST,))])
        agents.setting = setting = Hold()
        await backend.commands.set_option(session_id, "fast", SetOption(value=True))
        await setting.reached.wait()
        for told in ((), (FAST,)):
            await changed(task_id, session_id, [OptionsChanged(told)])
            (option,) = await options(backend, task_id, session_id)
            assert option.value is True
        setting.goes_on.set()


async def test_an_option_that_the_agent_takes_back_before_it_is_set_is_waited_for_no_more(place: InProcess) -> None:
    provider, agents = held(place)
    async with place.backend(provider, settings()) as backend:
        task_id, session_id = await ready(place, backend)
        changed = backend.commands._sessions.options.changed
        await changed(task_id, session_id, [OptionsChanged((FAST, SLOW))])
        agents.setting = setting = Hold()
        await backend.commands.set_option(session_id, "fast", SetOption(value=True))
        await setting.reached.wait()
        await backend.commands.set_option(session_id, "slow", SetOption(value=True))
        await changed(task_id, session_id, [OptionsChanged((FAST,))])
        setting.goes_on.set()
        await all_sent(place, backend, task_id)


async def test_an_option_that_is_set_while_its_session_is_opened_is_told_then(place: InProcess) -> None:
    provider, agents = held(place)
    async with place.backend(provider, settings()) as backend:
        task_id, _ = await ready(place, backend)
        opened, goes_on = anyio.Event(), anyio.Event()

        async def wait(session_id: str) -> None:
            await backend.commands._sessions.options.changed(task_id, session_id, [OptionsChanged((FAST,))])
            opened.set()
            await goes_on.wait()

        agents.opened = wait
        session = await backend.commands.add_session(task_id, CreateSession())
        await opened.wait()
        await backend.commands.set_option(session.session_id, "fast", SetOption(value=True))
        await anyio.wait_all_tasks_blocked()
        goes_on.set()
        await all_sent(place, backend, task_id)
        assert agents.did == ["fast=True"]


async def test_an_option_of_which_the_agent_said_nothing_is_told_again(place: InProcess) -> None:
    provider, agents = held(place)
    async with place.backend(provider, settings()) as backend:
        task_id, session_id = await ready(place, backend)
        await backend.commands._sessions.options.changed(task_id, session_id, [OptionsChanged((FAST,))])

        async def cut() -> None:
            agents.setting = None
            raise AgentError("the connection broke")

        agents.setting = cut
        await backend.commands.set_option(session_id, "fast", SetOption(value=True))
        await all_sent(place, backend, task_id)
        (option,) = await options(backend, task_id, session_id)
        assert (option.value, option.error) == (True, None)
