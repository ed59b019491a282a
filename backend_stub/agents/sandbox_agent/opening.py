"""Starting an agent process and a session in it, with the stream read up to each answer."""

from typing import Any

import anyio
import anyio.to_thread
from msgspec import Raw

from backend_stub.agents.sandbox_agent.connection import AgentConnection
from backend_stub.agents.sandbox_agent.handshake import OPENING_LIMIT, introduce
from backend_stub.agents.sandbox_agent.mcp import Servers
from backend_stub.agents.sandbox_agent.messages import Message
from backend_stub.agents.sandbox_agent.state import StoredSession

CATCH_UP = 5.0
"""Seconds that the stream has to bring what was sent before an answer."""
REPLAY_LIMIT = 30.0
"""The same for a conversation that is replayed, which may be long."""
QUIET = 0.25
"""Seconds of silence that end a replay: some agents answer first, and replay then."""


class Opening:
    """The opening of one session. While it `replays`, what the agent says was said before."""

    def __init__(self, connection: AgentConnection, state: StoredSession) -> None:
        self._connection = connection
        self._state = state
        self._scope: anyio.CancelScope | None = None
        self._awaited: tuple[int, anyio.Event] | None = None
        self._replaying = False
        self._replayed_at = 0.0

    @property
    def under_way(self) -> bool:
        return self._scope is not None

    async def run(self, cwd: str, servers: Servers) -> bool:
        """Open the session, with these MCP servers; whether it remembers the conversation before.

        Returns soon when it is given up. Raises `AgentError`.
        """
        self._scope = anyio.CancelScope()
        server, state = self._connection.server, self._state
        remembers, before = False, await anyio.to_thread.run_sync(server.agents_running)
        try:
            with self._scope:
                remembers = await introduce(self._connection, state, cwd, servers, self._ask)
        finally:
            self._scope = None
            after = await anyio.to_thread.run_sync(server.agents_running)
            new = {pid: mark for pid, mark in after.items() if before.get(pid) != mark}
            if len(new) == 1:
                [(state.agent_pid, state.agent_started)] = new.items()
        return remembers

    def give_up(self) -> None:
        """The agent is lost."""
        if self._scope is not None:
            self._scope.cancel()

    def replays(self) -> bool:
        """Whether something that came just now was said before."""
        self._replayed_at = anyio.current_time()
        return self._replaying

    def hear(self, message: Message) -> None:
        """An answer came on the stream."""
        if self._awaited is not None and message.answers(self._awaited[0]):
            self._awaited[1].set()
            self._awaited = None

    async def _ask(self, method: str, params: dict[str, Any]) -> Raw:
        """Ask, and read the stream up to the answer, so that what was replayed counts for no turn."""
        number = self._state.number()
        caught_up = anyio.Event()
        self._awaited = (number, caught_up)
        self._replaying = method == "session/load"
        self._replayed_at = anyio.current_time()
        try:
            result = await self._connection.request(number, method, params, limit=OPENING_LIMIT)
            with anyio.move_on_after(REPLAY_LIMIT if self._replaying else CATCH_UP):
                await caught_up.wait()
                if self._replaying and self._state.prompts:
                    await self._replayed()
        finally:
            self._replaying = False
        return result

    async def _replayed(self) -> None:
        """Wait until the replay is over, of which there is some where anything was asked."""
        while True:
            left = self._replayed_at + QUIET - anyio.current_time()
            if left <= 0:
                return
            await anyio.sleep(left)
