"""One session with an agent: its stream read without loss, its prompts handed over once, its turns told."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import TypeAlias

import anyio
import anyio.to_thread
import msgspec
from anyio.abc import TaskGroup
from msgspec import UNSET

from backend_stub.agents.sandbox_agent.answers import Answers
from backend_stub.agents.sandbox_agent.connection import (
    BUSY_WAIT,
    AgentConnection,
    Exited,
    NoJson,
    ServerRefusedError,
    UnsentError,
    converted,
)
from backend_stub.agents.sandbox_agent.content import Block
from backend_stub.agents.sandbox_agent.elicitation import COMPLETED, QUESTIONS
from backend_stub.agents.sandbox_agent.inbox import Inbox
from backend_stub.agents.sandbox_agent.mcp import NO_SERVERS, Servers
from backend_stub.agents.sandbox_agent.messages import Arrival, Gap, Message, Unreadable, lost_request, may_answer
from backend_stub.agents.sandbox_agent.offering import Offering
from backend_stub.agents.sandbox_agent.opening import Opening
from backend_stub.agents.sandbox_agent.outside_turns import OutsideTurns
from backend_stub.agents.sandbox_agent.owner import Owner
from backend_stub.agents.sandbox_agent.receipts import has_it
from backend_stub.agents.sandbox_agent.server_log import UNHEARD, Hearing
from backend_stub.agents.sandbox_agent.state import ENDED, SENDING, SENT, Owed, PromptMark, StateFolder, StoredSession
from backend_stub.agents.sandbox_agent.steering import Steering
from backend_stub.agents.sandbox_agent.stream import Stream
from backend_stub.agents.sandbox_agent.updates import Item, Translation
from backend_stub.domain.agent import SessionChange
from backend_stub.domain.errors import AgentError
from backend_stub.machine.faults import is_machine_fault

RECEIPT_GRACE = 0.25
"""Seconds in which a prompt that was handed over may still be refused before it counts as received."""
REFUSAL_WAIT = 1.0
"""Seconds that the server has to refuse a prompt for an agent that turns out to have died."""
EVIDENCE_WAIT = 5.0
"""Seconds that an agent that can be heard has, over all attempts, to give a sign of a prompt that was being sent at a
restart, and that the server's log does not have: only one that never arrived waits for nothing."""
LISTEN_WAIT = 10.0
"""Seconds in which the stream must stand before that."""
STOP_GRACE = 10.0
"""Seconds that an agent has to end its turn after it was told to stop."""

logger = logging.getLogger(__name__)

_Owner: TypeAlias = "Owner[Session]"


