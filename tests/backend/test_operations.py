"""Operations that wait for turns begin after these, however they end, and never while an agent may be at work."""

import errno
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import anyio
import pytest

from backend_stub.agents.demo import DemoAgents
from backend_stub.domain.agent import Turn
from backend_stub.domain.call import Call
from backend_stub.domain.errors import AgentError, ProviderError
from backend_stub.domain.storage import Change
from backend_stub.domain.way_home import Done
from backend_stub.providers.demo import DemoProvider
from backend_stub.server.backend import Backend
from backend_stub.task.actor import TaskActor
from foundry_tui.contract.attachments import NewAttachments
from foundry_tui.contract.operations import Commit, Land, Push
from foundry_tui.contract.pull_request import Checks, ChecksState, PullRequest, PullRequestState
from foundry_tui.contract.records import HistoryEvent, OperationState, Prompt, PromptState, SessionStatus, TaskDetail
from foundry_tui.contract.replace import replace
from foundry_tui.contract.requests import CreatePrompt, CreateSession
from foundry_tui.contract.status import TaskStatus
from foundry_tui.contract.work import Work
from tests.backend.in_process import InProcess, has_status, settings, until

pytestmark = pytest.mark.anyio


class Slow(DemoAgents):
    """An agent that is handed a prompt `again` slowly: until `let` is set."""

    let: anyio.Event
    asked: anyio.Event
    is_gone = False

    async def attach(self, call: Call) -> None:
        if self.is_gone:
            raise AgentError("It is gone.", retryable=False)
        await super().attach(call)

    async def deliver(self, call: Call, prompt: Prompt, turn: Turn, attachments: NewAttachments = ()) -> None:
        await super().deliver(call, prompt, turn, attachments)
        if prompt.text == "again":
            self.asked.set()
            await self.let.wait()


@pytest.fixture
def place(tmp_path: Path) -> InProcess:
    return InProcess(tmp_path)


def demo(place: InProcess) -> tuple[DemoProvider, Slow]:
    provider = place.provider()
    agents = provider.agents = Slow(provider._world, provider._script)
    agents.let, agents.asked = anyio.Event(), anyio.Event()
    return provider, agents


async def ready(place: InProcess, backend: Backend) -> tuple[str, str]:
    task_id = await place.create(backend)
    task = await until(backend, task_id, has_status(TaskStatus.IDLE))
    return task_id, task.sessions[0].session_id


def has_ended(task: TaskDetail) -> bool:
    return bool(task.operations) and task.operation is None


def has_ended_of(operation_id: str, task: TaskDetail) -> bool:
    return has_ended(task) and task.operations[-1].operation_id == operation_id


async def order(backend: Backend, task_id: str) -> list[str]:
    kinds = [str(each.kind) for each in (await backend.commands.task(task_id)).history]
    return [kind for kind in kinds if kind in ("task.idle", "operation.completed")]


async def test_it_waits_for_a_prompt_that_is_being_handed_over(place: InProcess) -> None:
    provider, agents = demo(place)
    async with place.backend(provider, settings()) as backend:
        task_id, session_id = await ready(place, backend)
        await backend.commands.prompt(session_id, CreatePrompt(prompt_id="p", text="again"))
        await agents.asked.wait()
        operation = await backend.operations.start(task_id, Commit(wait=True))
        await anyio.wait_all_tasks_blocked()
        agents.let.set()
        await until(backend, task_id, has_ended)
        assert await order(backend, task_id) == ["task.idle", "task.idle", "operation.completed"]
        assert (await backend.operations.start(task_id, Commit(operation_id=operation.operation_id))).result


async def test_it_waits_for_such_a_prompt_over_a_restart_and_neither_for_ever(place: InProcess) -> None:
    provider, agents = demo(place)
    async with place.backend(provider, settings()) as backend:
        task_id, session_id = await ready(place, backend)
        await backend.commands.prompt(session_id, CreatePrompt(prompt_id="p", text="again"))
        await agents.asked.wait()
        await backend.operations.start(task_id, Commit(wait=True))
    provider, agents = demo(place)
    agents.let.set()
    async with place.backend(provider, settings()) as backend:
        await until(backend, task_id, has_ended)
        assert await order(backend, task_id) == ["task.idle", "task.idle", "operation.completed"]
        detail = await backend.storage.load(task_id)
        assert detail is not None
        assert [each.state for each in detail.prompts[session_id]] == [PromptState.ANSWERED] * 2


