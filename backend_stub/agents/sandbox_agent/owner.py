"""Who is told what happens to a session outside of any call."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from backend_stub.agents.sandbox_agent.updates import Item

if TYPE_CHECKING:
    from backend_stub.agents.sandbox_agent.session import Session


class Owner(Protocol):
    """Who is told what happens to a session outside of any call."""

    async def lost(self, session: "Session", reason: str) -> None:
        """The agent died while nothing was asked of it."""
        ...

    def turn_over(self, session: "Session") -> None:
        """The agent has ended a turn, whether or not somebody follows it."""
        ...

    async def said(self, session: "Session", prompt_id: str, items: Sequence[Item]) -> None:
        """The agent said this after the turn of that prompt; returns once it is kept."""
        ...
