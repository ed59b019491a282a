"""Agents that break their promise or are met at a bad moment: nothing hangs, and nothing goes on unseen."""

import errno
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import anyio
import pytest

from backend_stub.agents.demo import DemoAgents
from backend_stub.domain.agent import OptionValue, Turn
from backend_stub.domain.call import Call
from backend_stub.domain.errors import AgentError, ProviderError
from backend_stub.domain.provider import Release
from backend_stub.providers.demo import DemoProvider
from backend_stub.server.backend import Backend
from backend_stub.task.sessions import ATTACHING
from foundry_tui.contract.attachments import NewAttachments
from foundry_tui.contract.codec import decode
from foundry_tui.contract.events import Topic, TopicKind
from foundry_tui.contract.records import (
    HistoryKind,
    Prompt,
    PromptState,
    SessionDetail,
    SessionStatus,
    SessionSummary,
)
from foundry_tui.contract.requests import AnswerPermission, CreatePrompt, CreateSession, ReleaseTask
from foundry_tui.contract.status import TaskStatus
from tests.backend.in_process import InProcess, has_status, settings, until

pytestmark = pytest.mark.anyio


class Odd(DemoAgents):
    """A demo agent that a test may make do other things. `did` tells what was asked of it, in order."""

    did: list[tuple[str, str]]
    closed: anyio.Event
    attaching: Callable[[], Awaitable[None]] | None = None
    creating: Callable[[SessionSummary], Awaitable[None]] | None = None
    delivering: Callable[[], Awaitable[None]] | None = None
    following: Callable[[Prompt], Awaitable[None]] | None = None
    stopping: Callable[[], Awaitable[None]] | None = None
    stopped: list[str]
    told_to_stop: anyio.Event

    async def attach(self, call: Call) -> None:
        if self.attaching is not None:
            await self.attaching()
        await super().attach(call)

    async def create_session(
        self, call: Call, session: SessionSummary, options: Mapping[str, OptionValue] | None = None
    ) -> None:
        if self.creating is not None:
            await self.creating(session)
        await super().create_session(call, session, options)

    async def deliver(self, call: Call, prompt: Prompt, turn: Turn, attachments: NewAttachments = ()) -> None:
        if self.delivering is not None:
            await self.delivering()
        await super().deliver(call, prompt, turn, attachments)

    async def follow(self, call: Call, prompt: Prompt, turn: Turn) -> None:
        if self.following is not None:
            await self.following(prompt)
        await super().follow(call, prompt, turn)

    async def stop(self, call: Call, session_id: str) -> None:
        if self.stopping is not None:
            await self.stopping()
        self.stopped.append(session_id)
        self.told_to_stop.set()

    async def close_session(self, call: Call, session_id: str) -> None:
        self.did.append(("closed", session_id))
        self.closed.set()


class OddProvider(DemoProvider):
    agents: Odd
    stays = False
    """Whether sandboxes cannot be destroyed."""
    forgotten: list[str]
    forgot: anyio.Event

    def forget(self, task_id: str) -> None:
        self.forgotten.append(task_id)
        self.forgot.set()

    async def destroy_sandbox(self, call: Call, how: Release) -> None:
        if self.stays:
            raise ProviderError("it stays", retryable=False)
        await super().destroy_sandbox(call, how)
        self.agents.did.append(("destroyed", call.task.task_id))


def odd(place: InProcess) -> OddProvider:
    provider = place.provider(OddProvider)
    assert isinstance(provider, OddProvider)
    provider.agents = Odd(provider._world, provider._script)
    provider.agents.did, provider.agents.closed, provider.agents.stopped = [], anyio.Event(), []
    provider.agents.told_to_stop = anyio.Event()
    provider.forgotten, provider.forgot = [], anyio.Event()
    return provider


async def session_of(backend: Backend, session_id: str, accept: Callable[[SessionDetail], bool]) -> SessionDetail:
    """The session once it is as wanted; told by its stream."""
    topic = Topic(TopicKind.SESSION, session_id)
    async for _ in backend.streams.stream(topic, None):
        snapshot = await backend.storage.events.snapshot(topic)
        assert snapshot is not None
        session = decode(b"".join(snapshot.pieces), SessionDetail)
        if accept(session):
            return session
    raise AssertionError("the stream ended first")


