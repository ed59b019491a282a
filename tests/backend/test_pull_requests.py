"""Pull requests are looked at anew by need: while they may change and somebody reads, and not through a rate limit."""

from pathlib import Path

import anyio
import pytest

from backend_stub.dispatch import embedded
from backend_stub.domain.call import Call
from backend_stub.domain.clock import wall_clock
from backend_stub.domain.forge import ForgeLimitedError
from backend_stub.server.backend import Backend
from backend_stub.task import pull_requests
from foundry_tui.contract.operations import PullRequest as Wanted
from foundry_tui.contract.pull_request import Mergeable, PullRequest, PullRequestState
from foundry_tui.contract.records import TaskDetail
from foundry_tui.contract.replace import replace
from foundry_tui.contract.status import TaskStatus
from tests.backend.in_process import InProcess, has_status, settings, until

pytestmark = pytest.mark.anyio
PULL = PullRequest(number=7, url="u", title="t", state=PullRequestState.OPEN, mergeable=Mergeable.YES, at=1)


class Forge:
    """What is answered to each look, the last one again and again."""

    def __init__(self, *answers: PullRequest | Exception) -> None:
        self.answers = list(answers)
        self.looks = 0
        self.looked = anyio.Event()

    async def pull_request(self, call: Call) -> PullRequest:
        self.looks += 1
        self.looked.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def opened(world: InProcess, backend: Backend) -> str:
    """A task whose pull request is open; nobody reads it."""
    task_id = await world.create(backend)
    await until(backend, task_id, has_status(TaskStatus.IDLE))
    await backend.operations.start(task_id, Wanted())
    await until(backend, task_id, lambda task: task.pull_request is not None and task.operation is None)
    return task_id


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull_requests, "SOONEST_MS", 20)
    monkeypatch.setattr(pull_requests, "LATEST_MS", 60)


async def test_it_is_looked_at_until_it_is_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forge = Forge(PULL, PULL, replace(PULL, comments=2), replace(PULL, state=PullRequestState.MERGED))
    world = InProcess(tmp_path)
    provider = world.provider()
    monkeypatch.setattr(provider.way_home, "pull_request", forge.pull_request)
    async with world.backend(provider, settings()) as backend:
        task_id = await opened(world, backend)
        seen: list[int] = []

        def merged(task: TaskDetail) -> bool:
            if not seen:
                backend.pull_requests.look(task_id)
            assert task.pull_request is not None
            seen.append(task.pull_request.comments)
            return task.pull_request.state is PullRequestState.MERGED

        await until(backend, task_id, merged)
        assert 2 in seen
        looks = forge.looks
        backend.pull_requests.look(task_id)
        await until(backend, task_id, lambda task: True)
        assert forge.looks == looks == 4


async def test_when_it_was_looked_at_is_told_though_there_is_no_news(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge = Forge(PULL, replace(PULL, at=2), replace(PULL, at=3))
    world = InProcess(tmp_path)
    provider = world.provider()
    monkeypatch.setattr(provider.way_home, "pull_request", forge.pull_request)
    async with world.backend(provider, settings()) as backend:
        task_id = await opened(world, backend)
        before = (await backend.commands.task(task_id)).updated_at

        def looked_at(task: TaskDetail) -> bool:
            backend.pull_requests.look(task_id)
            return task.pull_request is not None and task.pull_request.at == 3

        await until(backend, task_id, looked_at)
        assert (await backend.commands.task(task_id)).updated_at == before, "that is no news of the task"


async def test_whoever_asks_what_is_said_of_it_has_it_looked_at_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull_requests, "SOONEST_MS", 3_600_000)
    monkeypatch.setattr(pull_requests, "AGAIN_MS", 0)
    forge = Forge(replace(PULL, state=PullRequestState.CLOSED))
    world = InProcess(tmp_path)
    provider = world.provider()
    monkeypatch.setattr(provider.way_home, "pull_request", forge.pull_request)
    async with world.backend(provider, settings()) as backend:
        task_id = await opened(world, backend)
        read = anyio.Event()

        def closed(task: TaskDetail) -> bool:
            read.set()
            return task.pull_request is not None and task.pull_request.state is PullRequestState.CLOSED

        async def ask() -> None:
            await read.wait()
            await backend.pull_requests.comments(task_id)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await until(backend, task_id, closed)
        assert forge.looks == 1


async def test_a_limit_that_says_its_end_is_kept_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = InProcess(tmp_path)
    provider = world.provider()
    async with world.backend(provider, settings()) as backend:
        until_ms = wall_clock() + 600
        forge = Forge(ForgeLimitedError("later", until=until_ms), replace(PULL, state=PullRequestState.CLOSED))
        monkeypatch.setattr(provider.way_home, "pull_request", forge.pull_request)
        task_id = await opened(world, backend)

        def closed(task: TaskDetail) -> bool:
            if forge.looks == 0:
                backend.pull_requests.look(task_id)
            return task.pull_request is not None and task.pull_request.state is PullRequestState.CLOSED

        await until(backend, task_id, closed)
        assert wall_clock() >= until_ms
        assert forge.looks == 2


async def test_a_limit_does_not_outlast_a_clock_that_is_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = InProcess(tmp_path)
    provider = world.provider()
    # What is due at a time that has not come again is looked at without a wait.
    monkeypatch.setattr(embedded, "LONGEST_WAIT_MS", 0)
    monkeypatch.setattr(pull_requests, "SOONEST_MS", 0)
    async with world.backend(provider, settings()) as backend:
        forge = Forge(
            ForgeLimitedError("later", until=world.clock.now() + 600_000), replace(PULL, state=PullRequestState.CLOSED)
        )
        monkeypatch.setattr(provider.way_home, "pull_request", forge.pull_request)
        task_id = await opened(world, backend)

        def closed(task: TaskDetail) -> bool:
            backend.pull_requests.look(task_id)
            if forge.looks == 1:
                world.clock.step = -24 * 3_600_000
            return task.pull_request is not None and task.pull_request.state is PullRequestState.CLOSED

        await until(backend, task_id, closed)
        assert forge.looks == 2


async def test_nobody_s_is_not_looked_at_and_a_limit_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge = Forge(ForgeLimitedError("later"), replace(PULL, state=PullRequestState.CLOSED))
    world = InProcess(tmp_path)
    provider = world.provider()
    monkeypatch.setattr(provider.way_home, "pull_request", forge.pull_request)
    # Whoever waits until it is open reads it, and nothing is to be due as long as that is so.
    monkeypatch.setattr(pull_requests, "SOONEST_MS", 60_000)
    async with world.backend(provider, settings()) as backend:
        task_id = await opened(world, backend)
        monkeypatch.setattr(pull_requests, "SOONEST_MS", 0)
        backend.pull_requests.look(task_id)
        await anyio.wait_all_tasks_blocked()
        assert forge.looks == 0, "nobody reads it"
        monkeypatch.setattr(pull_requests, "LATEST_MS", 300)
        begun = anyio.current_time()

        def closed(task: TaskDetail) -> bool:
            if forge.looks == 0:
                backend.pull_requests.look(task_id)
            return task.pull_request is not None and task.pull_request.state is PullRequestState.CLOSED

        await until(backend, task_id, closed)
        assert anyio.current_time() - begun >= 0.25
        assert forge.looks == 2
