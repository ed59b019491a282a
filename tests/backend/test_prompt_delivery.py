"""A prompt that is being handed over stays as it is, also when the backend is cut at that moment: the agent gets each
prompt once, and the rows say what it got.
"""

from dataclasses import dataclass, field

import anyio
import pytest

from backend_stub.agents.demo import DemoAgents
from backend_stub.domain.agent import Turn
from backend_stub.domain.call import Call
from backend_stub.domain.errors import AgentError, RefusedError
from backend_stub.domain.events import Committed, Event
from backend_stub.providers.demo import DemoProvider
from backend_stub.server.backend import Backend
from backend_stub.storage.table_events import TableEvents
from foundry_tui.contract.attachments import NewAttachments
from foundry_tui.contract.events import EventName
from foundry_tui.contract.records import HistoryKind, Prompt, PromptState, TaskDetail
from foundry_tui.contract.requests import CreatePrompt, EditPrompt, RetryTask
from foundry_tui.contract.status import TaskStatus
from tests.backend.in_process import InProcess, has_status, settings, until

pytestmark = pytest.mark.anyio

OTHER = EditPrompt(text="something else")


@dataclass
class Gate:
    """Where an agent is held up as it takes a prompt."""

    reached: anyio.Event = field(default_factory=anyio.Event)
    opens: anyio.Event = field(default_factory=anyio.Event)

    async def passed(self) -> None:
        self.reached.set()
        await self.opens.wait()


class Full(Gate):
    """Nothing passes, since this machine has no room for it."""

    async def passed(self) -> None:
        self.reached.set()
        raise AgentError("the server does not answer") from MemoryError()


class SlowAgents(DemoAgents):
    """A demo agent that is held up before and after it has taken a prompt. `got` has the texts, in order."""

    before: Gate | None = None
    after: Gate | None = None
    got: list[str]
    fails: frozenset[str] = frozenset()
    """The texts whose turns fail."""
    hangs: frozenset[str] = frozenset()
    """The texts whose turns go on until they are stopped."""
    stopped = 0
    """How often it was told to stop."""

    async def stop(self, call: Call, session_id: str) -> None:
        self.stopped += 1
        await super().stop(call, session_id)

    async def follow(self, call: Call, prompt: Prompt, turn: Turn) -> None:
        if prompt.text in self.hangs:
            await anyio.sleep_forever()
        if prompt.text in self.fails:
            raise AgentError("no more tokens")
        await super().follow(call, prompt, turn)

    async def deliver(self, call: Call, prompt: Prompt, turn: Turn, attachments: NewAttachments = ()) -> None:
        if self.before is not None:
            await self.before.passed()
        if prompt.prompt_id not in self._world.prompts:
            self.got.append(prompt.text)
        await super().deliver(call, prompt, turn, attachments)
        if self.after is not None:
            await self.after.passed()


def slow(place: InProcess, got: list[str]) -> tuple[DemoProvider, SlowAgents]:
    provider = place.provider()
    agents = SlowAgents(provider._world, provider._script)
    agents.got = got
    provider.agents = agents
    return provider, agents


def answered(task: TaskDetail) -> int:
    return [event.kind for event in task.history].count(HistoryKind.PROMPT_ANSWERED)


async def stays(backend: Backend, session_id: str, prompt_id: str) -> None:
    """The prompt can neither be edited nor withdrawn."""
    for change in (
        backend.commands.edit_prompt(session_id, prompt_id, OTHER),
        backend.commands.withdraw_prompt(session_id, prompt_id),
    ):
        with pytest.raises(RefusedError) as refusal:
            await change
        assert refusal.value.problem.status == 409


async def first_prompt(backend: Backend, task_id: str) -> Prompt:
    state = await backend.storage.load(task_id)
    assert state is not None
    (prompts,) = state.prompts.values()
    return prompts[0]


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_first_prompt_that_is_being_handed_over_stays_as_it_is_over_a_cut(
    place: InProcess, moment: str
) -> None:
    got: list[str] = []
    provider, agents = slow(place, got)
    gate = Gate()
    setattr(agents, moment, gate)
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        await gate.reached.wait()
        prompt = await first_prompt(backend, task_id)
        await stays(backend, prompt.session_id, prompt.prompt_id)
    provider, agents = slow(place, got)
    agents.before = gate = Gate()
    async with place.backend(provider, settings()) as backend:
        await gate.reached.wait()
        await stays(backend, prompt.session_id, prompt.prompt_id)
        gate.opens.set()
        task = await until(backend, task_id, has_status(TaskStatus.IDLE))
        assert task.prompt == "fix the login"
    assert got == ["fix the login"]


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_later_prompt_that_is_being_handed_over_stays_as_it_is_over_a_cut(
    place: InProcess, moment: str
) -> None:
    got: list[str] = []
    provider, agents = slow(place, got)
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        await until(backend, task_id, has_status(TaskStatus.IDLE))
        session_id = (await first_prompt(backend, task_id)).session_id
        gate = Gate()
        setattr(agents, moment, gate)
        await backend.commands.prompt(session_id, CreatePrompt(prompt_id="next", text="and then"))
        await gate.reached.wait()
        await stays(backend, session_id, "next")
        await backend.commands.prompt(session_id, CreatePrompt(prompt_id="waits", text="and last"))
    provider, agents = slow(place, got)
    agents.before = gate = Gate()
    async with place.backend(provider, settings()) as backend:
        await gate.reached.wait()
        await stays(backend, session_id, "next")
        edited = await backend.commands.edit_prompt(session_id, "waits", OTHER)
        assert edited.state is PromptState.QUEUED
        gate.opens.set()
        await until(backend, task_id, lambda task: answered(task) == 3)
    assert got == ["fix the login", "and then", OTHER.text]