async def divide() -> None:
    raise ZeroDivisionError("division by zero")


async def test_a_defect_in_finding_an_agent_again_is_an_error_and_no_loop(place: InProcess) -> None:
    async with place.backend(odd(place), settings()) as backend:
        task_id = await place.create(backend)
        await until(backend, task_id, has_status(TaskStatus.IDLE))
    provider = odd(place)
    provider.agents.attaching = divide
    async with place.backend(provider, settings()) as backend:
        failed = await until(backend, task_id, has_status(TaskStatus.ERROR))
        assert failed.error is not None
        assert "ZeroDivisionError" in failed.error.message
        # All stages are done, so that what a retry does is to look for the agent.
        await backend.commands.retry(task_id)
        again = await until(
            backend, task_id, lambda task: [each.kind for each in task.history].count(HistoryKind.TASK_ERROR) == 2
        )
        assert again.status is TaskStatus.ERROR
        provider.agents.attaching = None
        await backend.commands.retry(task_id)
        await until(backend, task_id, has_status(TaskStatus.IDLE))


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        OSError(errno.EMFILE, "Too many open files"),
        OSError(errno.ENOSPC, "No space left on device"),
        MemoryError(),
        RuntimeError("can't start new thread"),
    ],
    ids=["descriptors", "disk", "memory", "threads"],
)
async def test_a_fault_of_this_machine_fails_no_task_that_is_ready(place: InProcess, fault: Exception) -> None:
    async with place.backend(odd(place), settings()) as backend:
        task_id = await place.create(backend)
        await until(backend, task_id, has_status(TaskStatus.IDLE))
    provider, tried, found = odd(place), 0, anyio.Event()

    async def attach() -> None:
        nonlocal tried
        tried += 1
        if tried <= 5:
            # As it comes through the layers: wrapped, once or twice.
            raise AgentError("the server does not answer") from ExceptionGroup("all failed", [fault])
        found.set()

    provider.agents.attaching = attach
    async with place.backend(provider, settings()) as backend:
        with anyio.fail_after(20):
            await found.wait()
        task = await backend.commands.task(task_id)
        assert task.status is TaskStatus.IDLE
        assert HistoryKind.TASK_ERROR not in [each.kind for each in task.history]
        tried = 0
        found = anyio.Event()
        session_id = task.sessions[0].session_id
        provider.agents.delivering = attach
        await backend.commands.prompt(session_id, CreatePrompt(prompt_id="after", text="go on"))
        with anyio.fail_after(20):
            await found.wait()
        task = await until(
            backend, task_id, lambda task: [each.kind for each in task.history].count(HistoryKind.PROMPT_ANSWERED) == 2
        )
        assert HistoryKind.TASK_ERROR not in [each.kind for each in task.history]


async def test_after_a_restart_no_more_agents_are_looked_for_at_once_than_there_are_places(place: InProcess) -> None:
    number = ATTACHING + 8
    async with place.backend(odd(place), settings()) as backend:
        task_ids = [await place.create(backend) for _ in range(number)]
        for task_id in task_ids:
            await until(backend, task_id, has_status(TaskStatus.IDLE))
    looking, most, found = 0, 0, 0
    full, go_on, all_found = anyio.Event(), anyio.Event(), anyio.Event()

    async def find() -> None:
        nonlocal looking, most, found
        looking += 1
        most = max(most, looking)
        if looking == ATTACHING:
            full.set()
        await go_on.wait()
        await anyio.lowlevel.checkpoint()
        looking -= 1
        found += 1
        if found == number:
            all_found.set()

    provider = odd(place)
    provider.agents.attaching = find
    async with place.backend(provider, settings()) as backend:
        await full.wait()
        # Whoever else was begun has read its rows once these are read.
        for task_id in (*task_ids, *task_ids):
            await backend.storage.task(task_id)
        go_on.set()
        await all_found.wait()
    print(f"{number} ready tasks, {most} looked for at once")
    assert most == ATTACHING


