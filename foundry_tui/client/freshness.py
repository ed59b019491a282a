"""How far what is shown can be trusted: the one source of the freshness mark."""

from enum import StrEnum

from msgspec import Struct


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
