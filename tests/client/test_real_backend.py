"""The client against the real backend, through a proxy that cuts, halves, delays, slows and stalls."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
import pytest

import foundry_tui.client.stream
from foundry_tui.client.api import Api
from foundry_tui.client.commands import CommandProblem
from foundry_tui.client.connection import Target, make_http
from foundry_tui.client.connection_state import ConnectionState
from foundry_tui.client.foundry import Foundry
from foundry_tui.client.freshness import FreshnessState
from foundry_tui.client.replicas import HISTORY_WINDOW
from foundry_tui.contract.events import TASKS, Topic, TopicKind
from foundry_tui.contract.requests import CreateTask
from foundry_tui.contract.status import TaskStatus
from tests.backend.process import BackendProcess
from tests.client.proxy import FAULTS, FaultProxy

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SEED = int(os.environ.get("FOUNDRY_TEST_SEED", "20261123"))
FAULT_COUNT = 200
PATIENCE = 40.0
"""Seconds after which the store counts as never becoming as it is to be."""

SCRIPT = {
    "default": {
        "ensure_name": {"ms": 10},
        "create_sandbox": {"ms": 30, "log": ["one", "two"]},
        "ensure_agent": {"ms": 10},
        "create_session": {"ms": 10},
        "turn": {"ms": 60, "reply": "Done \u2028 and well."},
    }
}


@pytest.fixture
def backend(stopped: BackendProcess) -> BackendProcess:
    stopped.set_script(SCRIPT)
    return stopped.start()


@pytest.fixture(autouse=True)
async def _reads_that_end_twice() -> None:
    """anyio answers a read of a Unix socket that was cancelled in the turn of the loop in which its bytes came, and
    the loop tells of it. Nothing is lost by that: whoever cancels a read closes the connection."""
    loop = asyncio.get_running_loop()
    told = loop.get_exception_handler()

    def tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        twice = isinstance(context.get("exception"), asyncio.InvalidStateError)
        if not (twice and "Future.set_result" in repr(context.get("handle"))) and told is not None:
            told(loop, context)

    loop.set_exception_handler(tell)


@asynccontextmanager
async def running(target: Target, seed: int = SEED) -> AsyncIterator[Foundry]:
    """A client that runs."""
    foundry = Foundry(target, rng=random.Random(seed))
    async with anyio.create_task_group() as group:
        await group.start(foundry.run)
        yield foundry
        group.cancel_scope.cancel()


async def difference(foundry: Foundry, api: Api) -> str:
    """What tells the store from a fresh snapshot of everything; empty when nothing does."""
    store = foundry.store
    snapshot = await api.tasks()
    true = {task.task_id: task for task in snapshot.tasks}
    if store.creations:
        return f"{len(store.creations)} creations are unanswered"
    if dict(store.tasks) != true:
        ids = true.keys() | store.tasks.keys()
        wrong = [task_id for task_id in ids if store.tasks.get(task_id) != true.get(task_id)]
        return f"{len(wrong)} of {len(true)} tasks differ"
    if dict(store.repos) != {repo.repo_id: repo for repo in snapshot.repos}:
        return "repositories differ"
    for topic in foundry.subscriptions.topics():
        kind, _, id_ = topic.topic.partition(":")
        if kind == TopicKind.TASK:
            task, detail = await api.task(id_), store.detail(id_)
            # The store keeps what it has seen; the backend sends the latest events only.
            if detail is None or msgspec.structs.replace(detail, history=detail.history[-HISTORY_WINDOW:]) != task:
                return f"{topic.topic} differs"
        if kind == TopicKind.LOG and tuple(store.log(id_)) != (await api.log(id_)).lines:
            return f"{topic.topic} differs"
        if kind == TopicKind.SESSION:
            session, known = await api.session(id_), store.session(id_)
            if known is None or msgspec.structs.replace(known, transcript=tuple(store.transcript(id_))) != session:
                return f"{topic.topic} differs"
    return ""


async def converge(foundry: Foundry, api: Api) -> None:
    """Wait until the store is what the server is; fails with what differs."""
    found = "nothing was compared"

    async def is_alike() -> bool:
        nonlocal found
        found = await difference(foundry, api)
        return not found

    with anyio.move_on_after(PATIENCE):
        await told(foundry, is_alike)
    assert not found, found


async def told(foundry: Foundry, is_so: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it is so; looked at again after each change that the store tells of."""
    changed = anyio.Event()
    forget = foundry.store.listen(lambda changes: changed.set())
    try:
        while not await is_so():
            await changed.wait()
            changed = anyio.Event()
    finally:
        forget()


