"""Answering what an agent asks of us: each request once, however the backend ends meanwhile.

That an answer is about to be sent is written down before it is, with how long the server's log is by then. The server
outlives the backend, and its log has a line for each message that it has passed on to an agent. So an answer that was
being sent when the backend was killed, or when whoever sent it was cut, is sent again only if the log does not have it:
none is lost, and none comes twice. An agent that is gone with its server has lost its question too.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio

from backend_stub.agents.sandbox_agent.connection import AgentConnection
from backend_stub.agents.sandbox_agent.messages import Message
from backend_stub.agents.sandbox_agent.state import StoredSession


class Answers:
    """The answers of one session, given one at a time; `save` writes its state down, however long that takes."""

    def __init__(self, connection: AgentConnection, state: StoredSession, save: Callable[[], Awaitable[None]]) -> None:
        self._connection = connection
        self._state = state
        self._save = save
        self._lock = anyio.Lock()

    async def give(self, number: int, request_id: str, result: dict[str, Any]) -> None:
        """Answer the request that came as the event of this number, unless it has its answer.

        Raises `AgentError` when the answer does not reach the agent.
        """
        await self._once(number, request_id, partial(self._connection.respond, request_id, result))

    async def refuse(self, number: int, request: Message) -> None:
        """The same for a request that we do not know."""
        await self._once(number, request.request_id, partial(self._connection.refuse, request))

    async def _once(self, number: int, request_id: str, send: Callable[[], Awaitable[None]]) -> None:
        state, log = self._state, self._connection.server.log
        async with self._lock:
            if number in state.answered:
                return
            before = state.answering.get(number)
            if before is None or not await log.has_passed_on(self._connection.server_id, request_id, before):
                state.answering[number] = await log.size()
                await self._save()
                await send()
            state.answering.pop(number, None)
            state.asking.pop(number, None)
            state.answered.append(number)
            await self._save()
