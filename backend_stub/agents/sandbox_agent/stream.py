"""The stream of one agent process, read on over cuts until the agent or its server is gone."""

import logging
from collections.abc import Awaitable, Callable

import anyio
import anyio.to_thread
import httpx

from backend_stub.agents.sandbox_agent.connection import BUSY_WAIT, AgentConnection, ServerRefusedError
from backend_stub.agents.sandbox_agent.messages import Gap, Message, Unreadable
from backend_stub.machine import processes
from backend_stub.machine.faults import is_machine_fault

RECONNECTS = 20

logger = logging.getLogger(__name__)

Take = Callable[[int, Message | Unreadable | Gap], Awaitable[bool]]
"""Given what was sent and its number; whether to go on."""


class Stream:
    """Reads on behind `position`, the number of the last event that was given out."""

    def __init__(self, connection: AgentConnection, position: int) -> None:
        self._connection = connection
        self.position = position

    async def read(self, take: Take, opened: Callable[[], None], is_new: Callable[[], bool]) -> str:
        """Give out what the agent sends until `take` says no; why it cannot be read any more, or nothing.

        `opened` is told whenever the connection stands. While the agent `is_new` the server need not know it yet.
        """
        failures = 0
        while True:
            before = self.position
            try:
                if not await self._read(take, opened):
                    return ""
                if not await anyio.to_thread.run_sync(self._connection.server.running):
                    return await self._last_words()
            except ServerRefusedError as refusal:
                if refusal.status != 404 or not is_new():
                    return refusal.message
            except (httpx.HTTPError, OSError, RuntimeError) as error:
                if not is_machine_fault(error):
                    raise
                logger.debug("there is no room for reading the stream: %r", error)
                await anyio.sleep(BUSY_WAIT)
                continue
            failures = 0 if self.position > before else failures + 1
            if failures > RECONNECTS and not is_new():
                return "the stream of the agent cannot be read any more"
            await anyio.sleep(min(0.01 * 2**failures, 0.5))

    async def _read(self, take: Take, opened: Callable[[], None]) -> bool:
        """Read until the connection ends; whether to go on then."""
        first = True
        try:
            async for number, message in self._connection.events(self.position, opened):
                if number <= self.position:
                    continue
                missing = number - self.position - 1
                if missing and not first:
                    # The server drops events for a slow reader without a word; its ring may still hold them.
                    return True
                if missing and not await take(number - 1, Gap(missing)):
                    return False
                first = False
                self.position = number
                if not await take(number, message):
                    return False
        except httpx.HTTPError as error:
            if is_machine_fault(error):
                raise
            logger.debug("the stream was cut: %r", error)
        return True

    async def _last_words(self) -> str:
        said = await anyio.to_thread.run_sync(self._connection.server.last_output)
        code = processes.exit_code(self._connection.server.state.pid)
        how = "" if code is None else f" (exit code {code})"
        return f"the sandbox-agent server ended{how}. Its last output: {said or 'none'}"
