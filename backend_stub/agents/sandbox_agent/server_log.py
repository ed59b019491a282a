"""What a sandbox-agent server says in its log alone: what it has passed on, what agents printed as errors, and that it
has stopped reading what one prints.

It stops after a line that is no UTF-8, and tells neither us nor the agent, which goes on unheard.
"""

import contextlib
import logging
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import anyio
import anyio.to_thread

from backend_stub.agents.sandbox_agent.state import StoredSession
from backend_stub.machine.faults import is_machine_fault

logger = logging.getLogger(__name__)

T = TypeVar("T")

_LINE = re.compile(
    rb'^ts=(?P<at>\S+) level=info target=acp_http_adapter::process message="agent '
    rb'(?:(?P<spawned>process spawned)" pid=\d+ elapsed_ms=|stdout: stream ended" total_lines=\d+ age_ms='
    rb'|stderr: (?P<said>(?:[^"\\]|\\.)*)" line_number=\d+ age_ms=)(?P<age>\d+)\s*$',
    re.MULTILINE,
)
_POSTED = re.compile(
    rb'^ts=\S+ level=info target=sandbox_agent::acp_proxy_runtime message="acp_proxy: POST (received|\S+ accepted)" '
    rb'server_id=(\S+) method="?<none>"?(?: id=(.*) bootstrap_agent=\S+)?\s*$',
    re.MULTILINE,
)
"""What is no request of ours came to the server, or is with the agent."""
_COLOUR = re.compile(r"(?:\\u\{1b\}|\x1b)\[[0-9;]*[A-Za-z]")
_ESCAPE = re.compile(r"\\u\{([0-9a-f]{1,5})\}")
LAST_LINES = 12
"""Lines that are kept of what each agent printed."""
PASSING_ON = (0.0, 0.5)
"""Seconds before each look whether a message was passed on: by the last, all that was on its way has come."""
_CHUNK = 1_000_000
LAST_WORDS_PAUSES = (0.0, 0.1, 0.2, 0.3, 0.4)
"""Seconds before each look at the log for what an exited agent said, until two looks show the same."""
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
    said: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))


@dataclass
class ServerLog:
    """Reads on in a server's log where it stopped the last time, from `position` on; knows the agents by the order of
    their starts.

    The server names them by their age only, so that whose output ended, and who said something, is told by the time of
    the start.
    """

    path: Path
    position: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _agents: list[_Agent] = field(default_factory=list)

    @property
    def started(self) -> int:
        """How many agents were started, as far as the log was read."""
        return len(self._agents)

    def unheard(self, number: int) -> bool:
        """Whether the server has stopped reading what the agent of this number (from 1) prints."""
        return 0 < number <= len(self._agents) and not self._agents[number - 1].heard

    def said(self, number: int) -> str:
        """The last lines that the agent of this number printed as errors, as far as the log was read."""
        return "\n".join(self._agents[number - 1].said) if 0 < number <= len(self._agents) else ""

    async def size(self) -> int:
        """How long the log is by now."""
        return await self.patiently(self._size)

    async def has_passed_on(self, place: str, request_id: str, since: int, first: int | None = None) -> bool:
        """Whether the agent at this place was given an answer to its request of this id, behind that much of the log.

        The id is as it stands in JSON; `first` is from where on other answers may have been under way. Without a log it
        was not.
        """
        look = partial(_is_answered, self.path, place, request_id, since, since if first is None else first)
        for pause in PASSING_ON:
            await anyio.sleep(pause)
            if await self.patiently(look):
                return True
        return False

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    async def patiently(self, look: Callable[[], T]) -> T:
        """What comes of a look, as soon as this machine has room for it."""
        while True:
            try:
                return await anyio.to_thread.run_sync(look)
            except (OSError, RuntimeError) as error:
                if not is_machine_fault(error):
                    raise
                await anyio.sleep(LOOK_EVERY)

    def look(self) -> None:
        """Read what the log says since the last look; blocks for a read of what is new. A missing log says nothing."""
        with self._lock, contextlib.suppress(FileNotFoundError):
            if self.path.stat().st_size <= self.position:
                return
            with self.path.open("rb") as file:
                file.seek(self.position)
                while chunk := file.read(_CHUNK) + file.readline():
                    whole = chunk.rfind(b"\n") + 1
                    self.position += whole
                    self._take(chunk[:whole])

    def _take(self, lines: bytes) -> None:
        for match in _LINE.finditer(lines):
            began = _seconds(match["at"]) - int(match["age"]) / 1000
            if match["spawned"]:
                self._agents.append(_Agent(began))
            elif match["said"] is not None:
                words = _unquoted(match["said"].decode(errors="replace"))
                for agent in sorted(self._agents, key=partial(_apart, began))[:1]:
                    agent.said.append(words)
            elif heard := [agent for agent in self._agents if agent.heard]:
                min(heard, key=partial(_apart, began)).heard = False


def _apart(began: float, agent: _Agent) -> float:
    return abs(agent.started - began)


def lines_behind(log: Path, since: int) -> bytes:
    """What stands in a log behind that many bytes of it; nothing where there is none. Raises `OSError`."""
    try:
        with log.open("rb") as file:
            file.seek(since)
            return file.read()
    except FileNotFoundError:
        return b""


def _is_answered(log: Path, place: str, request_id: str, since: int, first: int) -> bool:
    """Whether something with this id came behind that much of the log, and was given to that agent.

    What was given has no id in the log: it is given in the order in which it came, from `first` on.
    """
    waiting, ahead = 0, None
    for match in _POSTED.finditer(lines_behind(log, first)):
        what, where, id_ = match.groups()
        if where.decode() != place:
            continue
        if what == b"received":
            if ahead is None and first + match.start() >= since and _bare(id_.decode()) == request_id:
                ahead = waiting
            waiting += 1
        elif ahead == 0:
            return True
        else:
            waiting = max(0, waiting - 1)
            ahead = None if ahead is None else ahead - 1
    return False


def _bare(value: str) -> str:
    """A value of the log without the quotes around it, if there are any."""
    return _unquoted(value[1:-1]) if value.startswith('"') else value


def _unquoted(text: str) -> str:
    """A quoted text of the log without its escapes, and without the agent's colours."""
    plain = _COLOUR.sub("", text.replace('\\"', '"').replace("\\\\", "\\"))
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), plain)


class HeardSession(Protocol):
    """What is used here of `Session`, which implements it: whether the server still reads what its agent prints."""

    async def at_work(self) -> None:
        """Wait until the agent has something to do: a turn, or the opening of the session."""

    async def unheard(self) -> None:
        """The server has stopped reading what the agent prints, for some time now."""


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
        return self._log.unheard(await self._number())

    async def last_words(self) -> str:
        """What the agent, which has exited, printed last; the server may tell of its exit before it has read that."""
        said = ""
        for pause in LAST_WORDS_PAUSES:
            await anyio.sleep(pause)
            before, said = said, self._log.said(await self._number())
            if said and said == before:
                break
        return said

    async def _number(self) -> int:
        """The number of the session's agent in the log; 0 while it is not there."""
        await self._look()
        if self._before is not None and self._log.started > self._before:
            self._state.number_in_log = self._log.started
            self._before = None
        return self._state.number_in_log

    async def watch(self, session: HeardSession) -> None:
        """Tell when the server has stopped reading, which only its log says; it is looked at while the agent works."""
        while True:
            await session.at_work()
            await anyio.sleep(LOOK_EVERY)
            if await self.is_lost():
                await anyio.sleep(UNHEARD_GRACE)
                await session.unheard()

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