async def test_what_another_host_has_changed_does_not_stop_the_handing_over(place: InProcess) -> None:
    got: list[str] = []
    provider, agents = slow(place, got)
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        task = await until(backend, task_id, has_status(TaskStatus.IDLE))
        session_id = task.sessions[0].session_id
        agents.after = gate = Gate()
        await backend.commands.prompt(session_id, CreatePrompt(prompt_id="next", text="and then"))
        await gate.reached.wait()
        events = backend.storage.events
        assert isinstance(events, TableEvents)
        events.tell(Committed((Event(1, EventName.TASK, task_id, "", task),), None))
        await anyio.wait_all_tasks_blocked()
        gate.opens.set()
        await until(backend, task_id, lambda task: answered(task) == 2)
    assert (got, agents.stopped) == (["fix the login", "and then"], 0)


async def test_a_prompt_that_the_agent_may_have_is_ended_by_a_stop(place: InProcess) -> None:
    got: list[str] = []
    provider, agents = slow(place, got)
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        await until(backend, task_id, has_status(TaskStatus.IDLE))
        session_id = (await first_prompt(backend, task_id)).session_id
        agents.after = gate = Gate()
        await backend.commands.prompt(session_id, CreatePrompt(prompt_id="next", text="and then"))
        await gate.reached.wait()
        await backend.commands.stop(session_id)
        agents.after = None
        await backend.commands.prompt(session_id, CreatePrompt(prompt_id="last", text="and last"))
        await until(backend, task_id, lambda task: answered(task) == 2)
        state = await backend.storage.load(task_id)
        assert state is not None
        assert [each.state for each in state.prompts[session_id]] == ["answered", "failed", "answered"]
        assert state.private.delivering == ()
    assert got == ["fix the login", "and then", "and last"]


async def test_a_first_prompt_is_stopped_while_it_is_handed_over(place: InProcess) -> None:
    provider, agents = slow(place, [])
    agents.before = gate = Gate()
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        await gate.reached.wait()
        prompt = await first_prompt(backend, task_id)
        await backend.commands.stop(prompt.session_id)
        gate.opens.set()
        task = await until(backend, task_id, has_status(TaskStatus.IDLE))
        assert (await first_prompt(backend, task_id)).state is PromptState.FAILED
        kinds = [event.kind for event in task.history]
        assert HistoryKind.SESSION_STOPPED in kinds
        assert HistoryKind.TASK_RUNNING not in kinds


async def test_what_could_not_be_handed_over_for_want_of_room_is_ended_by_a_stop(place: InProcess) -> None:
    provider, agents = slow(place, [])
    full = Full()
    async with place.backend(provider, settings(backoff_ms=60_000)) as backend:
        task_id = await place.create(backend)
        await until(backend, task_id, has_status(TaskStatus.IDLE))
        session_id = (await first_prompt(backend, task_id)).session_id
        agents.before = full
        await backend.commands.prompt(session_id, CreatePrompt(prompt_id="next", text="and then"))
        await full.reached.wait()
        await stays(backend, session_id, "next")
        agents.before = None
        await backend.commands.stop(session_id)
        await backend.commands.prompt(session_id, CreatePrompt(prompt_id="last", text="and last"))
        await until(backend, task_id, lambda task: answered(task) == 2)


async def test_the_turn_that_failed_is_sent_again_also_if_what_was_said_after_it_went_first(place: InProcess) -> None:
    got: list[str] = []
    provider, agents = slow(place, got)
    agents.hangs, agents.fails = frozenset({"fix the login"}), frozenset({"and then"})
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        await until(backend, task_id, has_status(TaskStatus.RUNNING))
        session_id = (await first_prompt(backend, task_id)).session_id
        await backend.commands.prompt(session_id, CreatePrompt(prompt_id="next", text="and then"))
        await backend.commands.prompt(session_id, CreatePrompt(prompt_id="first", text="but first", steer=True))
        await until(backend, task_id, has_status(TaskStatus.ERROR))
        agents.fails = frozenset()
        await backend.commands.retry(task_id, RetryTask(resend=True))
        await until(backend, task_id, lambda task: answered(task) == 2)
    assert got == ["fix the login", "but first", "and then", "and then"]


async def test_a_prompt_that_steers_goes_first_also_as_the_next_one_is_about_to_be_handed_over(
    place: InProcess,
) -> None:
    got: list[str] = []
    provider, _ = slow(place, got)
    finding = Gate()
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        await until(backend, task_id, has_status(TaskStatus.IDLE))
        session_id = (await first_prompt(backend, task_id)).session_id

        async def find_branch(call: Call) -> str | None:
            await finding.passed()
            return call.task.branch

        provider.find_branch = find_branch  # type: ignore[method-assign]
        await backend.commands.prompt(session_id, CreatePrompt(prompt_id="next", text="and then"))
        await finding.reached.wait()
        await backend.commands.prompt(session_id, CreatePrompt(prompt_id="first", text="but first", steer=True))
        finding.opens.set()
        await until(backend, task_id, lambda task: answered(task) == 3)
    assert got == ["fix the login", "but first", "and then"]
