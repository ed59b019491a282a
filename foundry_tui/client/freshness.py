"""Whether what is shown of a topic is up to date, judged by its connection: what the mark in the header says."""

from enum import StrEnum

from msgspec import Struct

from foundry_tui.client.connection_state import Connection, ConnectionState

STALE_AFTER = 10.0
"""Seconds without a connection after which what is shown is called stale and no longer about to be mended."""
OFFLINE_AFTER = 2
"""Attempts in a row that nobody answered after which the backend is called offline."""

_AT_REST = {
    ConnectionState.CLOSED: "not on screen",
    ConnectionState.GONE: "removed",
    ConnectionState.WAITING: "not created yet",
}


class FreshnessState(StrEnum):
    """`live`: connected, caught up, heard from in time, no retry pending. `reconnecting`: lost a moment ago.
    `stale`: shown as last heard, not confirmed since. `offline`: nobody answers at the backend's address.
    """

    LIVE = "live"
    RECONNECTING = "reconnecting"
    STALE = "stale"
    OFFLINE = "offline"


class Freshness(Struct, frozen=True):
    """What is known of a topic's truth. Times are milliseconds since the epoch.

    `since` is when the state began, for `stale` when the topic was last confirmed. `retry_at` is when the next
    attempt starts, None while one is under way or none is needed. `reason` says why it is not live.
    """

    state: FreshnessState
    since: int
    retry_at: int | None = None
    reason: str | None = None

    @property
    def is_live(self) -> bool:
        """Whether what is shown is how things stand now."""
        return self.state is FreshnessState.LIVE

    def known_until(self, now: int) -> int:
        """The moment as of which what is shown is known to hold: `now` while it is live."""
        return now if self.is_live else min(now, self.since)


def judge(connection: Connection) -> Freshness:
    """How far a topic can be trusted, given its connection.

    Only an open connection that is caught up and heard from in time is live; whatever waits or tries is not.
    """
    state, since = connection.state, connection.since
    if state is ConnectionState.LIVE:
        return Freshness(FreshnessState.LIVE, since)
    if state is ConnectionState.QUIET:
        return Freshness(FreshnessState.STALE, connection.confirmed or since, reason=connection.reason)
    if state in _AT_REST:
        return Freshness(FreshnessState.STALE, connection.confirmed or since, reason=_AT_REST[state])
    lost_since = since if connection.lost_since is None else connection.lost_since
    if connection.unanswered >= OFFLINE_AFTER:
        return Freshness(FreshnessState.OFFLINE, lost_since, connection.retry_at, connection.reason)
    if connection.overdue:
        confirmed = lost_since if connection.confirmed is None else connection.confirmed
        return Freshness(FreshnessState.STALE, confirmed, connection.retry_at, connection.reason)
    return Freshness(FreshnessState.RECONNECTING, lost_since, connection.retry_at, connection.reason)
