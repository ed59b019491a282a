"""Answering what an agent asks of us: each request once, however the backend ends meanwhile.

That an answer is about to be sent is written down before it is, with how long the server's log is by then. The server
outlives the backend, and its log has a line for each message that it has passed on to an agent. So an answer that was
being sent when the backend was killed, or when whoever sent it was cut, is sent again only if the log does not have it:
none is lost, and none comes twice. Where that cannot be written down, as on a full disk, the answer is sent all the
same, and a kill may have it sent again. An agent that is gone with its server has lost its question too.

What nobody decides, a refusal or `cancelled`, is owed, and given beside the stream: each for itself, so that one that
hangs holds up neither another one nor what is read.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

import anyio

from backend_stub.agents.sandbox_agent.connection import AgentConnection
from backend_stub.agents.sandbox_agent.elicitation import cancelled_answer
from backend_stub.agents.sandbox_agent.state import Owed, StoredSession
from backend_stub.domain.errors import AgentError
from backend_stub.machine.faults import is_machine_fault

logger = logging.getLogger(__name__)


class Answers:
    """The answers of one session; `save` writes its state down."""

    def __init__(self, connection: AgentConnection, state: StoredSession, save: Callable[[], Awaitable[None]]) -> None:
        self._connection = connection
        self._state = state
        self._save = save
        self._giving: WeakValueDictionary[int, anyio.Lock] = WeakValueDictionary()
        self._begun: dict[int, Owed] = {}
        self._more = anyio.Event()

    async def give(self, number: int, request_id: str, result: dict[str, Any]) -> None:
        """Answer the request that came as the event of this number, unless it has its answer.

        Raises `AgentError` when the answer does not reach the agent.
        """
        await self._once(number, request_id, partial(self._connection.respond, request_id, result))

    def owe(self, number: int, answer: Owed) -> None:
        """The request is given this answer by `run`, unless it has one; it is kept with what was read of the stream."""
        if number not in self._state.answered:
            self._state.owed.setdefault(number, answer)
            self._more.set()

    async def run(self) -> None:
        """Give what is owed, also by an earlier run of the backend, for as long as the session is live."""
        async with anyio.create_task_group() as group:
            while True:
                self._more = anyio.Event()
                self._begun = {number: owed for number, owed in self._begun.items() if number in self._state.owed}
                for number, owed in self._state.owed.items():
                    if self._begun.get(number) is not owed:
                        self._begun[number] = owed
                        group.start_soon(self._pay, number, owed)
                await self._more.wait()

    async def _pay(self, number: int, owed: Owed) -> None:
        request_id = owed.request_id
        if owed.refused:
            send = partial(self._connection.refuse, request_id, owed.method)
        else:
            send = partial(self._connection.respond, request_id, cancelled_answer(owed.method))
        with suppress(AgentError):
            # That it did not reach the agent shows on the stream.
            await self._once(number, request_id, send)

    async def _once(self, number: int, request_id: str, send: Callable[[], Awaitable[None]]) -> None:
        state, log = self._state, self._connection.server.log
        async with self._giving.setdefault(number, anyio.Lock()):
            if number in state.answered:
                state.owed.pop(number, None)
                return
            before = state.answering.get(number)
            if before is None or not await self._has_it(request_id, before):
                state.answering[number] = await log.size()
                await self._note()
                await send()
            for open_ones in (state.answering, state.asking, state.owed):
                open_ones.pop(number, None)
            state.answered.append(number)
            await self._note()

    async def _has_it(self, request_id: str, before: int) -> bool:
        log, first = self._connection.server.log, min(self._state.answering.values())
        return await log.has_passed_on(self._connection.server_id, request_id, before, first)

    async def _note(self) -> None:
        """Write it down if this machine has room for it: the agent does not wait for that."""
        try:
            await self._save()
        except (OSError, RuntimeError) as error:
            if not is_machine_fault(error):
                raise
            logger.debug("that the agent of session %s is answered cannot be kept: %r", self._state.session_id, error)
