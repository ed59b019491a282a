"""Stands for the client until that is imported: its HTTP library takes long, and the first screen does without it.

For the row "first content" of `python -m tests.bench first_content`: importing the client first would take a quarter
of what it is measured against.
"""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from foundry_tui.client.commands import CommandProblem, Commands
    from foundry_tui.client.foundry import Foundry
    from foundry_tui.client.statistics import Diagnostics
    from foundry_tui.client.store import Store
    from foundry_tui.contract.events import Topic


def import_client() -> None:
    """Import the client, which brings its HTTP library along."""
    from importlib import import_module

    from foundry_tui.client.connection import import_httpx

    import_httpx()
    import_module("foundry_tui.client.foundry")


class LazyClient:
    """Stands for the client as the app's `Commands`. Whatever is asked of it loads it, but for `hold`."""

    def __init__(self, store: "Store", make: Callable[[], "Foundry"]) -> None:
        self.store = store
        self.on_problem: Callable[[CommandProblem], None] | None = None
        self._make = make
        self._made: Foundry | None = None
        self._held: dict[object, Topic] = {}
        self._releases: dict[object, Callable[[], None]] = {}

    @property
    def commands(self) -> "Commands":
        """This, as what it stands for."""
        return cast("Commands", self)

    def load(self) -> "Foundry":
        """The client, made when first asked for; what is held by then is held there."""
        if self._made is None:
            self._made = self._make()
            self._made.commands.on_problem = self._tell
            for token, topic in self._held.items():
                self._releases[token] = self._made.commands.hold(topic)
            self._held.clear()
        return self._made

    def hold(self, topic: "Topic") -> Callable[[], None]:
        """Hold the topic once the client is there."""
        if self._made is not None:
            return self._made.commands.hold(topic)
        token = object()
        self._held[token] = topic

        def release() -> None:
            if self._held.pop(token, None) is None and (let_go := self._releases.pop(token, None)) is not None:
                let_go()

        return release

    async def hand_over(self, seconds: float) -> None:
        """Give the client so many seconds at most to hand over what it was asked; nothing, before it is loaded."""
        if self._made is not None:
            await self._made.hand_over(seconds)

    def save_now(self) -> None:
        """Write what is to outlive the app, also where the client never ran; nothing, before it is loaded."""
        if self._made is not None:
            self._made.save_now()

    def unanswered(self) -> "Counter[str]":
        """What the backend owes an answer to, as `Outbox.unanswered` counts it."""
        return Counter() if self._made is None else self._made.outbox.unanswered()

    def diagnostics(self) -> "Diagnostics":
        """What the client knows of its connections; asking loads it."""
        return self.load().diagnostics()

    def _tell(self, problem: "CommandProblem") -> None:
        if self.on_problem is not None:
            self.on_problem(problem)

    def __getattr__(self, name: str) -> object:
        return getattr(self.load().commands, name)
