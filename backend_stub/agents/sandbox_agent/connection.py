"""JSON-RPC with one agent process through its server: requests by POST, what the agent sends by a resumable stream."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import httpx
import httpx_sse
import msgspec
from msgspec import Raw, Struct

from backend_stub.agents.sandbox_agent.complaints import RpcError
from backend_stub.agents.sandbox_agent.messages import Message, Unreadable, read_message
from backend_stub.agents.sandbox_agent.server import Server
from backend_stub.domain.errors import AgentError
from backend_stub.machine import processes
from backend_stub.machine.faults import is_machine_fault
from foundry_tui.contract.codec import decode

T = TypeVar("T")

METHOD_NOT_FOUND = -32601
CANCELLED: dict[str, Any] = {"outcome": {"outcome": "cancelled"}}
"""The answer to a question that nobody answers."""
BUSY_WAIT = 1.0
"""Seconds to wait while this machine has no room for a connection."""
_REPLY_LIMIT = 60.0
"""Seconds that an agent may take to answer anything but a prompt and what opens a session."""


def converted(raw: Raw, type_: type[T]) -> T:
    """What the agent sent, as a record; raises `AgentError`."""
    try:
        return decode(raw or Raw(b"null"), type_)
    except msgspec.DecodeError as error:
        raise AgentError(f"the agent's answer makes no sense: {error}") from error


class Exited(Struct, frozen=True):
    """The server says that the agent has ended; without a code by a signal."""

    code: int | None = None


class NoJson(Struct, frozen=True):
    """The server says that it could not read this line of the agent as JSON."""

    raw: str = ""
    error: str = "it is no JSON"


class _Problem(Struct, frozen=True):
    detail: str = ""
    title: str = ""


class AnsweredError(AgentError):
    """The agent answered with an error."""

    def __init__(self, method: str, error: RpcError) -> None:
        super().__init__(f"the agent refused {method}: {error.message or error.code}")
        self.error = error


class ServerRefusedError(AgentError):
    """The server refused a message; `status` is that of its answer."""

    def __init__(self, message: str, status: int, *, retryable: bool = True) -> None:
        super().__init__(message, retryable=retryable)
        self.status = status


class UnsentError(AgentError):
    """The prompt did not reach the agent, so another one may have it."""


_Trace = Callable[[str, dict[str, Any]], Awaitable[None]]

_problem = msgspec.json.Decoder(_Problem)


class AgentConnection:
    """The way to one agent process, which the server knows by `server_id`."""

    def __init__(self, server: Server, server_id: str) -> None:
        self.server = server
        self.server_id = server_id
        self._path = f"/v1/acp/{server_id}"

    async def request(
        self, rpc_id: int, method: str, params: dict[str, Any], *, agent: str | None = None, limit: float = _REPLY_LIMIT
    ) -> Raw:
        """Ask the agent and give back its result. `agent` names which one to start, on the first request only.

        Raises `AgentError` for an answer that is an error, and `ServerRefusedError` when the server refuses.
        """
        body = {"jsonrpc": "2.0", "id": rpc_id, "method": method, "params": params}
        message = await self._post(body, agent=agent, limit=limit)
        if message is None:
            raise AgentError(f"the agent gave no answer to {method}")
        if (failure := message.failure) is not None:
            raise AnsweredError(method, failure)
        return message.result

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        """Tell the agent something that has no answer."""
        await self._post({"jsonrpc": "2.0", "method": method, "params": params})

    async def respond(self, request_id: str, result: dict[str, Any]) -> None:
        """Answer the agent's request of this id, which is given as it stands in JSON."""
        await self._answer({"jsonrpc": "2.0", "id": Raw(request_id.encode()), "result": result})

    async def refuse(self, request_id: str, method: str | None) -> None:
        """Answer a request of the agent that we do not know."""
        error = {"code": METHOD_NOT_FOUND, "message": f"{method} is not supported here"}
        await self._answer({"jsonrpc": "2.0", "id": Raw(request_id.encode()), "error": error})

    async def _answer(self, body: dict[str, Any]) -> None:
        """Send an answer, without which the agent would wait for ever, as soon as this machine has room for it."""
        while True:
            try:
                await self._post(body)
            except AgentError as error:
                if not is_machine_fault(error):
                    raise
                await anyio.sleep(BUSY_WAIT)
            else:
                return

    async def lives(self, acp_session: str) -> bool:
        """Whether the agent takes what it is told; ask only while it is at nothing, which this would end."""
        try:
            await self.notify("session/cancel", {"sessionId": acp_session})
        except AgentError as error:
            if is_machine_fault(error):
                raise
            return False
        return True

    async def prompt(self, rpc_id: int, params: dict[str, Any], handed_over: Callable[[], None]) -> None:
        """Send a prompt; comes back when the turn is over or never: the stream tells the end.

        `handed_over` is told as soon as the whole request is with the server. Raises `AgentError` if it is refused.
        """
        body = {"jsonrpc": "2.0", "id": rpc_id, "method": "session/prompt", "params": params}

        async def trace(event: str, info: dict[str, Any]) -> None:
            if event == "http11.send_request_body.complete":
                handed_over()

        await self._post(body, limit=None, trace=trace)

    async def end(self, pid: int, started: str) -> None:
        """End the agent process with what it has started; `pid` is 0 where it is not known, `started` its start mark.

        The server does so at once but never answers, so the answer is not waited for.
        """
        with suppress(httpx.HTTPError):
            await self.server.client.delete(self._path, timeout=httpx.Timeout(5.0, read=0.5))
        # An agent need not end when its input does.
        if pid:
            await anyio.to_thread.run_sync(processes.end_tree, pid, started)

    async def events(self, after: int, opened: Callable[[], None]) -> AsyncIterator[tuple[int, Message | Unreadable]]:
        """What the agent sends, numbered, from behind `after` on, until the connection ends.

        `opened` is told once the connection stands; what was sent before comes at once then. Raises
        `ServerRefusedError` when the server does not know this agent process, `httpx.HTTPError` for a cut.
        """
        headers = {"Last-Event-ID": str(after)} if after else {}
        timeout = httpx.Timeout(10.0, read=None)
        async with httpx_sse.aconnect_sse(
            self.server.client, "GET", self._path, headers=headers, timeout=timeout
        ) as source:
            if source.response.status_code != 200:
                await source.response.aread()
                raise _refusal(source.response)
            opened()
            async for event in source.aiter_sse():
                if event.id.isdigit():
                    # Something that is no JSON-RPC still takes a number, which must not look like a gap.
                    yield int(event.id), read_message(event.data)

    async def _post(
        self,
        body: dict[str, Any],
        *,
        agent: str | None = None,
        limit: float | None = _REPLY_LIMIT,
        trace: _Trace | None = None,
    ) -> Message | None:
        try:
            answer = await self.server.client.post(
                self._path,
                content=msgspec.json.encode(body),
                headers={"Content-Type": "application/json"},
                params={"agent": agent} if agent else None,
                timeout=httpx.Timeout(10.0, read=limit),
                extensions={"trace": trace} if trace else None,
            )
        except httpx.TimeoutException as error:
            about = body.get("method") or "what it was answered"
            raise AgentError(f"the agent did not answer {about} within {limit:.0f} s") from error
        except httpx.HTTPError as error:
            raise AgentError(f"the connection to sandbox-agent broke: {error or type(error).__name__}") from error
        if answer.status_code >= 400:
            raise _refusal(answer)
        if answer.status_code == 202 or not answer.content:
            return None
        message = read_message(answer.text)
        if isinstance(message, Unreadable):
            raise AgentError(f"the agent's answer to {body.get('method', '')} makes no sense: {message.why}")
        return message


def _refusal(answer: httpx.Response) -> ServerRefusedError:
    try:
        problem = _problem.decode(answer.content)
        words = problem.detail or problem.title
    except msgspec.DecodeError:
        words = ""
    words = words or f"HTTP {answer.status_code}"
    status = answer.status_code
    return ServerRefusedError(f"sandbox-agent refused: {words}", status, retryable=status >= 500)
