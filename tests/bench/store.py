"""The store: what one event costs with few and many tasks held, and what a large snapshot costs."""

import time
from collections.abc import Callable

from msgspec.structs import replace

from foundry_tui.client.changes import Changes
from foundry_tui.client.store import Store
from foundry_tui.contract import codec
from foundry_tui.contract.events import TASKS, EventName
from foundry_tui.contract.records import SessionStatus, SessionSummary, StageProgress, TaskSummary
from foundry_tui.contract.requests import TasksSnapshot
from foundry_tui.contract.status import StageName, TaskStatus
from tests.bench.figure import Figure, against_floor, best_of, fastest_half, quiet_collector

EVENTS = 100
"""Events that are applied in one round, each of another task."""
ROUNDS = 200


def task(number: int, revision: int = 1) -> TaskSummary:
    """A task as large as a usual one."""
    task_id = f"01a207b5-3bf2-7b85-b19b-{number:012x}"
    return TaskSummary(
        task_id=task_id,
        repo_id="01a207b5-0000-7000-8000-000000000001",
        repo_label="foundry",
        prompt="Fix the login redirect, which loses the query when the session has expired. " * 2,
        agent="codex",
        provider="local",
        status=TaskStatus.CREATE_SANDBOX,
        status_since=1_795_425_647_602,
        created_at=1_795_425_647_602,
        updated_at=1_795_425_647_602 + revision,
        revision=revision,
        title=f"Fix the login redirect {number}",
        branch=f"fix/login-redirect-{number}",
        stage=StageProgress(
            name=StageName.CREATE_SANDBOX,
            attempt=1,
            max_attempts=3,
            started_at=1_795_425_647_602,
            detail="Cloning",
        ),
        stages_done=1,
        sessions=(
            SessionSummary(
                session_id=f"01a207b5-3bf2-7b85-b19c-{number:012x}",
                task_id=task_id,
                name="main",
                agent="codex",
                status=SessionStatus.PENDING_PROVISION,
                created_at=1_795_425_647_602,
                updated_at=1_795_425_647_602,
                revision=1,
            ),
        ),
    )


def applied(held: int) -> float:
    """Seconds to apply one decoded event with so many tasks held, with its share of a flush each 50 events."""
    store = Store(lambda: 1_795_425_650_000)
    store.open(TASKS)
    tasks = tuple(task(number) for number in range(held))
    store.apply(TASKS, EventName.SNAPSHOT, TasksSnapshot(seq=1, repos=(), tasks=tasks), 1, "db", 0)
    told: list[Changes] = []
    store.listen(told.append)
    store.flush()
    # The ids are spread over all that is held, as updates of many agents are.
    chosen = [tasks[number * held // EVENTS] for number in range(EVENTS)]
    taken = []
    with quiet_collector():
        for turn in range(1, ROUNDS + 1):
            events = [replace(one, revision=turn + 1) for one in chosen]
            began = time.perf_counter()
            _apply(store, events, turn * EVENTS)
            taken.append(time.perf_counter() - began)
    assert store.counter(TASKS).applied == ROUNDS * EVENTS
    return fastest_half(taken) / EVENTS


def _apply(store: Store, events: list[TaskSummary], seq: int) -> None:
    while events:
        # Taken out of the list, so that the record that each one replaces is freed within the time taken.
        store.apply(TASKS, EventName.TASK, events.pop(), seq, "db", 700)
        seq += 1
        if not len(events) % 50:
            store.flush()


def run() -> list[Figure]:
    document = codec.encode(task(1, 2))
    decoding = best_of(lambda: codec.decode(document, TaskSummary), rounds=ROUNDS, loops=EVENTS)
    figures = []
    costs = {}
    for held in (100, 10_000, 100_000):
        costs[held] = applied(held)
        figures.append(
            against_floor(
                f"one event decoded and applied, {held:,} tasks held",
                (costs[held] + decoding) * 1e6,
                decoding * 1e6,
                "µs",
                4,
                f"floor: decoding it ({len(document)} bytes)",
            )
        )
    figures.append(
        against_floor(
            "one event applied: 100,000 tasks held against 100",
            costs[100_000] * 1e6,
            costs[100] * 1e6,
            "µs",
            2,
            "flat: what grows is only the processor's cache misses",
        )
    )
    snapshot = TasksSnapshot(seq=9, repos=(), tasks=tuple(task(number) for number in range(10_000)))
    whole = codec.encode(snapshot)
    floor = best_of(lambda: codec.decode(whole, TasksSnapshot))

    def load(again: bool) -> Callable[[], None]:
        def run_once() -> None:
            store = Store(lambda: 1)
            for seq in (9, 10) if again else (9,):
                store.open(TASKS)
                record = codec.decode(whole, TasksSnapshot)
                store.apply(TASKS, EventName.SNAPSHOT, record, seq, "db", len(whole))
                store.flush()

        return run_once

    first = best_of(load(again=False))
    figures.append(against_floor("snapshot of 10,000 tasks decoded and applied", first * 1e3, floor * 1e3, "ms", 3))
    second = best_of(load(again=True)) - first
    figures.append(against_floor("the same over 10,000 tasks held already", second * 1e3, floor * 1e3, "ms", 3))
    return figures
