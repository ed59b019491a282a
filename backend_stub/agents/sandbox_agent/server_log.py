"""What a sandbox-agent server says in its log alone: that it has stopped reading what an agent prints.

It does so after a line that is no UTF-8, and tells neither us nor the agent, which goes on unheard.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

_LINE = re.compile(
    rb'^ts=(\S+) level=info target=acp_http_adapter::process message="agent '
    rb'(?:(process spawned)" pid=\d+ elapsed_ms=(\d+)|stdout: stream ended" total_lines=\d+ age_ms=(\d+))\s*$',
    re.MULTILINE,
)
_CHUNK = 1_000_000


@dataclass
class _Agent:
    """An agent process by the time of its start, in seconds since the epoch."""

    started: float
    heard: bool = True


@dataclass
class ServerLog:
    """Reads on in a server's log where it stopped the last time; knows the agents by the order of their starts.

    The server names them by their age only, so that whose output ended is told by the time of the start.
    """

    path: Path
    _position: int = 0
    _agents: list[_Agent] = field(default_factory=list)

    @property
    def started(self) -> int:
        """How many agents were started, as far as the log was read."""
        return len(self._agents)

    def unheard(self, number: int) -> bool:
        """Whether the server has stopped reading what the agent of this number (from 1) prints."""
        return 0 < number <= len(self._agents) and not self._agents[number - 1].heard

    def look(self) -> None:
        """Read what the log says since the last look; blocks for a read of what is new. A missing log says nothing."""
        try:
            if self.path.stat().st_size <= self._position:
                return
            with self.path.open("rb") as file:
                file.seek(self._position)
                while chunk := file.read(_CHUNK) + file.readline():
                    whole = chunk.rfind(b"\n") + 1
                    self._position += whole
                    self._take(chunk[:whole])
        except FileNotFoundError:
            return

    def _take(self, lines: bytes) -> None:
        for match in _LINE.finditer(lines):
            at = _seconds(match[1])
            if match[2]:
                self._agents.append(_Agent(at - int(match[3]) / 1000))
            elif heard := [agent for agent in self._agents if agent.heard]:
                began = at - int(match[4]) / 1000
                min(heard, key=lambda agent: abs(agent.started - began)).heard = False


def _seconds(stamp: bytes) -> float:
    """Seconds since the epoch of a time as the log has it, which may have more digits than a datetime takes."""
    text = stamp.decode("ascii", errors="replace")
    whole, _, digits = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{digits or '0'}")
