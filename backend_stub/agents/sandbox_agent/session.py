"""One session with an agent: its stream read without loss, its prompts handed over once, its turns told."""

import logging
from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Protocol

import anyio
import anyio.to_thread
import httpx
import msgspec
from anyio.abc import TaskGroup
from msgspec import Raw, Struct

from backend_stub.agents.sandbox_agent import processes
from backend_stub.agents.sandbox_agent.handshake import introduce
from backend_stub.agents.sandbox_agent.link import Link, Message, RefusedError, converted, message_of
from backend_stub.agents.sandbox_agent.state import ENDED, SENDING, SENT, PromptMark, SessionState, StateFolder
from backend_stub.providers.base import AgentError
from foundry_tui.contract.codec import decode

RECEIPT_GRACE = 0.25
"""Seconds in which a prompt that was handed over may still be refused before it counts as received."""
REFUSAL_WAIT = 1.0
"""Seconds that the server has to refuse a prompt for an agent that turns out to have died."""
EVIDENCE_WAIT = 5.0
"""Seconds that an agent has to give a sign of a prompt that was being sent at a restart, counted from when we can hear
it, over all attempts. Models think for seconds before their first word; only a prompt that never arrived waits for
nothing."""
LISTEN_WAIT = 10.0
"""Seconds in which the stream must stand before that."""
RECONNECTS = 20
STOP_GRACE = 10.0
"""Seconds that an agent has to end its turn after it was told to stop."""
CANCELLED: dict[str, Any] = {"outcome": {"outcome": "cancelled"}}

logger = logging.getLogger(__name__)


class UntakenError(AgentError):
    """The prompt did not reach the agent, so another one may have it."""


class Owner(Protocol):
    """Who is told what happens to a session outside of any call."""

    async def lost(self, session: "Session", reason: str) -> None:
        """The agent died while nothing was asked of it."""
        ...

    def turn_over(self, session: "Session") -> None:
        """The agent has ended a turn, whether or not somebody follows it."""
        ...


class _Exit(Struct):
    code: int | None = None


@dataclass(frozen=True)
class Gap:
    """That many events of the stream are lost for good."""

    events: int


@dataclass(frozen=True)
class Arrival:
    """An event of the stream that belongs to a turn, with its number."""

    number: int
    message: Message | Gap