class Session:
    """Owns the stream of one agent process. `pump` runs in the runtime's task group as long as the session is live."""

    def __init__(
        self, connection: AgentConnection, state: StoredSession, folder: StateFolder, group: TaskGroup, owner: _Owner
    ) -> None:
        self.connection = connection
        self.state = state
        self.active: str | None = None
        self.lost: AgentError | None = None
        self.stopping_since: float | None = None
        self.following = False
        """Whether somebody tells the turn that runs."""
        self._stream = Stream(connection, state.seen)
        self._folder = folder
        self._group = group
        self._owner = owner
        self._inbox, self._saving = Inbox(), anyio.Lock()
        self.woken, self.notify = self._inbox.woken, self._inbox.notify
        self._outside_turns = OutsideTurns(state, self, self._inbox)
        self.offering = Offering(self)
        self._scope, self._sending = anyio.CancelScope(), anyio.CancelScope()
        self.steering = Steering(self)
        self._opening = Opening(connection, state)
        self._hearing = Hearing(connection.server.log, state)
        self.answers = Answers(connection, state, self.save)
        self._refused: AgentError | None = None
        self._floor = 0
        self.over = False
        """Whether the agent has ended the last turn itself."""
        self._cut = self._mourned = self._exited = False
        self.sign_due = anyio.current_time() + LISTEN_WAIT + EVIDENCE_WAIT

    # Opening and closing

    @classmethod
    def resumed(
        cls,
        connection: AgentConnection,
        state: StoredSession,
        folder: StateFolder,
        group: TaskGroup,
        owner: _Owner,
        *,
        alive: bool,
    ) -> "Session":
        """A session that lives on in a server that was found again; its stream goes on behind what was seen.

        Of an agent that is not `alive` only what it said last is left to be told.
        """
        session = cls(connection, state, folder, group, owner)
        session._mourned = not alive
        if (last := next(reversed(state.prompts.items()), None)) is not None:
            prompt_id, mark = last
            if not mark.told:
                # Its end may not have been committed: it can be told again.
                mark.phase = SENT if mark.phase == ENDED else mark.phase
                session.active = prompt_id
            else:
                mark.settled = True
                session._outside_turns.told_before = mark.ended_at
        session.offering.note_all()
        group.start_soon(session.pump)
        return session

    async def open(self, cwd: str, servers: Servers = NO_SERVERS) -> bool:
        """Start the agent process and a session in it, which may use these MCP servers; whether it remembers the
        conversation before.

        Raises `AgentError`.
        """
        self.state.cwd = cwd
        await self._hearing.expect()
        self._group.start_soon(self.pump)
        try:
            remembers = await self._opening.run(cwd, servers)
        finally:
            await self._hearing.is_lost()
        if self.lost is not None:
            raise self.lost
        self.offering.note_all()
        return remembers

    def gone(self) -> bool:
        """Whether the agent is lost."""
        return self.lost is not None

    def failure(self) -> AgentError | None:
        """Why the agent is lost or did not take the prompt; None while all is well."""
        return self._refused or self.lost

    def close(self) -> None:
        """Stop reading the stream; the agent goes on."""
        self._scope.cancel()

    async def save(self) -> None:
        """Write down what must survive a restart."""
        async with self._saving:
            document = msgspec.json.encode(self.state)
            await anyio.to_thread.run_sync(self._folder.save_session, self.state.session_id, document)

    async def save_patiently(self) -> None:
        """The same as soon as this machine has room for it: nobody else is there to try it again."""
        while True:
            try:
                return await self.save()
            except (OSError, RuntimeError) as error:
                if not is_machine_fault(error):
                    raise
                logger.debug("the state of session %s cannot be kept now: %r", self.state.session_id, error)
                await anyio.sleep(BUSY_WAIT)

    # The stream

    async def pump(self) -> None:
        """Read the stream for as long as the agent lives, reconnecting behind the last event that was read."""
        with self._scope:
            try:
                async with anyio.create_task_group() as beside:
                    beside.start_soon(self._hearing.watch, self)
                    beside.start_soon(self._outside_turns.run)
                    beside.start_soon(self.offering.run)
                    beside.start_soon(self.answers.run)
                    reason = await self._stream.read(self._take, self._listen, lambda: self._opening.under_way)
                    if reason:
                        await self._lose(reason)
                    beside.cancel_scope.cancel()
            except Exception:  # a defect here must not end the backend
                logger.exception("reading the stream of session %s failed", self.state.session_id)
                await self._lose("reading what the agent sends failed; the backend's log says why")

    def _listen(self) -> None:
        self.sign_due = anyio.current_time() + EVIDENCE_WAIT
        self.notify()

    async def _take(self, number: int, message: Message | Unreadable | Gap) -> bool:
        """Take what was sent; whether more can come."""
        if isinstance(message, Gap):
            self._arrive(Arrival(number, message))
        elif isinstance(message, Unreadable):
            self._take_unreadable(number, message)
        elif message.method is None:
            self._take_response(number, message)
        elif message.method == "_adapter/agent_exited":
            await self._lose_agent(converted(message.params, Exited).code)
        elif message.method == "_adapter/invalid_stdout":
            line = converted(message.params, NoJson)
            self._take_unreadable(number, Unreadable(line.raw, line.error, noise=True))
        elif message.method == "session/update":
            self._take_update(number, message)
        elif message.method in QUESTIONS:
            if not message.request_id:
                self._arrive(Arrival(number, Unreadable(bytes(message.params).decode(), "a question without an id")))
            elif self.stopping_since is not None:
                self.respond_cancelled(number, message.request_id, message.method)
            else:
                self._arrive(Arrival(number, message))
        elif message.method == COMPLETED:
            self._arrive(Arrival(number, message))
        elif message.request_id:
            self.answers.owe(number, Owed(request_id=message.request_id, method=message.method, refused=True))
        return not self.gone()

    def _take_update(self, number: int, message: Message) -> None:
        taken: Message | Unreadable = message
        try:
            if self.offering.take(message.params):
                return
        except (msgspec.DecodeError, RecursionError) as error:
            taken = Unreadable(bytes(message.params).decode(errors="replace"), str(error))
        self._arrive(Arrival(number, taken))

    def _take_unreadable(self, number: int, message: Unreadable) -> None:
        request_id = lost_request(message.text)
        if request_id is not None:
            self.respond_cancelled(number, request_id, message.asks)
        mark = self._mark()
        last = mark is not None and self.stopping_since is None and may_answer(message.text, mark.rpc_id)
        self._arrive_last(number, message) if last else self._arrive(Arrival(number, message))

    def _take_response(self, number: int, message: Message) -> None:
        self._opening.hear(message)
        said_into_turn = self.steering.hear(message)
        mark = self._mark()
        if mark is not None and message.answers(mark.rpc_id):
            self._arrive_last(number, message)
        elif message.id in (None, UNSET):
            text = bytes(message.error or message.result).decode(errors="replace")
            untold = Unreadable(text, "it does not say what it answers")
            last = mark is not None and self.stopping_since is None
            self._arrive_last(number, untold) if last else self._arrive(Arrival(number, untold))
        elif said_into_turn:
            self._arrive(Arrival(number, message))

    def _mark(self) -> PromptMark | None:
        """How far the prompt has come whose answer is still to come."""
        return None if self.over else self.state.prompts.get(self.active or "")

    def _arrive_last(self, number: int, message: Message | Unreadable) -> None:
        self.over = True
        if (mark := self.state.prompts.get(self.active or "")) is not None:
            mark.ended_at = number
        self._arrive(Arrival(number, message, last=True))
        self._owner.turn_over(self)

    def _arrive(self, arrival: Arrival) -> None:
        if self._opening.replays():
            # It was said before also for whoever reads the stream again after a restart.
            self.state.seen = arrival.number
        elif arrival.number > self._floor:
            self._inbox.put(arrival)

    def respond_cancelled(self, number: int, request_id: str, method: str | None) -> None:
        """See `KeepingSession`; nothing happens to one that has its answer."""
        self.answers.owe(number, Owed(request_id=request_id, method=method))

    async def at_work(self) -> None:
        """See `HeardSession`."""
        while self.active is None and not self._opening.under_way:
            await self.woken()

    async def unheard(self) -> None:
        """See `HeardSession`."""
        if not (self.gone() or self.over):
            await self._lose(UNHEARD.format(agent=self.state.agent))

    # What is said outside of turns

    def between(self) -> bool:
        """See `KeepingSession`: after the end of a turn, after a stop, before the first."""
        settled = self.active is None and all(mark.settled for mark in self.state.prompts.values())
        return (self._cut or settled) and not self.following

    async def tell_rest(self) -> None:
        """Keep what was said last, before the agent is ended."""
        while self._inbox and self.active is None:
            await self._outside_turns.tell()

    async def keep(self, prompt_id: str, items: Sequence[Item]) -> None:
        """See `KeepingSession`."""
        await self._owner.said(self, prompt_id, items)

    async def changed(self, changes: Sequence[SessionChange]) -> None:
        """See `OfferingSession`."""
        await self._owner.changed(self, changes)

    async def _lose_agent(self, code: int | None) -> None:
        self._exited = True
        self.notify()
        said = await self._hearing.last_words() or "none"
        how = "by a signal" if code is None else f"exit code {code}"
        await self._lose(f"the agent {self.state.agent} ended ({how}). Its last output: {said}")

    async def _lose(self, reason: str) -> None:
        self.lost = AgentError(reason)
        self.notify()
        if self._opening.under_way:
            self._opening.give_up()
        elif not self._mourned and (self.active is None or self.over):
            await self.tell_rest()
            await self._owner.lost(self, reason)

    # Prompts

    def has(self, prompt_id: str) -> bool:
        """Whether the agent has this prompt, as far as it was acknowledged."""
        mark = self.state.prompts.get(prompt_id)
        return mark is not None and mark.phase != SENDING

    async def hand_over(self, prompt_id: str, blocks: Sequence[Block]) -> None:
        """Send a prompt unless the agent has it; returns once it has, be it that the agent has died of it.

        Raises `UnsentError` when it did not reach the agent.
        """
        mark = self.state.prompts.get(prompt_id)
        log = self.connection.server.log
        if mark and mark.phase == SENDING and await has_it(self, log, self._inbox, mark):
            mark.phase = SENT
            await self.save()
        if self.has(prompt_id):
            return
        if await self._hearing.is_lost():
            raise UnsentError(f"what {self.state.agent} says cannot be read any more")
        if self.lost is not None:
            raise UnsentError(self.lost.message)
        # Cut before it has its mark, the prompt is not there yet, and what was said late is no sign that it was sent.
        self.state.prompts.pop(prompt_id, None)
        for earlier in self.state.prompts.values():
            earlier.phase = ENDED
            earlier.settled = True
            # A stream that is read again after a restart begins with what belongs to earlier turns.
            self._floor = max(self._floor, earlier.ended_at)
        size, logged = len(msgspec.json.encode(blocks)), await log.size()
        while self._inbox or self._outside_turns.busy:
            await self._outside_turns.tell()
        mark = self.state.prompts[prompt_id] = PromptMark(rpc_id=self.state.number(), size=size, logged=logged)
        self.active = prompt_id
        self._cut = False
        self.stopping_since = None
        self._refused = None
        self.over = False
        self.state.seen = self._stream.position
        self._outside_turns.forget()
        self.steering.forget()
        self.state.forget_requests()
        await self.save()
        self.sign_due = anyio.current_time() + EVIDENCE_WAIT
        handed = anyio.Event()
        self._group.start_soon(self._send, mark, blocks, handed)
        await handed.wait()
        mark.phase = SENT
        # Written down at once: what is sent a second time after a restart would be done twice.
        await self.save()
        with anyio.move_on_after(RECEIPT_GRACE):
            while not self._inbox and self.failure() is None and not self._exited:
                await self.woken()
        if (self.gone() or self._exited) and not self._inbox:
            # A prompt for an agent that was dead is refused; one that it died of is never answered.
            with anyio.move_on_after(REFUSAL_WAIT):
                while self._refused is None:
                    await self.woken()
        failure = self.failure()
        if failure is not None and failure is not self.lost and not self._inbox:
            del self.state.prompts[prompt_id]
            self.active = None
            await self.save()
            raise UnsentError(failure.message, retryable=failure.retryable) from failure

    async def _send(self, mark: PromptMark, blocks: Sequence[Block], handed: anyio.Event) -> None:
        params = {"sessionId": self.state.acp_session, "prompt": blocks}
        self._sending = anyio.CancelScope()
        with self._sending:
            try:
                await self.connection.prompt(mark.rpc_id, params, handed.set)
            except ServerRefusedError as refusal:
                self._refused = refusal
            except AgentError as error:
                # Without a word of the server the prompt may be there; the stream will tell. Unsent, it is not.
                if not handed.is_set():
                    self._refused = error
        handed.set()
        self.notify()

    async def stop(self) -> None:
        """Ask the agent to end the turn that runs; nothing running is success.

        Its open requests are answered with `cancelled`, as the protocol wants of whoever stops a turn.
        """
        self._cut = self.active is not None and not self.following
        self.notify()
        if self.active is None or self.over or self.gone():
            return
        self.stopping_since = self.stopping_since or anyio.current_time()
        self.notify()
        await self.cancel()
        for number, asked in self.state.asked():
            self.respond_cancelled(number, asked.request_id, asked.method)

    async def between_turns(self, prompt_id: str) -> bool:
        """Wait until the agent has ended a turn that nobody follows any more; False if it does not.

        `prompt_id` is the prompt that is to come, whose own turn is not waited for.
        """
        if self.active in (None, prompt_id):
            return True
        if self.stopping_since is None:
            await self.stop()
        await self.stopped()
        return self.over or self.gone()

    async def stopped(self) -> None:
        """Wait until the agent has ended the turn as it was told to, or has had the time for it."""
        while self.stops() and (left := (self.stopping_since or 0) + STOP_GRACE - anyio.current_time()) > 0:
            with anyio.move_on_after(left):
                await self.woken()

    def stops(self) -> bool:
        """Whether the agent was told to end the turn, and has not."""
        return self.stopping_since is not None and not self.over and not self.gone()

    async def arrivals(self, limit: float | None) -> list[Arrival]:
        """What has arrived for the turn, at least one thing, or nothing after `limit` seconds or when stopped.

        Raises `AgentError` once everything was given out and the agent is lost or has refused the prompt.
        """
        if not self._inbox:
            failure = self.failure()
            if failure is not None:
                raise failure
            with anyio.move_on_after(limit):
                await self.woken()
        return self._inbox.take_all()

    def told_so_far(self) -> tuple[int, Translation | None]:
        """Up to which event of the stream the turn was told before, be it by an earlier run of the backend."""
        return self._outside_turns.told_so_far()

    def turn_told(self, up_to: int, translation: Translation, rest: Sequence[Arrival]) -> None:
        """A turn was told up to this event of the stream; what arrived behind it belongs to no turn."""
        self._outside_turns.follow(up_to, translation)
        self._inbox.put_back(rest)
        self.following = False
        self.notify()

    async def cancel(self) -> None:
        """Have the agent end what it is doing for a turn that is told no further."""
        with suppress(AgentError):
            await self.connection.notify("session/cancel", {"sessionId": self.state.acp_session})

    async def end_turn(self, prompt_id: str, error: str | None = None) -> None:
        """The turn is over."""
        mark = self.state.prompts.get(prompt_id)
        if mark is not None:
            mark.phase = ENDED
            mark.error = error
            mark.ended_at = mark.ended_at or self._stream.position
        self.state.asking = {}
        if self.active == prompt_id:
            self.active = None
            self.stopping_since = None
            self._sending.cancel()
        await self.save()

    async def settle(self) -> None:
        """The last turn has been committed: after a restart the stream need not be read again from before its end."""
        if self.active is None:
            self._outside_turns.settle()
            for mark in self.state.prompts.values():
                mark.settled = True
            self.notify()
            await self.save_patiently()

    async def end(self) -> None:
        """End the agent process with what it has started."""
        self.close()
        await self.connection.end(self.state.agent_pid, self.state.agent_started)