async def test_a_defect_in_opening_a_further_session_fails_that_session(place: InProcess) -> None:
    provider = odd(place)
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        await until(backend, task_id, has_status(TaskStatus.IDLE))

        async def break_down(session: SessionSummary) -> None:
            await divide()

        provider.agents.creating = break_down
        session_id = (await backend.commands.add_session(task_id, CreateSession())).session_id
        failed = await session_of(backend, session_id, lambda each: each.status is SessionStatus.ERROR)
        assert failed.error is not None
        assert "ZeroDivisionError" in failed.error.message
        assert (await backend.commands.task(task_id)).status is TaskStatus.IDLE


async def test_attempts_to_open_a_further_session_are_counted_over_restarts(place: InProcess) -> None:
    attempts, tried = 3, anyio.Event()
    patient = settings(attempts=attempts, backoff_ms=60_000)
    made = 0

    async def have_no_room(session: SessionSummary) -> None:
        nonlocal made
        made += 1
        tried.set()
        raise AgentError("no room")

    async with place.backend(odd(place), patient) as backend:
        task_id = await place.create(backend)
        await until(backend, task_id, has_status(TaskStatus.IDLE))
    session_id = ""
    for life in range(attempts):
        provider, tried = odd(place), anyio.Event()
        provider.agents.creating = have_no_room
        async with place.backend(provider, patient) as backend:
            if not session_id:
                session_id = (await backend.commands.add_session(task_id, CreateSession())).session_id
            await tried.wait()
            if life == attempts - 1:
                failed = await session_of(backend, session_id, lambda each: each.status is SessionStatus.ERROR)
                assert failed.error is not None
                assert failed.error.message == "no room"
            await place.until(partial(_is_noted, backend, task_id, life + 1, attempts))
        assert made == life + 1
        place.clock.step += patient.backoff(attempts, 1.0)
    async with place.backend(odd(place), patient) as backend:
        await backend.commands.prompt(session_id, CreatePrompt(prompt_id="again", text="Is there room now?"))
        await session_of(backend, session_id, lambda each: {one.state for one in each.prompts} == {"answered"})


async def _is_noted(backend: Backend, task_id: str, made: int, attempts: int) -> bool:
    state = await backend.storage.load(task_id)
    assert state is not None
    return [each.attempts for each in state.private.openings.values()] == ([made] if made < attempts else [])


async def test_a_prompt_to_a_session_that_could_not_be_opened_opens_it_again(place: InProcess) -> None:
    provider = odd(place)
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        await until(backend, task_id, has_status(TaskStatus.IDLE))

        async def break_down(session: SessionSummary) -> None:
            await divide()

        provider.agents.creating = break_down
        session_id = (await backend.commands.add_session(task_id, CreateSession())).session_id
        await backend.commands.prompt(session_id, CreatePrompt(prompt_id="kept", text="Kept while it failed"))
        await session_of(backend, session_id, lambda each: each.status is SessionStatus.ERROR)
        provider.agents.creating = None
        await backend.commands.prompt(session_id, CreatePrompt(prompt_id="more", text="And then?"))
        done = await session_of(backend, session_id, lambda each: {one.state for one in each.prompts} == {"answered"})
        assert [one.prompt_id for one in done.prompts] == ["kept", "more"]
        assert done.error is None


async def beside_a_failed_turn(place: InProcess, backend: Backend, agents: Odd, fails: anyio.Event) -> tuple[str, str]:
    """A task that one turn has failed, and the session of another turn in it, which fails once `fails` is set."""

    async def follow(prompt: Prompt) -> None:
        if prompt.text == "late":
            await fails.wait()
        raise AgentError("lost my way" if prompt.text == "soon" else "no more tokens")

    task_id = await place.create(backend)
    await until(backend, task_id, has_status(TaskStatus.IDLE))
    one = (await backend.commands.task(task_id)).sessions[0].session_id
    two = (await backend.commands.add_session(task_id, CreateSession())).session_id
    await session_of(backend, two, lambda each: each.status is SessionStatus.READY)
    agents.following = follow
    await backend.commands.prompt(two, CreatePrompt(prompt_id="late", text="late"))
    await session_of(backend, two, lambda each: each.status is SessionStatus.RUNNING)
    await backend.commands.prompt(one, CreatePrompt(prompt_id="soon", text="soon"))
    await until(backend, task_id, has_status(TaskStatus.ERROR))
    return task_id, two