class Session:
    """Owns the stream of one agent process. `pump` runs in the runtime's task group as long as the session is live."""

    def __init__(self, link: Link, state: SessionState, folder: StateFolder, group: TaskGroup, owner: Owner) -> None:
        self.link = link
        self.state = state
        self.active: str | None = None
        self.lost: AgentError | None = None
        self.stopping_since: float | None = None
        self.position = state.seen
        self._folder = folder
        self._group = group
        self._owner = owner
        self._inbox: deque[Arrival] = deque()
        self._wake = anyio.Event()
        self._saving = anyio.Lock()
        self._scope = anyio.CancelScope()
        self._sending = anyio.CancelScope()
        self._opening: anyio.CancelScope | None = None
        self._awaited: tuple[int, anyio.Event] | None = None
        self._refused: AgentError | None = None
        self._floor = 0
        self._over = False
        self._sign_due = anyio.current_time() + LISTEN_WAIT + EVIDENCE_WAIT
        self._mourned = False

    # Opening and closing

    @classmethod
    def resumed(
        cls, link: Link, state: SessionState, folder: StateFolder, group: TaskGroup, owner: Owner, *, alive: bool
    ) -> "Session":
        """A session that lives on in a server that was found again; its stream goes on behind what was seen.

        Of an agent that is not `alive` only what it said last is left to be told.
        """
        session = cls(link, state, folder, group, owner)
        session._mourned = not alive
        last = next(reversed(state.prompts.items()), None)
        if last is not None:
            prompt_id, mark = last
            if not mark.told:
                # Its end may not have been committed: it can be told again.
                mark.phase = SENT if mark.phase == ENDED else mark.phase
                session.active = prompt_id
        group.start_soon(session.pump)
        return session

    async def open(self, cwd: str) -> bool:
        """Start the agent process and a session in it; whether it remembers the conversation before.

        Raises `AgentError`.
        """
        self._opening = anyio.CancelScope()
        self._group.start_soon(self.pump)
        before = await anyio.to_thread.run_sync(self.link.server.agents_running)
        remembers = False
        try:
            with self._opening:
                remembers = await introduce(self.link, self.state, cwd, self._ask_and_catch_up)
        finally:
            self._opening = None
            after = await anyio.to_thread.run_sync(self.link.server.agents_running)
            new = {pid: mark for pid, mark in after.items() if before.get(pid) != mark}
            if len(new) == 1:
                [(self.state.agent_pid, self.state.agent_started)] = new.items()
        if self.lost is not None:
            raise self.lost
        return remembers

    async def _ask_and_catch_up(self, method: str, params: dict[str, Any]) -> Raw:
        """Ask, and read the stream up to the answer, so that what was replayed counts for no turn."""
        number = self.state.number()
        caught_up = anyio.Event()
        self._awaited = (number, caught_up)
        result = await self.link.request(number, method, params)
        with anyio.move_on_after(5):
            await caught_up.wait()
        return result

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
            copy = decode(msgspec.json.encode(self.state), SessionState)
            await anyio.to_thread.run_sync(self._folder.save_session, copy)

    # The stream

    async def pump(self) -> None:
        """Read the stream for as long as the agent lives, reconnecting behind the last event that was read."""
        with self._scope:
            try:
                await self._keep_reading()
            except Exception:  # a defect here must not end the backend
                logger.exception("reading the stream of session %s failed", self.state.session_id)
                await self._lose("reading what the agent sends failed; the backend's log says why")

    async def _keep_reading(self) -> None:
        failures = 0
        while not self.gone():
            before = self.position
            try:
                await self._read()
            except RefusedError as refusal:
                if refusal.status != 404 or self._opening is None:
                    await self._lose(refusal.message)
                    return
            except httpx.HTTPError as error:
                logger.debug("the stream of session %s was cut: %r", self.state.session_id, error)
            if self.gone():
                return
            if not await anyio.to_thread.run_sync(self.link.server.running):
                await self._lose_server()
                return
            failures = 0 if self.position > before else failures + 1
            if failures > RECONNECTS and self._opening is None:
                await self._lose("the stream of the agent cannot be read any more")
                return
            await anyio.sleep(min(0.01 * 2**failures, 0.5))

    async def _read(self) -> None:
        first = True
        async for number, message in self.link.events(self.position, self._listen):
            if number <= self.position:
                continue
            missing = number - self.position - 1
            if missing and not first:
                # The server drops events for a slow reader without a word; its ring may still hold them.
                return
            if missing:
                self._arrive(Arrival(number - 1, Gap(missing)))
            first = False
            self.position = number
            await self._take(number, message)
            if self.gone():
                return

    def _listen(self) -> None:
        self._sign_due = anyio.current_time() + EVIDENCE_WAIT
        self._wake.set()

    async def _take(self, number: int, message: Message) -> None:
        if message.method is None:
            self._take_response(number, message)
        elif message.method == "_adapter/agent_exited":
            await self._lose_agent(converted(message.params, _Exit).code)
        elif message.method in ("session/update", "session/request_permission"):
            if self.active is not None and not (message.request_id and self.stopping_since is not None):
                self._arrive(Arrival(number, message))
            elif message.request_id:
                await self._respond_cancelled(message)
        elif message.request_id and message.request_id not in self.state.answered:
            self.state.answered.append(message.request_id)
            await self._quietly(self.link.refuse(message))

    def _take_response(self, number: int, message: Message) -> None:
        if self._awaited is not None and message.id == self._awaited[0]:
            self._awaited[1].set()
            self._awaited = None
        mark = self.state.prompts.get(self.active or "")
        if mark is not None and message.id == mark.rpc_id:
            self._over = True
            mark.ended_at = number
            self._arrive(Arrival(number, message))
            self._wake.set()
            self._owner.turn_over(self)

    def _arrive(self, arrival: Arrival) -> None:
        if self.active is not None and arrival.number > self._floor:
            self._inbox.append(arrival)
            self._wake.set()

    async def _respond_cancelled(self, message: Message) -> None:
        if message.request_id not in self.state.answered:
            self.state.answered.append(message.request_id)
            await self._quietly(self.link.respond(message, CANCELLED))

    async def _quietly(self, sent: Awaitable[None]) -> None:
        """Await an answer to the agent; that it did not reach it shows on the stream."""
        try:
            await sent
        except AgentError:
            return

    async def _lose_agent(self, code: int | None) -> None:
        said = await anyio.to_thread.run_sync(self.link.server.last_output)
        how = f"exit code {code}" if code is not None else "by a signal"
        await self._lose(f"the agent {self.state.agent} ended ({how}). Its last output: {said or 'none'}")

    async def _lose_server(self) -> None:
        said = await anyio.to_thread.run_sync(self.link.server.last_output)
        code = processes.exit_code(self.link.server.state.pid)
        how = "" if code is None else f" (exit code {code})"
        await self._lose(f"the sandbox-agent server ended{how}. Its last output: {said or 'none'}")

    async def _lose(self, reason: str) -> None:
        self.lost = AgentError(reason)
        self._wake.set()
        if self._opening is not None:
            self._opening.cancel()
        elif not self._mourned and (self.active is None or self._over):
            await self._owner.lost(self, reason)

    # Prompts

    def has(self, prompt_id: str) -> bool:
        """Whether the agent has this prompt, as far as it was acknowledged."""
        mark = self.state.prompts.get(prompt_id)
        return mark is not None and mark.phase != SENDING

    async def hand_over(self, prompt_id: str, text: str) -> None:
        """Send a prompt unless the agent has it; returns once it has.

        Raises `UntakenError` when it did not reach the agent, `AgentError` when the agent died of it.
        """
        mark = self.state.prompts.get(prompt_id)
        if mark is not None and mark.phase == SENDING:
            while not self._inbox and not self.gone() and self._sign_due > anyio.current_time():
                with anyio.move_on_after(self._sign_due - anyio.current_time()):
                    await self._woken()
            if self._inbox:
                mark.phase = SENT
                await self.save()
        if self.has(prompt_id):
            return
        if self.lost is not None:
            raise UntakenError(self.lost.message)
        for earlier in self.state.prompts.values():
            earlier.phase = ENDED
            earlier.settled = True
            # A stream that is read again after a restart begins with what belongs to earlier turns.
            self._floor = max(self._floor, earlier.ended_at)
        mark = self.state.prompts[prompt_id] = PromptMark(rpc_id=self.state.number())
        self._inbox.clear()
        self.active = prompt_id
        self.stopping_since = None
        self._refused = None
        self._over = False
        self.state.seen = self.position
        self.state.translation = None
        self.state.asking = {}
        self.state.answered = []
        await self.save()
        self._sign_due = anyio.current_time() + EVIDENCE_WAIT
        handed = anyio.Event()
        self._group.start_soon(self._send, mark, text, handed)
        await handed.wait()
        mark.phase = SENT
        # Written down at once: what is sent a second time after a restart would be done twice.
        await self.save()
        with anyio.move_on_after(RECEIPT_GRACE):
            while not self._inbox and self.failure() is None:
                await self._woken()
        if self.gone() and not self._inbox:
            # A prompt for an agent that was dead is refused; one that it died of is never answered.
            with anyio.move_on_after(REFUSAL_WAIT):
                while self._refused is None:
                    await self._woken()
        failure = self.failure()
        if failure is not None and not self._inbox:
            del self.state.prompts[prompt_id]
            self.active = None
            await self.save()
            raise failure if self._refused is None else UntakenError(failure.message, retryable=failure.retryable)

    async def _send(self, mark: PromptMark, text: str, handed: anyio.Event) -> None:
        params = {"sessionId": self.state.acp_session, "prompt": [{"type": "text", "text": text}]}
        self._sending = anyio.CancelScope()
        with self._sending:
            try:
                await self.link.prompt(mark.rpc_id, params, handed.set)
            except RefusedError as refusal:
                self._refused = refusal
            except AgentError as error:
                # Without a word of the server the prompt may be there; the stream will tell. Unsent, it is not.
                if not handed.is_set():
                    self._refused = error
        handed.set()
        self._wake.set()

    async def stop(self) -> None:
        """Ask the agent to end the turn that runs; nothing running is success.

        Its open requests are answered with `cancelled`, as the protocol wants of whoever stops a turn.
        """
        if self.active is None or self._over or self.gone():
            return
        if self.stopping_since is None:
            self.stopping_since = anyio.current_time()
        self._wake.set()
        await self._quietly(self.link.notify("session/cancel", {"sessionId": self.state.acp_session}))
        open_requests = list(self.state.asking.values())
        self.state.asking = {}
        for text in open_requests:
            await self._respond_cancelled(message_of(text))
        await self.save()

    async def between_turns(self, prompt_id: str) -> bool:
        """Wait until the agent has ended a turn that nobody follows any more; False if it does not.

        `prompt_id` is the prompt that is to come, whose own turn is not waited for.
        """
        if self.active in (None, prompt_id):
            return True
        if self.stopping_since is None:
            await self.stop()
        since = self.stopping_since or anyio.current_time()
        with anyio.move_on_after(max(0.0, since + STOP_GRACE - anyio.current_time())):
            while not self._over and not self.gone():
                await self._woken()
        return self._over or self.gone()

    async def arrivals(self, limit: float | None) -> list[Arrival]:
        """What has arrived for the turn, at least one thing, or nothing after `limit` seconds or when stopped.

        Raises `AgentError` once everything was given out and the agent is lost or has refused the prompt.
        """
        if not self._inbox:
            failure = self.failure()
            if failure is not None:
                raise failure
            with anyio.move_on_after(limit):
                await self._woken()
        given = list(self._inbox)
        self._inbox.clear()
        return given

    async def _woken(self) -> None:
        await self._wake.wait()
        self._wake = anyio.Event()

    async def end_turn(self, prompt_id: str, error: str | None = None) -> None:
        """The turn is over."""
        mark = self.state.prompts.get(prompt_id)
        if mark is not None:
            mark.phase = ENDED
            mark.error = error
            mark.ended_at = mark.ended_at or self.position
        self.state.asking = {}
        if self.active == prompt_id:
            self.active = None
            self.stopping_since = None
            self._sending.cancel()
        await self.save()

    async def settle(self) -> None:
        """What was told of the last turn has been committed: a restart need not read the stream from before it."""
        if self.active is None:
            self.state.seen = self.position
            self.state.translation = None
            for mark in self.state.prompts.values():
                mark.settled = True
            await self.save()

    async def end(self) -> None:
        """End the agent process with what it has started."""
        self.close()
        await self.link.close()
        # An agent need not end when its input does.
        if self.state.agent_pid:
            await anyio.to_thread.run_sync(processes.end_tree, self.state.agent_pid, self.state.agent_started)
