"""Counts of what each topic went through, and the frozen tree that the diagnostics screen and `status --json` show."""

from collections import deque
from enum import StrEnum

from msgspec import Struct

from foundry_tui.client.freshness import Freshness

LATENCIES_KEPT = 200
"""Latest commit-to-flush times that percentiles are taken from."""


class RefreshReason(StrEnum):
    """Why a topic was last refreshed. `bootstrap` is its first snapshot, `snapshot` a later one."""

    BOOTSTRAP = "bootstrap"
    EVENT = "event"
    RESUME = "resume"
    SNAPSHOT = "snapshot"
    MUTATION = "mutation"


class Latency(Struct, frozen=True, kw_only=True):
    """Milliseconds from a commit in the backend (by its clock) to the flush that told listeners."""

    last: int
    p50: int
    p99: int
    count: int


class TopicDiagnostics(Struct, frozen=True, kw_only=True):
    """What is known about one topic. Times are milliseconds since the epoch, `bytes` are of the stream,
    `position` is the event id to resume from."""

    topic: str
    listeners: int
    link: str
    freshness: Freshness
    last_refresh: RefreshReason | None = None
    refreshed_at: int | None = None
    position: str | None = None
    connections: int = 0
    reconnects: int = 0
    snapshots: int = 0
    events_applied: int = 0
    dropped_stale: int = 0
    bytes: int = 0
    latency: Latency | None = None


class ConnectionEvent(Struct, frozen=True, kw_only=True):
    """One line of the connection log."""

    at: int
    topic: str
    kind: str
    detail: str = ""


class Diagnostics(Struct, frozen=True, kw_only=True):
    """Everything the client knows about its own connections; msgspec encodes it to JSON as it is."""

    at: int
    freshness: Freshness
    topics: tuple[TopicDiagnostics, ...]
    log: tuple[ConnectionEvent, ...]
    tasks: int
    creations: int
    flushes: int
    unsettled_commands: int = 0


class TopicCounter:
    """The running counts of one topic. `touched` is why it changed since the last flush, which dates it."""

    __slots__ = (
        "applied",
        "bytes",
        "connections",
        "last_refresh",
        "latencies",
        "latency_count",
        "oldest_commit",
        "refreshed_at",
        "snapshots",
        "stale",
        "touched",
    )

    def __init__(self) -> None:
        self.applied = 0
        self.stale = 0
        self.bytes = 0
        self.connections = 0
        self.snapshots = 0
        self.touched: RefreshReason | None = None
        self.last_refresh: RefreshReason | None = None
        self.refreshed_at: int | None = None
        self.oldest_commit = 0
        self.latencies: deque[int] = deque(maxlen=LATENCIES_KEPT)
        self.latency_count = 0

    def flushed(self, now: int) -> None:
        """What came since the last flush has now been told of."""
        if self.touched is not None:
            self.last_refresh = self.touched
            self.refreshed_at = now
            self.touched = None
        if self.oldest_commit:
            self.latencies.append(max(0, now - self.oldest_commit))
            self.latency_count += 1
            self.oldest_commit = 0

    def latency(self) -> Latency | None:
        """The latest times and their percentiles, or None before the first event."""
        if not self.latencies:
            return None
        ordered = sorted(self.latencies)
        top = len(ordered) - 1
        return Latency(
            last=self.latencies[-1],
            p50=ordered[top // 2],
            p99=ordered[round(top * 0.99)],
            count=self.latency_count,
        )
