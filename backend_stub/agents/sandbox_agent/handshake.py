"""The first words with an agent process: what it can do, and a session in it, remembered or new."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from backend_stub.agents.sandbox_agent.link import AnsweredError, Link, converted
from backend_stub.agents.sandbox_agent.state import SessionState
from backend_stub.providers.base import AgentError

PROTOCOL_VERSION = 1
AUTH_REQUIRED = -32000
CLIENT = {"name": "foundry", "version": "1"}


class _Capabilities(Struct, rename="camel"):
    load_session: bool = False


class _Initialized(Struct, rename="camel"):
    agent_capabilities: _Capabilities = msgspec.field(default_factory=_Capabilities)


class _NewSession(Struct, rename="camel"):
    session_id: str


async def introduce(
    link: Link, state: SessionState, cwd: str, ask: Callable[[str, dict[str, Any]], Awaitable[Raw]]
) -> bool:
    """Start the agent process and a session in it; whether it remembers the conversation before.

    `ask` makes a request whose answer comes after all that is replayed. Raises `AgentError`.
    """
    result = await link.request(
        state.number(),
        "initialize",
        {
            "protocolVersion": PROTOCOL_VERSION,
            "clientCapabilities": {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False},
            "clientInfo": CLIENT,
        },
        agent=state.runs_as or state.agent,
    )
    state.can_load = converted(result, _Initialized).agent_capabilities.load_session
    place: dict[str, Any] = {"cwd": cwd, "mcpServers": []}
    try:
        if state.acp_session and state.can_load:
            try:
                await ask("session/load", {"sessionId": state.acp_session, **place})
            except AnsweredError:
                state.acp_session = ""
            else:
                return True
        result = await ask("session/new", place)
    except AnsweredError as error:
        if error.code == AUTH_REQUIRED:
            raise AgentError(
                f"{state.agent} wants a login: run it once by hand and log in. It said: {error.message}",
                retryable=False,
            ) from error
        raise
    state.acp_session = converted(result, _NewSession).session_id
    return False
