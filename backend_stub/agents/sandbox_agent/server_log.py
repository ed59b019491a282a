"""What a sandbox-agent server says in its log alone: that it has stopped reading what an agent prints.

It does so after a line that is no UTF-8, and tells neither us nor the agent, which goes on unheard.
"""

import contextlib
import logging
import re
import threading
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread

from backend_stub.agents.sandbox_agent.state import StoredSession

logger = logging.getLogger(__name__)

_LINE = re.compile(
    rb'^ts=(\S+) level=info target=acp_http_adapter::process message="agent '
    rb'(?:(process spawned)" pid=\d+ elapsed_ms=(\d+)|stdout: stream ended" total_lines=\d+ age_ms=(\d+))\s*$',
    re.MULTILINE,
)
_CHUNK = 1_000_000
LOOK_EVERY = 1.0
"""Seconds between two looks at the end of the log, while something is expected of the agent."""
UNHEARD_GRACE = 1.0
"""Seconds in which the stream says itself why an agent is not heard any more: it has exited."""
UNHEARD = (
    "sandbox-agent cannot read any more what {agent} says, after a line that was no UTF-8 text or as its output was "
    "closed; look at what it did, then send the prompt again"
)


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
    _lock: threading.Lock = field(default_factory=threading.Lock)
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
        with self._lock, contextlib.suppress(FileNotFoundError):
            if self.path.stat().st_size <= self._position:
                return
            with self.path.open("rb") as file:
                file.seek(self._position)
                while chunk := file.read(_CHUNK) + file.readline():
                    whole = chunk.rfind(b"\n") + 1
                    self._position += whole
                    self._take(chunk[:whole])

    def _take(self, lines: bytes) -> None:
        for match in _LINE.finditer(lines):
            at = _seconds(match[1])
            if match[2]:
                self._agents.append(_Agent(at - int(match[3]) / 1000))
            elif heard := [agent for agent in self._agents if agent.heard]:
                began = at - int(match[4]) / 1000
                min(heard, key=lambda agent: abs(agent.started - began)).heard = False


class Heard(Protocol):
    """Who is listened to."""

    async def at_work(self) -> None:
        """Wait until there is something to be heard."""

    async def unheard(self) -> None:
        """Nothing is heard any more, and for some time so."""


class Hearing:
    """Whether the server still reads what the agent of one session prints."""

    def __init__(self, log: ServerLog, state: StoredSession) -> None:
        self._log = log
        self._state = state
        self._before: int | None = None

    async def expect(self) -> None:
        """The session's agent is about to be started: it is the next one in the log."""
        self._state.number_in_log = 0
        await self._look()
        self._before = self._log.started

    async def is_lost(self) -> bool:
        """Whether the server has stopped reading, by the log's end as it is now."""
        await self._look()
        if self._before is not None and self._log.started > self._before:
            self._state.number_in_log = self._log.started
            self._before = None
        return self._log.unheard(self._state.number_in_log)

    async def watch(self, heard: Heard) -> None:
        """Tell when the server has stopped reading, which only its log says; it is looked at while the agent works."""
        while True:
            await heard.at_work()
            await anyio.sleep(LOOK_EVERY)
            if await self.is_lost():
                await anyio.sleep(UNHEARD_GRACE)
                await heard.unheard()

    async def _look(self) -> None:
        try:
            await anyio.to_thread.run_sync(self._log.look)
        except (OSError, RuntimeError) as error:
            # Too many open files, say: it is looked at again.
            logger.debug("the log of the server cannot be read now: %r", error)


def _seconds(stamp: bytes) -> float:
    """Seconds since the epoch of a time as the log has it, which may have more digits than a datetime takes."""
    text = stamp.decode("ascii", errors="replace")
    whole, _, digits = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{digits or '0'}")
