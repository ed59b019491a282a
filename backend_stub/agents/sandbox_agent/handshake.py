"""The first words with an agent process: what it can do, and a session in it, remembered or new."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Raw, Struct

from backend_stub.agents.sandbox_agent.complaints import About, auth_methods, understood
from backend_stub.agents.sandbox_agent.connection import AgentConnection, AnsweredError, converted
from backend_stub.agents.sandbox_agent.mcp import McpCapabilities, Servers, in_words_of_the_protocol
from backend_stub.agents.sandbox_agent.offer import accepts_of
from backend_stub.agents.sandbox_agent.state import StoredSession
from backend_stub.agents.sandbox_agent.wanted_logins import LoginWantedError
from backend_stub.domain.errors import AgentError

logger = logging.getLogger(__name__)

PROTOCOL_VERSION = 1
CLIENT = {"name": "foundry", "version": "1"}
OPENING_LIMIT = 1800.0
"""Seconds that an agent may take for each step of opening a session; the stage's own time-out is what ends it sooner:
some agents need a minute to start, and as long to load a conversation."""


CAPABILITIES: dict[str, Any] = {
    "fs": {"readTextFile": False, "writeTextFile": False},
    "terminal": False,
    "session": {"configOptions": {"boolean": {}}},
    "elicitation": {"form": {}, "url": {}},
}


class _Capabilities(Struct, rename="camel"):
    load_session: bool | None = None
    mcp_capabilities: McpCapabilities | None = None


class _Initialized(
    Struct, rename={"agent_capabilities": "agentCapabilities", "auth_methods": "authMethods", "meta": "_meta"}
):
    agent_capabilities: Raw = Raw(b"{}")
    auth_methods: Raw = Raw(b"[]")
    meta: Raw = Raw(b"null")


class _NewSession(Struct, rename="camel"):
    session_id: str


async def introduce(
    connection: AgentConnection,
    state: StoredSession,
    cwd: str,
    servers: Servers,
    ask: Callable[[str, dict[str, Any]], Awaitable[Raw]],
) -> bool:
    """Start the agent process and a session in it; whether it remembers the conversation before.

    `servers` are the MCP servers that it may use; what it cannot have of them becomes a notice. `ask` makes a request
    whose answer comes after all that is replayed. Raises `AgentError`.
    """
    try:
        result = await connection.request(
            state.number(),
            "initialize",
            {
                "protocolVersion": PROTOCOL_VERSION,
                "clientCapabilities": CAPABILITIES,
                "clientInfo": CLIENT,
            },
            agent=state.runs_as or state.agent,
            limit=OPENING_LIMIT,
        )
        said = converted(result, _Initialized)
        can = converted(said.agent_capabilities, _Capabilities)
        state.can_load = bool(can.load_session)
        state.offer = state.offer.anew(accepts_of(said.agent_capabilities, said.meta), state.agent)
        state.auth_methods = auth_methods(said.auth_methods)
        told, notices = in_words_of_the_protocol(servers, can.mcp_capabilities or McpCapabilities(), state.agent)
        state.notices.extend(notices)
        place: dict[str, Any] = {"cwd": cwd, "mcpServers": told}
        if state.acp_session and state.can_load:
            try:
                loaded = await ask("session/load", {"sessionId": state.acp_session, **place})
            except AnsweredError as error:
                # It stays the session to load until there is another: an agent that wants a login has it still.
                logger.debug("%s does not load its session: %s", state.agent, error)
            else:
                state.offer.opened(loaded)
                return True
        result = await ask("session/new", place)
    except AnsweredError as error:
        raise _in_words(error, state) from error
    state.acp_session = converted(result, _NewSession).session_id
    state.offer.opened(result)
    return False


def _in_words(error: AnsweredError, state: StoredSession) -> AgentError:
    """Why the agent opens no session; what only a person can change is not tried again."""
    complaint = understood(error.error, state.agent, state.auth_methods, opening=True)
    if complaint.about is About.LOGIN:
        said = f"{state.agent} wants a login ({complaint.words}): {complaint.next}"
        return LoginWantedError(said, state.agent, state.auth_methods, retryable=False)
    said = f"{state.agent} opens no session: {complaint.words}"
    return AgentError(
        f"{said}; {complaint.next}" if complaint.next else said, retryable=complaint.about is not About.INVALID
    )