async def test_through_a_proxy_that_breaks_everything(
    backend: BackendProcess,
    monkeypatch: pytest.MonkeyPatch,
    tell: Callable[[str], None],
) -> None:
    # Silence is judged in seconds instead of a quarter of a minute, so that many stalls fit into a test: above what
    # the backend needs to answer, far below its pings, so that each silent stream is replaced again and again.
    monkeypatch.setattr(foundry_tui.client.stream, "QUIET_AFTER", 1.0)
    monkeypatch.setattr(foundry_tui.client.stream, "SILENCE_LIMIT", 1.5)
    rng = random.Random(SEED)
    proxy = FaultProxy(backend.runtime / "p.sock", backend.socket, SEED)
    problems: list[CommandProblem] = []
    lies: list[str] = []
    async with make_http(Target.parse(f"unix:{backend.socket}")) as direct, anyio.create_task_group() as group:
        await group.start(proxy.run)
        api = Api(direct)
        async with running(Target.parse(f"unix:{proxy.front}")) as foundry:
            foundry.commands.on_problem = problems.append
            made: list[str] = []
            foundry.commands.hold(TASKS)

            def look() -> None:
                for topic in foundry.subscriptions.topics():
                    if topic.link == ConnectionState.WAITING:
                        # Nothing of it can be known yet; it is as fresh as the list.
                        continue
                    live = topic.freshness.state is FreshnessState.LIVE
                    if live and (topic.link != ConnectionState.LIVE or topic.freshness.retry_at is not None):
                        lies.append(f"{topic.topic} claims live while {topic.link}")

            while sum(proxy.faults.values()) < FAULT_COUNT:
                if len(made) < 12 and rng.random() < 0.3:
                    request = CreateTask(
                        repo=str(backend.repository), prompt=f"Task {len(made)} é 日本", provider="demo"
                    )
                    task_id = foundry.commands.create(request)
                    made.append(task_id)
                    if len(made) <= 3:
                        foundry.commands.hold(Topic(TopicKind.TASK, task_id))
                        foundry.commands.hold(Topic(TopicKind.LOG, task_id))
                        foundry.commands.hold(
                            Topic(TopicKind.SESSION, foundry.store.tasks[task_id].sessions[0].session_id)
                        )
                elif made:
                    task_id = rng.choice(made)
                    foundry.commands.rename(task_id, f"Title {rng.random()}")
                    task = foundry.store.tasks[task_id]
                    if task.status is TaskStatus.IDLE and rng.random() < 0.5:
                        foundry.commands.prompt(task.sessions[0].session_id, f"more {rng.random()}")
                for _ in range(3):
                    proxy.strike(rng.choice(FAULTS))
                if rng.random() < 0.3:
                    # As an impatient user would; otherwise most of the test would be spent in back-off.
                    foundry.commands.reconnect()
                await anyio.sleep(rng.choice([0.02, 0.05, 0.1, 0.3]))
                look()
            for passage in proxy.passages:
                if passage.fault is not None:
                    passage.scope.cancel()
            await anyio.sleep(0.1)
            foundry.commands.reconnect()
            monkeypatch.undo()

            async def are_live() -> bool:
                return all(topic.link == ConnectionState.LIVE for topic in foundry.subscriptions.topics())

            with anyio.fail_after(PATIENCE):
                await told(foundry, are_live)
            await converge(foundry, api)
            assert not [problem for problem in problems if problem.problem is not None], problems
            topics = foundry.subscriptions.topics()
            for topic in topics:
                assert topic.snapshots <= topic.connections, "at most one snapshot a reconnect"
            accepted, streams = proxy.accepted, proxy.streams()
            assert streams == len(topics), "one connection a topic"
            await anyio.sleep(3)
            assert (proxy.accepted, proxy.streams()) == (accepted, streams), "idle connections are stable"
            assert {task_id for task_id in made if task_id not in foundry.store.tasks} == set()
            reconnects = sum(topic.reconnects for topic in topics)
            snapshots = sum(topic.snapshots for topic in topics)
            applied = sum(topic.events_applied for topic in topics)
            tell(
                f"proxy: seed {SEED}, {sum(proxy.faults.values())} faults {dict(sorted(proxy.faults.items()))}, "
                f"{len(made)} tasks, {len(topics)} topics, {reconnects} reconnects, {snapshots} snapshots, "
                f"{applied} events applied, {len(lies)} lies of the mark"
            )
        group.cancel_scope.cancel()
    assert not lies


async def test_a_backend_killed_and_started_again_is_followed(backend: BackendProcess) -> None:
    async with make_http(Target.parse(f"unix:{backend.socket}")) as direct:
        api = Api(direct)
        async with running(Target.parse(f"unix:{backend.socket}")) as foundry:
            foundry.commands.hold(TASKS)
            made = []

            async def is_lost() -> bool:
                return foundry.store.freshness().state is not FreshnessState.LIVE

            for turn in range(4):
                made.append(
                    foundry.commands.create(
                        CreateTask(repo=str(backend.repository), prompt=f"Task {turn}", provider="demo")
                    )
                )
                foundry.commands.hold(Topic(TopicKind.TASK, made[-1]))
                await anyio.sleep(0.1 * turn)
                await anyio.to_thread.run_sync(backend.kill)
                made.append(
                    foundry.commands.create(
                        CreateTask(repo=str(backend.repository), prompt=f"Away {turn}", provider="demo")
                    )
                )
                with anyio.fail_after(PATIENCE):
                    await told(foundry, is_lost)
                await anyio.to_thread.run_sync(backend.start)
                foundry.commands.reconnect()
            await converge(foundry, api)
            assert set(made) == set(foundry.store.tasks)
            assert foundry.subscriptions.topics()[0].snapshots == 1, "every return resumed"