async def test_a_turn_that_fails_while_its_task_is_tried_again_is_told(place: InProcess) -> None:
    provider, fails, looked = odd(place), anyio.Event(), anyio.Event()

    async def look() -> None:
        fails.set()
        looked.set()
        await anyio.sleep_forever()

    async with place.backend(provider, settings()) as backend:
        task_id, two = await beside_a_failed_turn(place, backend, provider.agents, fails)
        provider.agents.attaching = look
        await backend.commands.retry(task_id)
        await looked.wait()
        failed = await session_of(backend, two, lambda each: each.status is SessionStatus.ERROR)
        assert [each.state for each in failed.prompts] == ["failed"]
        assert (await backend.commands.task(task_id)).status is TaskStatus.CREATE_SESSION


async def test_the_agent_is_told_to_stop_also_in_a_task_that_failed(place: InProcess) -> None:
    provider = odd(place)
    async with place.backend(provider, settings()) as backend:
        _, two = await beside_a_failed_turn(place, backend, provider.agents, anyio.Event())
        await backend.commands.stop(two)
        await session_of(backend, two, lambda each: each.status is SessionStatus.READY)
        await backend.commands.close_session(two)
        await provider.agents.closed.wait()
        assert provider.agents.stopped[0] == two
        assert provider.agents.did == [("closed", two)]


async def test_an_agent_whose_turn_fails_of_a_defect_of_ours_is_told_to_stop(place: InProcess) -> None:
    provider = odd(place)

    async def fail(prompt: Prompt) -> None:
        await divide()

    provider.agents.following = fail
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        failed = await until(backend, task_id, has_status(TaskStatus.ERROR))
        assert failed.error is not None
        assert "ZeroDivisionError" in failed.error.message
        with anyio.fail_after(20):
            await provider.agents.told_to_stop.wait()
        assert provider.agents.stopped == [failed.sessions[0].session_id]


async def test_an_agent_that_was_not_told_of_a_stop_before_a_restart_is_told_then(place: InProcess) -> None:
    provider = odd(place)
    works, being_told = anyio.Event(), anyio.Event()

    async def work(prompt: Prompt) -> None:
        works.set()
        await anyio.sleep_forever()

    async def hang() -> None:
        being_told.set()
        await anyio.sleep_forever()

    provider.agents.following, provider.agents.stopping = work, hang
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        await works.wait()
        session_id = (await backend.commands.task(task_id)).sessions[0].session_id
        await backend.commands.stop(session_id)
        await being_told.wait()
        assert provider.agents.stopped == []
    provider = odd(place)
    async with place.backend(provider, settings()) as backend:
        await provider.agents.told_to_stop.wait()
        assert provider.agents.stopped == [session_id]
        await backend.commands.prompt(session_id, CreatePrompt(prompt_id="next", text="go on"))
        await session_of(backend, session_id, lambda each: each.prompts[-1].state is PromptState.ANSWERED)
    provider = odd(place)
    provider.agents.told_to_stop = anyio.Event()
    async with place.backend(provider, settings()) as backend:
        await backend.commands.prompt(session_id, CreatePrompt(prompt_id="last", text="go on"))
        await session_of(backend, session_id, lambda each: each.prompts[-1].state is PromptState.ANSWERED)
        assert provider.agents.stopped == [], "its last turn has ended by itself"


async def test_the_first_prompt_is_stopped_while_it_is_handed_over(place: InProcess) -> None:
    provider = odd(place)
    given, goes_on = anyio.Event(), anyio.Event()

    async def wait() -> None:
        given.set()
        await goes_on.wait()

    provider.agents.delivering = wait
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        await given.wait()
        session_id = (await backend.commands.task(task_id)).sessions[0].session_id
        await backend.commands.stop(session_id)
        goes_on.set()
        await until(backend, task_id, has_status(TaskStatus.IDLE))
        await provider.agents.told_to_stop.wait()
        session = await session_of(backend, session_id, lambda session: True)
        assert [prompt.state for prompt in session.prompts] == [PromptState.FAILED]
        assert provider.agents.stopped == [session_id]
        await backend.commands.stop(session_id)
        kinds = [event.kind for event in (await backend.commands.task(task_id)).history]
        assert kinds.count(HistoryKind.SESSION_STOPPED) == 1, "there was nothing left to stop"


