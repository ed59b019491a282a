"""What an agent says outside of turns: before the first, after the end of one, and after one was stopped."""

from collections.abc import Sequence
from typing import Protocol

import anyio
import msgspec

from backend_stub.agents.sandbox_agent.elicitation import QUESTIONS
from backend_stub.agents.sandbox_agent.inbox import Inbox
from backend_stub.agents.sandbox_agent.messages import Arrival, Message
from backend_stub.agents.sandbox_agent.questions import unasked
from backend_stub.agents.sandbox_agent.state import StoredSession
from backend_stub.agents.sandbox_agent.updates import Item, Translation
from foundry_tui.contract.codec import decode


class KeepingSession(Protocol):
    """What is used here of `Session`, which implements it."""

    async def keep(self, prompt_id: str, items: Sequence[Item]) -> None:
        """The agent said this after the turn of that prompt; returns once it is kept."""
        ...

    def between(self) -> bool:
        """Whether no turn is told that what has arrived may belong to."""
        ...

    def respond_cancelled(self, number: int, request_id: str, method: str | None) -> None:
        """Answer a question of the agent, which called this method as the event of this number, with `cancelled`."""
        ...

    async def save_patiently(self) -> None:
        """Write the session's state down as soon as this machine has room for it."""
        ...


class OutsideTurns:
    """Goes on with the translation of the last turn, so that a tool call of that turn is still updated in place.

    After a restart the stream is read again; up to the event of number `told_before` it was told, and is not again.
    """

    def __init__(self, state: StoredSession, session: KeepingSession, inbox: Inbox) -> None:
        self._state = state
        self._session = session
        self._inbox = inbox
        self.told_before = 0
        self._lock = anyio.Lock()
        self._turn: tuple[int, Translation] | None = None

    @property
    def busy(self) -> bool:
        """Whether something is being kept now."""
        return self._lock.locked()

    def follow(self, up_to: int, translation: Translation) -> None:
        """A turn was told up to this event of the stream."""
        self._turn = (up_to, translation)

    def told_so_far(self) -> tuple[int, Translation | None]:
        """Up to which event the last turn was told, and as what."""
        return self._turn or (self._state.seen, self._state.translation)

    def forget(self) -> None:
        """Another turn begins."""
        self._turn = None
        self._state.translation = None

    def settle(self) -> None:
        """The last turn has been committed. What the agent says next is added to it, also after a restart."""
        if self._turn is not None:
            self._state.seen, translation = self._turn
            translation.end_message()
            self._state.translation, self._turn = translation, None

    async def run(self) -> None:
        """Keep what the agent says while no turn is told, for as long as the session is live."""
        while True:
            if self._inbox and self._session.between():
                await self.tell()
            else:
                await self._inbox.woken()

    async def tell(self) -> None:
        """Keep what has arrived. The state says that it was told only once it was."""
        given = self._inbox.take_all()
        try:
            await self._keep(given)
        except anyio.get_cancelled_exc_class():
            # Cut before it was kept: it is told again, as the same items.
            self._inbox.put_back(given)
            raise

    async def _keep(self, given: Sequence[Arrival]) -> None:
        async with self._lock:
            self.settle()
            translation, taken, items = self._translation(), False, dict[str, Item]()
            for arrival in given:
                message = arrival.message
                item = translation.take(arrival)
                if isinstance(message, Message) and message.method in QUESTIONS:
                    item = unasked(arrival.number, message, translation, "no turn was in progress")
                    self._session.respond_cancelled(arrival.number, message.request_id, message.method)
                taken = taken or item is not None
                if item is not None and arrival.number > self.told_before:
                    items[item.key] = item
            if items:
                await self._session.keep(translation.prompt_id, list(items.values()))
            if taken:
                self._state.seen, self._state.translation = given[-1].number, translation
                await self._session.save_patiently()

    def _translation(self) -> Translation:
        """A copy of the last turn's, which changes only when all is kept."""
        if self._state.translation is not None:
            return decode(msgspec.json.encode(self._state.translation), Translation)
        before_all = f"{self._state.session_id}.{self._state.openings}"
        return Translation(prompt_id=next(reversed(self._state.prompts), before_all), cwd=self._state.cwd)
