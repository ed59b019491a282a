"""A backend with 100,000 tasks, nearly all of which have ended, against one with 1,000: its start, its list, the app.

Also what a filter costs that finds next to nothing among all, and what the app's event loop is held by meanwhile.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

import anyio

from foundry_tui.app.app import FoundryApp
from foundry_tui.app.options import Options
from foundry_tui.client.connection import Target
from foundry_tui.client.foundry import Foundry
from foundry_tui.contract.events import TASKS
from tests.backend.process import BackendProcess
from tests.bench.figure import Figure, against_floor, against_limit, fastest_half
from tests.bench.first_content import foundry, homeless
from tests.bench.holding import holding
from tests.bench.idle import memory_of
from tests.bench.terminal import Terminal
from tests.bench.waited import longest_wait

FEW, MANY = 1_000, 100_000
ROUNDS = 9
STARTS = 5
PAGES = 10


def _best(ask: Callable[[], object], rounds: int = ROUNDS) -> float:
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - began)
    return fastest_half(taken) * 1000


def _start(backend: BackendProcess) -> Callable[[], object]:
    def start() -> None:
        backend.start()
        backend.get("/v1/health")

    return start


def _starts(backend: BackendProcess) -> float:
    """Milliseconds from starting the process until it says that it is healthy."""
    taken = []
    for _ in range(STARTS):
        backend.stop()
        taken.append(_best(_start(backend), 1))
    return fastest_half(taken)


def _painted(backend: BackendProcess) -> float:
    """Milliseconds from the command until the first row of the list is on the terminal."""
    taken = []
    with tempfile.TemporaryDirectory() as name:
        env = {**homeless(Path(name)), "FOUNDRY_BACKEND": f"unix:{backend.socket}"}
        for _ in range(ROUNDS):
            with Terminal([foundry()], env, cwd=backend.repository) as terminal:
                taken.append(terminal.wait_for("Done"))
    return fastest_half(taken) * 1000


class Held:
    """The longest that one callback has held the event loop, by the CPU's time, in milliseconds."""

    longest = 0.0


@contextmanager
def _watching_loop() -> Iterator[Held]:
    held, run = Held(), asyncio.Handle.__dict__["_run"]

    def timed(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        run(handle)
        held.longest = max(held.longest, (time.thread_time() - began) * 1000)

    with patch.object(asyncio.Handle, "_run", timed):
        yield held


async def _use_app(address: str) -> tuple[float, float, int]:
    """What holds the loop while pages are read, and while a filter is; and how many tasks are held then."""
    client = Foundry(Target.parse(address))
    store = client.store
    app = FoundryApp(store, client.commands, options=Options(bell=False, terminal_notifications=False))
    async with anyio.create_task_group() as group:
        async with app.run_test(size=(120, 40)) as pilot:
            await group.start(client.run)
            client.commands.hold(TASKS)
            with anyio.fail_after(60):
                while not store.tasks:
                    await anyio.sleep(0.02)
                await pilot.pause(0.5)
                # What is opened for the first time is loaded for the first time.
                await pilot.press("slash", *"login", "escape", "G", "g", "g")
                await pilot.pause(1)
                with _watching_loop() as paging:
                    for _ in range(PAGES):
                        before = store.older
                        await pilot.press("G")
                        while store.older and store.older == before:
                            await anyio.sleep(0.01)
                with _watching_loop() as filtering:
                    await pilot.press("slash", *"login pgae 99")
                    await pilot.pause(2)
        held = len(store.tasks)
        group.cancel_scope.cancel()
    return paging.longest, filtering.longest, held


def run() -> list[Figure]:
    return list(_figures())


def _figures() -> Iterator[Figure]:
    with holding(FEW) as few, holding(MANY) as many:
        started, started_few = _starts(many), _starts(few)
        name = f"backend with {MANY:,} tasks: until healthy, against {FEW:,}"
        yield against_floor(name, started, started_few, "ms", 1.5)
        listed, listed_few = (_best(partial(backend.get, "/v1/tasks")) for backend in (many, few))
        yield against_floor(f"GET /v1/tasks with {MANY:,}, against {FEW:,}", listed, listed_few, "ms", 1.5)
        painted, painted_few = _painted(many), _painted(few)
        yield against_floor(f"first row painted with {MANY:,}, against {FEW:,}", painted, painted_few, "ms", 3)
        newest = many.get("/v1/tasks")["tasks"]
        oldest = min(newest, key=lambda task: int(task["created_at"]))["task_id"]
        page = _best(lambda: many.get("/v1/tasks", before=oldest, limit=250))
        yield Figure(name="a page of 250 older tasks", value=page, unit="ms")
        rare = _best(lambda: many.get("/v1/tasks", filter="zzzzqq"), 3)
        yield Figure(name=f"a filter that finds nothing among {MANY:,}", value=rare, unit="ms")
        quiet = longest_wait(many, "/v1/health", lambda: time.sleep(rare / 1000))
        waited = longest_wait(many, "/v1/health", lambda: many.get("/v1/tasks", filter="zzzzqq"))
        note = f"with nothing else to do {quiet:,.0f} ms"
        yield against_limit("the longest that another request waited behind it", waited, "ms", 100, note)
        yield against_limit("memory of the backend after that", memory_of(_pid(many)), "MiB", 90)
        paging, filtering, held = anyio.run(_use_app, f"unix:{many.socket}")
        paging_all, filtering_all, _ = anyio.run(_use_app, f"unix:{few.socket}")
        note = f"CPU time, {held:,} tasks held; the same keys with nothing older: {{:,.0f}} ms"
        yield against_limit("the app reads on: longest hold of its loop", paging, "ms", 50, note.format(paging_all))
        yield against_limit(
            "the app filters: longest hold of its loop", filtering, "ms", 50, note.format(filtering_all)
        )


def _pid(backend: BackendProcess) -> int:
    return int(backend.get("/v1/health")["pid"])
