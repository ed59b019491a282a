"""What the backend counts, as Prometheus text."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.registry import Collector

from backend_stub.domain.dispatch import Queue
from backend_stub.domain.events import Committed
from backend_stub.server.hub import Hub
from foundry_tui.contract.events import EventName
from foundry_tui.contract.records import HistoryEvent, HistoryKind

_STAGE_OUTCOMES = {
    HistoryKind.STAGE_COMPLETED: "completed",
    HistoryKind.STAGE_RETRYING: "retrying",
    HistoryKind.STAGE_FAILED: "failed",
}


class Metrics(Collector):
    """Counts what is committed and reads the rest when asked."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, hub: Hub, provisioning: Queue) -> None:
        self._registry = CollectorRegistry()
        self._creates = Histogram(
            "foundry_create_seconds", "Time from a create to its durable answer.", registry=self._registry
        )
        self._stages = Counter(
            "foundry_stage_outcomes", "Attempts of stages by outcome.", ["stage", "outcome"], registry=self._registry
        )
        self._durations = Histogram(
            "foundry_stage_seconds",
            "Duration of stages that completed.",
            ["stage"],
            buckets=(0.05, 0.1, 0.5, 1, 5, 15, 30, 60, 120, 180, 300),
            registry=self._registry,
        )
        self._waits = Histogram(
            "foundry_queue_seconds", "Time from queueing a task to its first stage.", registry=self._registry
        )
        self._commits = Histogram(
            "foundry_commit_seconds",
            "Time of a durable commit.",
            registry=self._registry,
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1),
        )
        self._queued_at: dict[str, int] = {}
        # Each commit has several: only what is asked for is made a metric.
        self._events: dict[str, int] = dict.fromkeys(EventName, 0)
        self._registry.register(self)
        Gauge("foundry_streams", "Open event streams.", registry=self._registry).set_function(lambda: hub.streams)
        Gauge("foundry_provisioning", "Tasks being provisioned now.", registry=self._registry).set_function(
            lambda: provisioning.running
        )
        Gauge("foundry_provisioning_waiting", "Tasks that wait for a place.", registry=self._registry).set_function(
            lambda: provisioning.waiting
        )

    @contextmanager
    def creating(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._creates.observe(time.perf_counter() - start)

    def committed(self, commit: Committed) -> None:
        """Count a durable commit; those of other processes are counted there."""
        if commit.seconds is None:
            return
        self._commits.observe(commit.seconds)
        for event in commit.events:
            self._events[event.name] += 1
            if isinstance(event.record, HistoryEvent):
                self._count(event.record)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """What the registry asks for beside its own metrics."""
        family = CounterMetricFamily("foundry_events", "Committed events.", labels=["name"])
        for name, number in self._events.items():
            family.add_metric([name], number)
        yield family

    def exposition(self) -> bytes:
        return generate_latest(self._registry)

    def _count(self, event: HistoryEvent) -> None:
        if event.kind is HistoryKind.PROVISION_QUEUED:
            self._queued_at[event.task_id] = event.at
        elif event.kind is HistoryKind.STAGE_STARTED:
            queued_at = self._queued_at.pop(event.task_id, None)
            if queued_at is not None:
                self._waits.observe((event.at - queued_at) / 1000)
        outcome = _STAGE_OUTCOMES.get(event.kind)
        if outcome is not None:
            self._stages.labels(event.payload["stage"], outcome).inc()
        if event.kind is HistoryKind.STAGE_COMPLETED:
            self._durations.labels(event.payload["stage"]).observe(event.payload["ms"] / 1000)
