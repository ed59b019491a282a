"""What the backend counts, as Prometheus text."""

import time
from collections import Counter as Sums
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from backend_stub.domain.dispatch import Queue
from backend_stub.domain.events import Committed
from backend_stub.server.hub import Hub
from foundry_tui.contract.events import EventName
from foundry_tui.contract.memory import MemoryReport
from foundry_tui.contract.records import HistoryEvent, HistoryKind, SessionStatus, SessionSummary

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
        self._of_agents: Sequence[GaugeMetricFamily] = ()
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

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """What the registry asks for beside its own metrics."""
        family = CounterMetricFamily("foundry_events", "Committed events.", labels=["name"])
        for name, number in self._events.items():
            family.add_metric([name], number)
        yield family
        yield from self._of_agents

    def exposition(self, sessions: Sequence[SessionSummary] = (), memory: MemoryReport | None = None) -> bytes:
        """All figures; those of agents are of these sessions, and of this memory."""
        self._of_agents = [*_usage(sessions), _memory(memory)]
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


def _usage(sessions: Sequence[SessionSummary]) -> Iterator[GaugeMetricFamily]:
    """What open sessions have used of their contexts, and what the sessions of tasks that have not ended have cost."""
    used, size = Sums[str](), Sums[str]()
    cost: dict[tuple[str, str], float] = {}
    for session in sessions:
        usage = session.usage
        if usage is None:
            continue
        if session.status is not SessionStatus.CLOSED:
            used[session.agent] += usage.used
            size[session.agent] += usage.size
        if usage.cost is not None:
            key = session.agent, usage.cost.currency
            cost[key] = cost.get(key, 0.0) + usage.cost.amount
    for name, what, numbers in (
        ("foundry_context_used_tokens", "Tokens that open sessions have used of their contexts.", used),
        ("foundry_context_size_tokens", "Tokens that the contexts of open sessions have room for.", size),
    ):
        family = GaugeMetricFamily(name, what, labels=["agent"])
        for agent, number in numbers.items():
            family.add_metric([agent], number)
        yield family
    costs = GaugeMetricFamily(
        "foundry_cost", "What the sessions of tasks that have not ended have cost.", labels=["agent", "currency"]
    )
    for (agent, currency), amount in cost.items():
        costs.add_metric([agent, currency], amount)
    yield costs


def _memory(report: MemoryReport | None) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "foundry_agent_memory_bytes", "Memory of agents that run, by what it counts.", labels=["agent", "measure"]
    )
    taken = Sums[tuple[str, str]]()
    for each in report.agents if report is not None else ():
        taken[each.agent, str(each.measure)] += each.bytes
    for labels, number in taken.items():
        family.add_metric(labels, number)
    return family