async def test_it_begins_when_the_agent_of_a_turn_is_gone_after_a_restart(place: InProcess) -> None:
    provider, agents = demo(place)
    place.set_script({"default": {"turn": {"hang": "before"}}})
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        await until(backend, task_id, has_status(TaskStatus.RUNNING))
        await backend.operations.start(task_id, Commit(wait=True))
    provider, agents = demo(place)
    agents.is_gone = True
    async with place.backend(provider, settings()) as backend:
        ended = await until(backend, task_id, has_ended)
        assert (ended.status, ended.operations[-1].state) == (TaskStatus.ERROR, OperationState.DONE)


async def test_a_prompt_that_waits_for_it_goes_on_when_it_is_cancelled_before_it_began(place: InProcess) -> None:
    provider, _ = demo(place)
    place.set_script({"default": {"turn": {"permission": "Go on?"}}})
    async with place.backend(provider, settings()) as backend:
        task_id = await place.create(backend)
        await until(backend, task_id, lambda task: task.needs_input == 1)
        operation = await backend.operations.start(task_id, Commit(wait=True))
        other = await backend.commands.add_session(task_id, CreateSession())
        await backend.commands.prompt(other.session_id, CreatePrompt(prompt_id="p", text="more"))
        await until(backend, task_id, lambda task: task.sessions[-1].status is SessionStatus.READY)
        await anyio.wait_all_tasks_blocked()
        await backend.operations.cancel(operation.operation_id)
        await until(backend, task_id, lambda task: task.needs_input == 2)


async def test_the_same_one_sent_again_before_it_was_kept_changes_nothing(place: InProcess) -> None:
    provider, _ = demo(place)
    async with place.backend(provider, settings()) as backend:
        task_id, _ = await ready(place, backend)
        kept = backend.storage.operation

        async def not_yet(operation_id: str) -> None:
            """Both were looked for before either was kept."""

        setattr(backend.storage, "operation", not_yet)  # noqa: B010 - no type has methods that can be replaced
        both = [await backend.operations.start(task_id, Commit(operation_id="same")) for _ in range(2)]
        setattr(backend.storage, "operation", kept)  # noqa: B010 - as above
        assert {each.operation_id for each in both} == {"same"}
        task = await until(backend, task_id, lambda task: task.operation is None)
        assert [each.state for each in task.operations] == [OperationState.DONE]


async def test_landing_and_archiving_are_one_commit(place: InProcess) -> None:
    provider, _ = demo(place)
    async with place.backend(provider, settings()) as backend:
        task_id, _ = await ready(place, backend)
        committed: list[tuple[TaskStatus, bool]] = []
        commit = backend.storage.commit

        async def tell(change: Change) -> Sequence[HistoryEvent]:
            committed.append((change.task.status, has_ended(change.task)))
            return await commit(change)

        setattr(backend.storage, "commit", tell)  # noqa: B010 - no type has methods that can be replaced
        await backend.operations.start(task_id, Land(archive=True))
        await until(backend, task_id, has_status(TaskStatus.ARCHIVED))
        assert (TaskStatus.ARCHIVING, True) in committed
        assert (TaskStatus.IDLE, True) not in committed


@pytest.mark.parametrize("lost", [(), ("1 ignored file",)])
async def test_what_archiving_would_lose_is_as_of_the_landing_and_is_said(
    place: InProcess, lost: tuple[str, ...]
) -> None:
    provider, _ = demo(place)
    known: list[tuple[str, ...]] = []

    async def operate(*_: object) -> Done:
        known[:] = [("1 uncommitted file",)]
        return Done(result={"sha": "abc"}, archive=True)

    async def work(*_: object, **__: object) -> None:
        known[:] = [lost]

    def would_lose(*_: object, **__: object) -> Sequence[str]:
        return known[0]

    async with place.backend(provider, settings()) as backend:
        task_id, _ = await ready(place, backend)
        setattr(provider.way_home, "operate", operate)  # noqa: B010 - no type has methods that can be replaced
        setattr(provider, "work", work)  # noqa: B010 - the same
        setattr(provider, "would_lose", would_lose)  # noqa: B010 - the same
        await backend.operations.start(task_id, Land(archive=True))
        ended = (await until(backend, task_id, has_ended)).operations[-1]
        assert (ended.result or {}).get("not_archived", []) == list(lost)
        if not lost:
            await until(backend, task_id, has_status(TaskStatus.ARCHIVED))


class Look:
    """A look at the branch, which takes until it is `let`."""

    def __init__(self) -> None:
        self.begun, self.let = anyio.Event(), anyio.Event()
        self.has_ended_there = False

    async def __call__(self, call: Call, *, after_turn: bool) -> Work | None:
        if not self.has_ended_there:
            return None
        self.begun.set()
        await self.let.wait()
        # Later than the end by any clock.
        return Work(base="main", ahead=1, behind=0, files=1, at=call.task.updated_at + 60_000)


