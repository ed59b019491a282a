"""Telling what an agent offers in a session, as it says so, and setting its options."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import anyio
from msgspec import Raw, Struct

from backend_stub.agents.sandbox_agent.complaints import understood
from backend_stub.agents.sandbox_agent.connection import AgentConnection, AnsweredError
from backend_stub.agents.sandbox_agent.offer import KINDS
from backend_stub.agents.sandbox_agent.own_words import MODE_MARK
from backend_stub.agents.sandbox_agent.state import StoredSession
from backend_stub.domain.agent import (
    AcceptsChanged,
    CommandsChanged,
    OptionRefusedError,
    OptionsChanged,
    OptionValue,
    SessionChange,
    UsageChanged,
)
from backend_stub.domain.errors import AgentError
from foundry_tui.contract.codec import decode
from foundry_tui.contract.records import SessionOption


class _Update(Struct, rename="camel"):
    session_update: str = ""


class _Notification(Struct):
    update: Raw = Raw(b"{}")


class OfferingSession(Protocol):
    """What is used here of `Session`, which implements it."""

    connection: AgentConnection
    state: StoredSession

    def gone(self) -> bool:
        """Whether the agent is lost."""
        ...

    async def save(self) -> None:
        """Write the session's state down."""
        ...

    async def changed(self, changes: Sequence[SessionChange]) -> None:
        """The agent told this of the session; returns once it is kept."""
        ...


class Offering:
    """Passes on what an agent tells of its offer, by `run` and `tell`, and sets its options.

    What changes twice before it is passed on is passed on once, as it stands then.
    """

    def __init__(self, session: OfferingSession) -> None:
        self._session = session
        self._changes: dict[type, SessionChange] = {}
        self._changed = anyio.Event()
        self._telling = anyio.Lock()
        self._any_told = anyio.Event()
        self.when_told: Callable[[], Awaitable[None]] | None = None
        """What is done once when an agent tells its options that told none when the session was opened."""

    def note(self, *changes: SessionChange) -> None:
        """These are to be told."""
        for change in changes:
            self._changes[type(change)] = change
        if changes:
            self._changed.set()

    def note_all(self) -> None:
        """All that is known is to be told."""
        offer = self._session.state.offer
        self.note(OptionsChanged(offer.options), AcceptsChanged(offer.accepts))
        if offer.commands:
            self.note(CommandsChanged(offer.commands))
        if offer.usage is not None:
            self.note(UsageChanged(offer.usage))

    def take(self, params: Raw) -> bool:
        """Take an update of what is offered; False for any other. Raises `msgspec.DecodeError`."""
        update = decode(params, _Notification).update
        offer = self._session.state.offer
        if decode(update, _Update).session_update in KINDS:
            self.note(offer.take(update))
            return True
        change = offer.take_words(update) if MODE_MARK in bytes(update) else None
        if change is not None:
            self.note(change)
        return change is not None

    async def run(self) -> None:
        """Tell of changes for as long as the session is live."""
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            if self._session.state.offer.options:
                self._any_told.set()
                if self.when_told is not None:
                    set_now, self.when_told = self.when_told, None
                    await set_now()
            await self.tell()

    async def until_told(self, seconds: float) -> None:
        """Wait until the agent has told any options, at most for so many seconds."""
        if not self._session.state.offer.options:
            with anyio.move_on_after(seconds):
                await self._any_told.wait()

    async def tell(self) -> None:
        """Tell of what has changed."""
        async with self._telling:
            changes = list(self._changes.values())
            self._changes.clear()
            if changes:
                await self._session.changed(changes)

    async def set(self, option_id: str, value: OptionValue) -> tuple[SessionOption, ...]:
        """Set an option of the agent, and of every further process of it; all options after it.

        Raises `OptionRefusedError`, and `AgentError` when there is no answer; of an agent that is lost the next
        process gets the value.
        """
        session, wanted = self._session, self._session.state.wanted
        before = dict(wanted)
        wanted[option_id] = value
        await session.save()
        if not session.state.offer.options:
            # It is asked for as soon as the agent tells what it offers.
            return ()
        try:
            if not session.gone():
                await self._request(option_id, value)
        except AgentError:
            if not session.gone():
                session.state.wanted = before
                await session.save()
                raise
        if session.gone():
            session.state.want(option_id, value)
        await session.save()
        return session.state.offer.options

    async def _request(self, option_id: str, value: OptionValue) -> None:
        state = self._session.state
        method, params = state.offer.request(option_id, value)
        try:
            asked = {"sessionId": state.acp_session, **params}
            result = await self._session.connection.request(state.number(), method, asked)
        except AnsweredError as error:
            raise OptionRefusedError(understood(error.error, state.agent, state.auth_methods).words) from error
        state.offer.was_set(option_id, value, result)
        self.note(OptionsChanged(state.offer.options))
