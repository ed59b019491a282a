"""Providers that break their promise, and clocks that go back: the backend in this process, over doubles of both."""

import anyio
import pytest
from msgspec import structs

from backend_stub.domain.call import Call
from backend_stub.domain.provider import Existing, Release, SandboxMade
from backend_stub.domain.storage import Change
from backend_stub.providers.demo import DemoProvider
from foundry_tui.contract.events import Topic, TopicKind
from foundry_tui.contract.records import ErrorKind, HistoryKind
from foundry_tui.contract.requests import ReleaseTask
from foundry_tui.contract.status import TaskStatus
from tests.backend.in_process import InProcess, has_status, settings, until

pytestmark = pytest.mark.anyio

DAY_MS = 86_400_000


class Stubborn(DemoProvider):
    """Its `create_sandbox` cannot be cancelled: it ends when the test lets it."""

    let: anyio.Event
    begun: anyio.Event

    async def create_sandbox(self, call: Call) -> SandboxMade:
        with anyio.CancelScope(shield=True):
            self.begun.set()
            await self.let.wait()
            return await super().create_sandbox(call)
        raise AssertionError("a shielded scope is not left early")


def stubborn(place: InProcess) -> Stubborn:
    provider = place.provider(Stubborn)
    assert isinstance(provider, Stubborn)
    provider.let, provider.begun = anyio.Event(), anyio.Event()
    return provider


class Broken(DemoProvider):
    """It raises what a provider must not raise."""

    async def ensure_name(self, call: Call) -> Existing:
        raise ZeroDivisionError("division by zero")

    async def destroy_sandbox(self, call: Call, how: Release) -> None:
        raise ZeroDivisionError("division by zero")


@pytest.mark.parametrize("archive", [False, True])
async def test_a_stage_that_ignores_cancellation_holds_nobody_up_and_leaves_nothing(
    place: InProcess, archive: bool
) -> None:
    provider = stubborn(place)
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        await provider.begun.wait()
        answered = await backend.commands.end(task_id, ReleaseTask(), archive=archive)
        assert answered.status in (TaskStatus.ARCHIVING, TaskStatus.KILLING)
        ended = await until(backend, task_id, has_status(TaskStatus.ARCHIVED if archive else TaskStatus.KILLED))
        assert "ignores being cancelled" in ended.leftovers[0].why
        provider.let.set()
        swept = await until(backend, task_id, lambda task: not task.leftovers)
        gone = HistoryKind.SANDBOX_RELEASED if archive else HistoryKind.SANDBOX_DESTROYED
        assert [event.kind for event in swept.history][-1] is gone
        assert await backend.storage.leftovers() == []


async def test_what_ignored_cancellation_is_removed_at_the_next_start_too(place: InProcess) -> None:
    provider = stubborn(place)
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        await provider.begun.wait()
        await backend.commands.end(task_id, ReleaseTask(), archive=False)
        await until(backend, task_id, has_status(TaskStatus.KILLED))
        # The sandbox comes into being, but the backend ends before it could remove it again.
        backend.provisioning.cancel(task_id)
        provider.let.set()
    async with place.backend(place.provider(), settings()) as backend:
        task = await until(backend, task_id, lambda task: not task.leftovers)
        assert task.status is TaskStatus.KILLED


@pytest.mark.slow
async def test_a_stage_that_ignores_its_time_out_fails_all_the_same(place: InProcess) -> None:
    provider = stubborn(place)
    async with place.backend(provider, settings(timeout_ms=50)) as backend:
        task_id = await place.create(backend)
        task = await until(backend, task_id, has_status(TaskStatus.ERROR))
        assert task.error is not None
        assert task.error.kind is ErrorKind.TIMEOUT
        assert task.stages[1].attempt == 2
        provider.let.set()
        await backend.commands.retry(task_id)
        done = await until(backend, task_id, has_status(TaskStatus.IDLE))
        assert HistoryKind.SANDBOX_CREATED in [event.kind for event in done.history] or done.sandbox is not None


async def test_a_defect_of_a_provider_is_said_and_costs_no_task(place: InProcess) -> None:
    async with place.backend(place.provider(Broken), settings()) as backend:
        task_id = await place.create(backend)
        task = await until(backend, task_id, has_status(TaskStatus.ERROR))
        assert task.error is not None
        assert (task.error.kind, task.error.stage) == (ErrorKind.INTERNAL, "ensure_name")
        assert "ZeroDivisionError" in task.error.message
    async with place.backend(place.provider(), settings()) as backend:
        await backend.commands.retry(task_id)
        await until(backend, task_id, has_status(TaskStatus.IDLE))
    async with place.backend(place.provider(Broken), settings()) as backend:
        await backend.commands.end(task_id, ReleaseTask(), archive=False)
        killed = await until(backend, task_id, has_status(TaskStatus.KILLED))
        assert "ZeroDivisionError" in killed.leftovers[0].why
    async with place.backend(place.provider(), settings()) as backend:
        await until(backend, task_id, lambda task: not task.leftovers)