@pytest.mark.parametrize("fails", [True, False])
async def test_its_end_waits_for_no_look_at_the_branch_and_what_is_found_then_is_as_of_its_end(
    place: InProcess, fails: bool
) -> None:
    provider, _ = demo(place)
    look, gave_up = Look(), []

    async def operate(*_: object) -> Done:
        look.has_ended_there = True
        if fails:
            raise ProviderError("It is refused.", retryable=False)
        return Done()

    async def abandon(*_: object) -> None:
        gave_up.append("taken back")

    async with place.backend(provider, settings()) as backend:
        task_id, _ = await ready(place, backend)
        setattr(provider, "work", look)  # noqa: B010 - no type has methods that can be replaced
        setattr(provider.way_home, "operate", operate)  # noqa: B010 - the same
        setattr(provider.way_home, "abandon", abandon)  # noqa: B010 - the same
        operation = await backend.operations.start(task_id, Push())
        await look.begun.wait()
        assert has_ended(await backend.commands.task(task_id))
        cancelled = await backend.operations.cancel(operation.operation_id)
        look.let.set()
        task = await until(backend, task_id, lambda task: task.work is not None and task.work.ahead == 1)
        assert cancelled == task.operations[-1]
        assert (cancelled.state, gave_up) == (OperationState.FAILED if fails else OperationState.DONE, [])
        assert task.work is not None
        assert task.work.at == cancelled.finished_at


async def test_checks_of_an_older_commit_count_no_more_once_another_was_pushed(place: InProcess) -> None:
    provider, _ = demo(place)
    told: list[Done] = []

    async def operate(*_: object) -> Done:
        return told.pop(0)

    async with place.backend(provider, settings()) as backend:
        task_id, _ = await ready(place, backend)
        setattr(provider.way_home, "operate", operate)  # noqa: B010 - no type has methods that can be replaced
        checks = Checks(state=ChecksState.FAILING, failed=1, names=("build",))
        opened = PullRequest(number=1, url="u", title="t", state=PullRequestState.OPEN, at=1, checks=checks)
        merged = replace(opened, state=PullRequestState.MERGED)
        told += [Done(pull_request=opened), Done(), Done(pushed=True), Done(pull_request=merged), Done(pushed=True)]
        for expected in (checks, checks, Checks(), checks, checks):
            begun = await backend.operations.start(task_id, Push())
            task = await until(backend, task_id, partial(has_ended_of, begun.operation_id))
            assert task.pull_request is not None
            assert task.pull_request.checks == expected


async def test_what_is_done_is_not_taken_back_by_a_cancel_that_comes_as_that_is_written(
    place: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, _ = demo(place)
    writes, let, gave_up = anyio.Event(), anyio.Event(), []

    async def operate(*_: object) -> Done:
        return Done(result={"sha": "abc"})

    async def abandon(*_: object) -> None:
        gave_up.append("taken back")

    async def load_items(*_: object) -> None:
        writes.set()
        await let.wait()

    async with place.backend(provider, settings()) as backend:
        task_id, _ = await ready(place, backend)
        setattr(provider.way_home, "operate", operate)  # noqa: B010 - no type has methods that can be replaced
        setattr(provider.way_home, "abandon", abandon)  # noqa: B010 - the same
        monkeypatch.setattr(TaskActor, "load_items", load_items)
        operation = await backend.operations.start(task_id, Push())
        await writes.wait()
        await backend.operations.cancel(operation.operation_id)
        let.set()
        ended = (await until(backend, task_id, has_ended)).operations[-1]
        assert (ended.state, ended.result, gave_up) == (OperationState.DONE, {"sha": "abc"}, [])


async def test_what_ended_in_an_unforeseen_way_is_taken_back(place: InProcess) -> None:
    provider, _ = demo(place)
    gave_up = []

    async def operate(*_: object) -> Done:
        raise PermissionError(errno.EACCES, "Permission denied")

    async def abandon(*_: object) -> None:
        gave_up.append("taken back")

    async with place.backend(provider, settings()) as backend:
        task_id, _ = await ready(place, backend)
        setattr(provider.way_home, "operate", operate)  # noqa: B010 - no type has methods that can be replaced
        setattr(provider.way_home, "abandon", abandon)  # noqa: B010 - the same
        await backend.operations.start(task_id, Push())
        ended = (await until(backend, task_id, has_ended)).operations[-1]
        assert (ended.state, gave_up) == (OperationState.FAILED, ["taken back"])
