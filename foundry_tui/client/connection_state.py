"""What is known of one topic's connection: its state, when it was lost, why, and when it is tried again."""

from enum import StrEnum

from msgspec import Struct

from foundry_tui.contract.problems import Problem


class ConnectionState(StrEnum):
    """Where a topic's connection stands.

    `waiting`: not to be connected until the backend has what the topic is about. `live`: it has sent its snapshot or
    `resumed`. `quiet`: open, but silent for longer than the backend ever is. `retrying`: lost, waiting to try again.
    `gone`: the backend has removed what the topic is about. `closed`: nobody looks at it.
    """

    CLOSED = "closed"
    WAITING = "waiting"
    CONNECTING = "connecting"
    LIVE = "live"
    QUIET = "quiet"
    RETRYING = "retrying"
    GONE = "gone"


class ConnectionChange(Struct, frozen=True, kw_only=True):
    """A connection changed. `retry_in` and `heard_ago` are seconds; `reached` says whether the backend answered."""

    state: ConnectionState
    reason: str | None = None
    retry_in: float | None = None
    heard_ago: float = 0.0
    failures: int = 0
    reached: bool = True
    problem: Problem | None = None


class Connection:
    """One topic's connection.

    `since`, `confirmed` (last heard from), `lost_since` (lost, or being connected for the first time) and `retry_at`
    are milliseconds since the epoch, to be shown. `overdue`: lost for too long to be about to be mended.
    """

    def __init__(self, since: int) -> None:
        self.state = ConnectionState.CLOSED
        self.since = since
        self.confirmed: int | None = None
        self.lost_since: int | None = None
        self.overdue = False
        self.retry_at: int | None = None
        self.reason: str | None = None
        self.reached = True
        self.unanswered = 0
        self.reconnects = 0

    def change(self, change: ConnectionChange, now: int) -> None:
        """The connection changed, at `now` (milliseconds since the epoch)."""
        was, self.state = self.state, change.state
        self.since = now
        self.retry_at = None if change.retry_in is None else now + round(change.retry_in * 1000)
        if was in (ConnectionState.LIVE, ConnectionState.QUIET):
            self.confirmed = now - round(change.heard_ago * 1000)
        if self.state in (ConnectionState.CONNECTING, ConnectionState.RETRYING):
            # One that fell silent was as good as lost since it was heard from last.
            self.overdue = self.overdue or was is ConnectionState.QUIET
            if self.lost_since is None:
                self.lost_since = now
        else:
            self.lost_since, self.overdue = None, False
        if self.state is ConnectionState.CONNECTING:
            # Why it was lost stays known while the next attempt is under way.
            self.reconnects += was is ConnectionState.RETRYING
            return
        self.reason = change.reason
        if self.state is ConnectionState.LIVE:
            self.reached = True
            self.unanswered = 0
        elif self.state is ConnectionState.RETRYING:
            self.reached = change.reached
            self.unanswered = 0 if change.reached else self.unanswered + 1