async def test_a_task_of_a_provider_that_is_gone_says_so(place: InProcess) -> None:
    provider = stubborn(place)
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        await until(backend, task_id, has_status(TaskStatus.CREATE_SANDBOX))
        provider.let.set()
        backend.provisioning.cancel(task_id)
    other = place.provider()
    other.name = "other"
    async with place.backend(other, settings()) as backend:
        task = await until(backend, task_id, has_status(TaskStatus.ERROR))
        assert task.error is not None
        assert task.error.message == "the provider demo is not available in this backend"
        await backend.commands.end(task_id, ReleaseTask(), archive=False)
        killed = await until(backend, task_id, has_status(TaskStatus.KILLED))
        assert "not available" in killed.leftovers[0].why


async def test_a_clock_set_back_holds_up_neither_back_off_nor_deadline(place: InProcess) -> None:
    place.set_script({"default": {"create_sandbox": {"fail": "no room", "times": 1}}})
    async with place.backend(place.provider(), settings(backoff_ms=60_000)) as backend:
        task_id = await place.create(backend)
        await until(backend, task_id, lambda task: task.history[-1].kind is HistoryKind.STAGE_RETRYING)
    place.clock.step = -DAY_MS
    async with place.backend(place.provider(), settings(timeout_ms=5_000)) as backend:
        done = await until(backend, task_id, has_status(TaskStatus.IDLE))
    assert done.stages[1].attempt == 2
    assert [event.seq for event in done.history] == sorted(event.seq for event in done.history)
    assert done.history[-1].at < done.history[0].at
    assert done.stages[1].finished_at is not None


async def test_a_clock_set_back_by_little_makes_no_wait_longer(place: InProcess) -> None:
    place.set_script({"default": {"create_sandbox": {"fail": "no room", "times": 1}}})
    async with place.backend(place.provider(), settings(backoff_ms=200)) as backend:
        task_id = await place.create(backend)
        await until(backend, task_id, lambda task: task.history[-1].kind is HistoryKind.STAGE_RETRYING)
        place.clock.step = -30_000
        await until(backend, task_id, has_status(TaskStatus.IDLE))


async def test_a_clock_set_forward_ends_no_attempt_that_a_restart_cut(place: InProcess) -> None:
    place.set_script({"default": {"create_sandbox": {"hang": "before", "times": 1}}})
    async with place.backend(place.provider(), settings(timeout_ms=5_000)) as backend:
        task_id = await place.create(backend)
        await until(backend, task_id, has_status(TaskStatus.CREATE_SANDBOX))
    place.clock.step = DAY_MS
    async with place.backend(place.provider(), settings(timeout_ms=5_000)) as backend:
        done = await until(backend, task_id, has_status(TaskStatus.IDLE))
    assert done.stages[1].attempt == 1
    assert HistoryKind.STAGE_RETRYING not in [event.kind for event in done.history]


async def test_time_in_which_nobody_worked_does_not_count_against_a_stage(place: InProcess) -> None:
    place.set_script({"default": {"create_sandbox": {"hang": "before"}}})
    timeout, down = 60_000, 59_000
    async with place.backend(place.provider(), settings(timeout)) as backend:
        task_id = await place.create(backend)
        cut = await until(backend, task_id, has_status(TaskStatus.CREATE_SANDBOX))
    place.clock.step = down
    async with place.backend(place.provider(), settings(timeout)) as backend:
        resumed = await until(backend, task_id, lambda task: task.history[-1].kind is HistoryKind.PROVISION_RESUMED)
    before, after = cut.stages[1], resumed.stages[1]
    assert after.attempt == before.attempt == 1
    assert before.deadline_at is not None
    assert after.deadline_at is not None
    # What it had worked already counts, so that a stage does not outlive its time by being cut again and again.
    assert before.deadline_at + down - 5_000 <= after.deadline_at <= before.deadline_at + down + 5_000


async def test_a_turn_goes_on_though_its_task_was_changed_by_somebody_else_in_the_midst(place: InProcess) -> None:
    place.set_script({"default": {"turn": {"ms": 400, "reply": "Done."}}})
    provider = place.provider()
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        running = await until(backend, task_id, has_status(TaskStatus.RUNNING))
        state = await backend.storage.load(task_id)
        assert state is not None
        changed = structs.replace(state.task, unread=True, revision=state.task.revision + 1)
        await backend.storage.commit(Change(at=1, expected=state.version, task=changed, private=state.private))
        done = await until(backend, task_id, lambda task: task.status is not TaskStatus.RUNNING)
        assert done.status is TaskStatus.IDLE
        told = await backend.storage.events.snapshot(Topic(TopicKind.SESSION, running.sessions[0].session_id))
        assert told is not None
        assert b"Done." in b"".join(told.pieces)
