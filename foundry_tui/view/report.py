"""The diagnostics of the client as tables of words."""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

from foundry_tui.client.statistics import ConnectionEvent, Diagnostics, TopicDiagnostics
from foundry_tui.contract.control_characters import harmless
from foundry_tui.view.ages import running_time
from foundry_tui.view.labels import freshness_text

TOPIC_COLUMNS = (
    "topic",
    "listeners",
    "state",
    "refreshed",
    "reconnects",
    "applied",
    "stale",
    "received",
    "commit→paint p50/p99",
)
SHORT_TOPIC = 22


def size_text(count: int) -> str:
    """Bytes in three digits or so: `812 B`, `4.1 kB`, `12 MB`."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def short_topic(topic: str) -> str:
    """A topic by its kind and the end of its id, which is what differs between tasks of one day."""
    return topic if len(topic) <= SHORT_TOPIC else f"{topic.partition(':')[0]}:…{topic[-12:]}"


def topic_row(topic: TopicDiagnostics, now: int) -> tuple[str, ...]:
    """One topic, a text for each of `TOPIC_COLUMNS`."""
    refreshed = "never"
    if topic.refreshed_at is not None:
        ago = running_time(now - topic.refreshed_at)
        refreshed = f"{ago} ago, {topic.last_refresh}" if topic.last_refresh is not None else f"{ago} ago"
    latency = f"{topic.latency.p50} / {topic.latency.p99} ms" if topic.latency is not None else "–"
    return (
        short_topic(topic.topic),
        str(topic.listeners),
        freshness_text(topic.freshness, now),
        refreshed,
        f"{topic.reconnects} of {topic.connections}",
        f"{topic.events_applied:,}",
        f"{topic.dropped_stale:,}",
        size_text(topic.bytes),
        latency,
    )


def head_lines(report: Diagnostics) -> list[tuple[str, str]]:
    """Names and values for the top of the screen."""
    freshness = report.freshness
    unconfirmed = _count(report.creations, "creation"), _count(report.unsettled_commands, "command")
    return [
        ("freshness", freshness_text(freshness, report.at) + (f" – {freshness.reason}" if freshness.reason else "")),
        ("tasks held", f"{report.tasks:,}"),
        ("not yet confirmed", ", ".join(unconfirmed)),
        ("frames told", f"{report.flushes:,}"),
    ]


def log_lines(log: Sequence[ConnectionEvent], zone: tzinfo | None = None) -> list[str]:
    """The connection log, newest first, with times of day; its columns as wide as they have to be."""
    width = max((len(short_topic(event.topic)) for event in log), default=0)
    lines = []
    for event in reversed(log):
        moment = datetime.fromtimestamp(event.at / 1000, zone or UTC)
        clock = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"
        lines.append(
            harmless(f"{clock}  {short_topic(event.topic):<{width}}  {event.kind:<10}  {event.detail}").rstrip()
        )
    return lines


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
