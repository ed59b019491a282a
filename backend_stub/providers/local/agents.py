"""What the local provider needs of the agents in its sandboxes, beside what every provider's agents promise."""

from typing import Protocol

from anyio.abc import TaskGroup

from backend_stub.domain.agent import AgentRuntime, Files, WantedLogin
from backend_stub.domain.call import Call


class AskedFor(Protocol):
    """What agents asked for when they were put to work."""

    def of(self, agent: str) -> WantedLogin | None:
        """The login that this agent asked for last, if it has not worked since; for any thread."""
        ...


class LocalAgents(AgentRuntime, Protocol):
    """Agents that are processes on this machine and go on when the backend ends."""

    files: Files | None
    """Told when a turn may have changed files."""

    @property
    def logins(self) -> AskedFor:
        """The logins that agents asked for."""
        ...

    def state(self) -> str:
        """`ready`, or what is missing and how to get it."""
        ...

    def use(self, group: TaskGroup) -> None:
        """Listen to agents in this task group; cancelling it lets go of them. To be called before any other call."""
        ...

    async def use_mcp(self, task_id: str, trusted_file: bytes | None) -> None:
        """What the task's repository says of MCP servers, if that is trusted: sessions get them from now on."""
        ...

    async def end(self, call: Call) -> None:
        """End every process of the task's agents; none is success."""
        ...

    async def close(self) -> None:
        """Let go of the agents, which go on."""
        ...
