"""Who is told what happens to a session outside of any call."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from backend_stub.agents.sandbox_agent.updates import Item
from backend_stub.domain.agent import SessionChange

S = TypeVar("S", contravariant=True)
"""The session."""


class Owner(Protocol[S]):
    """What a session uses of the runtime that has it, which implements this."""

    async def lost(self, session: S, reason: str) -> None:
        """The agent died while nothing was asked of it."""
        ...

    async def changed(self, session: S, changes: Sequence[SessionChange]) -> None:
        """The agent told this of the session; returns once it is kept."""
        ...

    def turn_over(self, session: S) -> None:
        """The agent has ended a turn, whether or not somebody follows it."""
        ...

    async def said(self, session: S, prompt_id: str, items: Sequence[Item]) -> None:
        """The agent said this after the turn of that prompt; returns once it is kept."""
        ...
