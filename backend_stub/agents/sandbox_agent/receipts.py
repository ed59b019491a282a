"""Whether an agent has what was being sent to it when the backend was killed.

The server's log has a line for each request that came to it, and what came is given to the agent in the same step. But
what is longer than a pipe holds is cut there with the connection that it came by, and leaves half a line at the agent.
"""

import re
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import Protocol

import anyio

from backend_stub.agents.sandbox_agent.connection import UnsentError
from backend_stub.agents.sandbox_agent.inbox import Inbox
from backend_stub.agents.sandbox_agent.server_log import ServerLog, lines_behind
from backend_stub.agents.sandbox_agent.state import SENDING, SENT, PromptMark, SteerMark, StoredSession

PIPE_HOLDS = 16_384
"""Bytes that a pipe holds, wherever we run."""
_REQUESTED = re.compile(
    rb'^ts=\S+ level=\w+ target=sandbox_agent::acp_proxy_runtime message="acp_proxy: POST '
    rb'(?P<what>received|\S+ error)" server_id=(?P<place>\S+) method=\S+ id=(?P<id>\d+) (?P<rest>.*)\n',
    re.MULTILINE,
)
"""A request of ours came to the server, or came to no good end there."""
_NOT_GIVEN = b"failed to write"
"""What the server says when the agent was not there to be given a request."""


class LiveSession(Protocol):
    """What is used here of `Session`, which implements it."""

    state: StoredSession
    sign_due: float
    """When the agent must have given a sign of what was being sent; earlier once its stream stands."""

    def gone(self) -> bool:
        """Whether the agent is lost."""
        ...

    async def woken(self) -> None:
        """Wait until something has changed."""
        ...


class Receipt(Enum):
    """What became of a request that was being sent to an agent when the backend was killed."""

    NONE = auto()
    """It never came to the server."""
    UNSURE = auto()
    """It came to the server, and is so long that it may have been cut on its way to the agent."""
    WHOLE = auto()
    """The agent has it."""


async def receipt_of(log: ServerLog, state: StoredSession, mark: PromptMark | SteerMark) -> Receipt:
    """How far a request of this session came, by the server's log."""
    if not await log.patiently(partial(_came, log.path, state.server_id, mark.rpc_id, mark.logged)):
        return Receipt.NONE
    return Receipt.WHOLE if 0 < mark.size < PIPE_HOLDS else Receipt.UNSURE


async def note_given(log: ServerLog, state: StoredSession) -> None:
    """Mark those prompts as sent that were being sent to the session's agent and came to it whole."""
    for mark in state.prompts.values():
        if mark.phase == SENDING and await receipt_of(log, state, mark) is Receipt.WHOLE:
            mark.phase = SENT


async def has_it(session: LiveSession, log: ServerLog, inbox: Inbox, mark: PromptMark) -> bool:
    """Whether the agent has a prompt that was being sent: by the log, or else by what it says until a sign is due.

    Raises `UnsentError` where it may have a part of it, so that it can read nothing more.
    """
    receipt = await receipt_of(log, session.state, mark)
    while (
        not (receipt is Receipt.WHOLE or inbox or session.gone())
        and (left := session.sign_due - anyio.current_time()) > 0
    ):
        with anyio.move_on_after(left):
            await session.woken()
    if receipt is not Receipt.WHOLE:
        receipt = await receipt_of(log, session.state, mark)
    if receipt is Receipt.UNSURE and not inbox:
        raise UnsentError(f"it may have come to {session.state.agent} in part only")
    return receipt is Receipt.WHOLE or bool(inbox)


def _came(log: Path, place: str, rpc_id: int, since: int) -> bool:
    """Whether our request came behind that much of the log, for an agent that was there."""
    request = (place.encode(), b"%d" % rpc_id)
    requested = _REQUESTED.finditer(lines_behind(log, since))
    about = [match for match in requested if match.group("place", "id") == request]
    return bool(about) and not any(match["what"] != b"received" and _NOT_GIVEN in match["rest"] for match in about)
