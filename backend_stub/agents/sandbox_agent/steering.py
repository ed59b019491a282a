"""Prompts that go into a turn in progress, by the extension `_session/steering` of those agents that have it."""

from typing import Any, Protocol

import anyio
import msgspec
from msgspec import Raw, Struct

from backend_stub.agents.sandbox_agent.connection import AgentConnection, AnsweredError, ServerRefusedError
from backend_stub.agents.sandbox_agent.messages import Message
from backend_stub.agents.sandbox_agent.receipts import Receipt, receipt_of
from backend_stub.agents.sandbox_agent.state import SteerMark, StoredSession
from backend_stub.domain.agent import Steered
from backend_stub.domain.errors import AgentError
from foundry_tui.contract.codec import decode

METHOD = "_session/steering"
ANSWER_WAIT = 5.0
"""Seconds in which the answer to what was being sent at a restart must have come on the stream, if there is one."""


class _Outcome(Struct):
    outcome: str = ""


_OUTCOMES = {
    "injected": Steered.TAKEN,
    # Which it was told not to do; it has the prompt all the same.
    "startedNewTurn": Steered.TAKEN,
    "promptRequired": Steered.TURN_OVER,
}


class TurningSession(Protocol):
    """What is used here of `Session`, which implements it."""

    connection: AgentConnection
    state: StoredSession
    active: str | None
    over: bool
    stopping_since: float | None

    def gone(self) -> bool:
        """Whether the agent is lost."""
        ...

    def notify(self) -> None:
        """Wake those that wait for a change of the session."""
        ...

    async def save(self) -> None:
        """Write the session's state down."""
        ...


class Steering:
    """Says prompts into the turn that runs. Each is kept in the session's state first, so that it is not said twice."""

    def __init__(self, session: TurningSession) -> None:
        self._session = session
        self._heard: dict[int, Message] = {}
        self._changed = anyio.Event()

    def hear(self, message: Message) -> bool:
        """An answer came on the stream; whether it says that something has come into the turn there."""
        for mark in self._session.state.steered.values():
            if message.answers(mark.rpc_id):
                if not mark.taken:
                    self._heard[mark.rpc_id] = message
                    self._changed.set()
                return _outcome(message) is Steered.TAKEN
        return False

    async def steer(self, prompt_id: str, text: str) -> Steered:
        """Say this into the turn in progress, unless that was done before."""
        session, state = self._session, self._session.state
        mark = state.steered.get(prompt_id)
        if mark is not None and (known := await self._known(prompt_id, mark)) is not None:
            return known
        size, logged = len(text.encode()), await session.connection.server.log.size()
        if session.active is None or session.over or session.gone() or session.stopping_since is not None:
            return Steered.TURN_OVER
        mark = SteerMark(rpc_id=state.number(), into=session.active, size=size, logged=logged)
        state.steered[prompt_id] = mark
        await session.save()
        params: dict[str, Any] = {
            "sessionId": state.acp_session,
            "prompt": [{"type": "text", "text": text}],
            "_meta": {"steering": {"idleBehavior": "promptRequired"}},
        }
        try:
            result = await session.connection.request(mark.rpc_id, METHOD, params)
        except (AnsweredError, ServerRefusedError):
            return await self._settle(prompt_id, mark, Steered.REFUSED)
        except AgentError:
            return Steered.UNKNOWN
        return await self._settle(prompt_id, mark, _outcome(Message(result=result)))

    async def came_in(self, prompt_id: str) -> bool:
        """Whether the agent has had this prompt in a turn that is over by now."""
        mark = self._session.state.steered.get(prompt_id)
        return mark is not None and await self._known(prompt_id, mark) is Steered.TAKEN

    def forget(self) -> None:
        """Another turn begins: all that was said into the one before is settled."""
        self._session.state.steered = {}
        self._heard.clear()

    async def _known(self, prompt_id: str, mark: SteerMark) -> Steered | None:
        """What became of a prompt that was being sent when the backend was killed; None if it seems to be lost."""
        if mark.taken:
            return Steered.TAKEN
        with anyio.move_on_after(ANSWER_WAIT):
            while mark.rpc_id not in self._heard and not self._session.gone():
                self._changed = anyio.Event()
                await self._changed.wait()
        answer = self._heard.pop(mark.rpc_id, None)
        if answer is None:
            session = self._session
            log = session.connection.server.log
            if not session.over and await receipt_of(log, session.state, mark) is Receipt.WHOLE:
                # It has it, and will say what became of it.
                return Steered.UNKNOWN
            session.state.steered.pop(prompt_id, None)
            return None
        return await self._settle(prompt_id, mark, _outcome(answer))

    async def _settle(self, prompt_id: str, mark: SteerMark, outcome: Steered) -> Steered:
        if outcome is Steered.TAKEN:
            mark.taken = True
        else:
            self._session.state.steered.pop(prompt_id, None)
        await self._session.save()
        return outcome


def _outcome(answer: Message) -> Steered:
    """What the agent did with the prompt, by its answer; an answer that does not say so means that it did nothing."""
    if answer.failure is not None:
        return Steered.REFUSED
    try:
        return _OUTCOMES.get(decode(answer.result or Raw(b"null"), _Outcome).outcome, Steered.REFUSED)
    except msgspec.DecodeError:
        return Steered.REFUSED