async def test_what_a_lost_agent_asked_is_asked_no_more(place: InProcess) -> None:
    place.set_script({"default": {"turn": {"permission": "Run make?"}}})
    provider = odd(place)
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        task = await until(backend, task_id, lambda task: task.needs_input == 1)
        assert provider.agents.on_lost is not None
        await provider.agents.on_lost(task_id, task.sessions[0].session_id, "it crashed")
        lost = await until(backend, task_id, has_status(TaskStatus.ERROR))
        assert lost.needs_input == 0
        assert [each.state for each in lost.permissions] == ["cancelled"]


async def test_what_is_kept_of_a_pruned_task_goes_with_what_it_left_behind(place: InProcess) -> None:
    provider = odd(place)
    provider.stays = True
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        await until(backend, task_id, has_status(TaskStatus.IDLE))
        await backend.commands.end(task_id, ReleaseTask(force=True), archive=False)
        assert (await until(backend, task_id, has_status(TaskStatus.KILLED))).leftovers
        await backend.commands.prune(task_id)
    provider = odd(place)
    async with place.backend(provider, settings()) as backend:
        await provider.forgot.wait()
        assert not await backend.storage.leftovers()
    assert provider.forgotten == [task_id]


async def test_a_lost_agent_ends_no_turn_of_another(place: InProcess) -> None:
    place.set_script({"default": {"turn": {"permission": "Run make?"}}})
    provider = odd(place)
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        task = await until(backend, task_id, lambda task: task.needs_input == 1)
        other = (await backend.commands.add_session(task_id, CreateSession())).session_id
        await session_of(backend, other, lambda each: each.status is SessionStatus.READY)
        assert provider.agents.on_lost is not None
        await provider.agents.on_lost(task_id, other, "it crashed")
        failed = await until(backend, task_id, has_status(TaskStatus.ERROR))
        assert failed.needs_input == 1
        await backend.commands.answer(failed.permissions[0].permission_id, AnswerPermission(option_id="allow"))
        first = await session_of(
            backend, task.sessions[0].session_id, lambda each: each.prompts[0].state != "delivered"
        )
        assert [each.state for each in first.prompts] == ["answered"]


async def test_an_agent_is_told_of_a_session_that_was_closed_while_it_was_opened(place: InProcess) -> None:
    provider = odd(place)
    opening, goes_on = anyio.Event(), anyio.Event()

    async def wait(session: SessionSummary) -> None:
        opening.set()
        await goes_on.wait()

    provider.agents.creating = wait
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        await opening.wait()
        (session,) = (await backend.commands.task(task_id)).sessions
        await backend.commands.close_session(session.session_id)
        goes_on.set()
        await until(backend, task_id, has_status(TaskStatus.IDLE))
        with anyio.fail_after(5):
            await provider.agents.closed.wait()
        assert provider.agents.did == [("closed", session.session_id)]


async def test_a_kill_waits_for_an_agent_that_is_being_found_again(place: InProcess) -> None:
    async with place.backend(odd(place), settings()) as backend:
        task_id = await place.create(backend)
        await until(backend, task_id, has_status(TaskStatus.IDLE))
    provider = odd(place)
    finding, goes_on = anyio.Event(), anyio.Event()

    async def find() -> None:
        # What it begins it ends, such as starting a process.
        with anyio.CancelScope(shield=True):
            finding.set()
            await goes_on.wait()
            provider.agents.did.append(("found", task_id))

    provider.agents.attaching = find
    async with place.backend(provider, settings()) as backend:
        await finding.wait()
        await backend.commands.end(task_id, ReleaseTask(), archive=False)
        await until(backend, task_id, has_status(TaskStatus.KILLING))
        await anyio.wait_all_tasks_blocked()
        goes_on.set()
        await until(backend, task_id, has_status(TaskStatus.KILLED))
        assert provider.agents.did == [("found", task_id), ("destroyed", task_id)]
