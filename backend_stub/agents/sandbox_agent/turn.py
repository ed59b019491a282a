"""Telling one turn: from a session's arrivals to transcript items and permission requests, until the turn ends."""

import math
from collections import deque
from collections.abc import Callable
from typing import Any

import anyio
import msgspec
from anyio.abc import TaskGroup
from msgspec import Struct

from backend_stub.agents.sandbox_agent import elicitation
from backend_stub.agents.sandbox_agent.complaints import About, understood
from backend_stub.agents.sandbox_agent.connection import CANCELLED
from backend_stub.agents.sandbox_agent.intents import intent_of
from backend_stub.agents.sandbox_agent.messages import ABSENT, Arrival, Message, Unreadable, message_of
from backend_stub.agents.sandbox_agent.questions import note_call, question_of, unasked
from backend_stub.agents.sandbox_agent.session import STOP_GRACE, Session
from backend_stub.agents.sandbox_agent.updates import Item, Translation, excerpt
from backend_stub.agents.sandbox_agent.wanted_logins import LoginWantedError
from backend_stub.domain.agent import Turn
from backend_stub.domain.errors import AgentError, first_of
from backend_stub.domain.rulings import Intent
from foundry_tui.contract.codec import decode
from foundry_tui.contract.questions import Question
from foundry_tui.contract.transcript import TranscriptKind

CHECKPOINT_EVERY = 0.5
"""Seconds between two notes of how far the stream was told; longer than what is told waits for its commit."""
DOUBT = 10.0
"""Seconds of silence after something that was no message, in which an agent can show that its turn goes on."""
NOISE_DOUBT = 60.0
"""The same after a line that was no JSON at all: mostly it is a word of a program that took our stream for a log."""
AT_WORK = 10
"""How many times as long a tool may be at work in silence."""
LOSS_WAIT = 5.0
"""Seconds in which the stream says that an agent is lost which could not be given an answer."""
MOST_QUESTIONS = 100
"""Questions of one turn that are open at once; an agent that asks more of them in one breath is not heard."""
QUESTIONS_LIMIT = 4 * 1024 * 1024
"""Characters of all of these together, as they came."""
_ENDED_WELL = ("end_turn", "cancelled")
_STOP_REASONS = {
    "max_tokens": "The agent stopped: its model's token limit was reached.",
    "max_turn_requests": "The agent stopped: it had asked its model as often as it may in one turn.",
    "refusal": "The agent refused to go on with this prompt.",
}
_SPEAKING = (TranscriptKind.MESSAGE, TranscriptKind.THOUGHT)


class _PromptResult(Struct, rename="camel"):
    stop_reason: str = "end_turn"


_result = msgspec.json.Decoder(_PromptResult)


def _chosen(option_id: str | None) -> dict[str, Any]:
    """The protocol's answer to a request for permission."""
    return CANCELLED if option_id is None else {"outcome": {"outcome": "selected", "optionId": option_id}}


class UnstoppableError(AgentError):
    """The agent was told to stop and did not."""


class Telling:
    """One turn as it is told to `turn`; `log` gets what is told to no person."""

    def __init__(self, session: Session, prompt_id: str, turn: Turn, cwd: str, log: Callable[[str], None]) -> None:
        self._session = session
        self._turn = turn
        self._log = log
        self._told, kept = session.told_so_far()
        self._translation = (
            kept if kept is not None and kept.prompt_id == prompt_id else Translation(prompt_id=prompt_id, cwd=cwd)
        )
        self._held: tuple[float, int, bytes] | None = None
        self._arrived: deque[Arrival] = deque()
        self._doubt: tuple[Unreadable, float] | None = None
        self._unheard = 0
        self._denied = ""
        self._spoke_since = False
        self._over: dict[str, anyio.Event] = {}

    async def run(self) -> None:
        """Tell until the turn ends. Raises `AgentError` when it fails, `UnstoppableError` when it cannot be stopped.

        After any other error another `Telling` of the same turn goes on where this one stopped.
        """
        self._session.following = True
        failure: Exception | None = None
        try:
            async with anyio.create_task_group() as asks:
                for number, text in list(self._session.state.asking.items()):
                    await self._question(number, message_of(text), asks)
                while not await self._tell(asks):
                    await self._checkpoint()
                    self._arrived.extend(await self._session.arrivals(self._patience()))
                    await self._check_doubt()
                asks.cancel_scope.cancel()
        except ExceptionGroup as group:
            # It is raised as what it is, and with what it came of.
            failure = first_of(group)
        finally:
            self._session.turn_told(self._told, self._translation, self._arrived)
        if failure is not None:
            raise failure

    def _patience(self) -> float | None:
        """How long to wait for what arrives next; None for as long as it takes."""
        since = self._session.stopping_since
        if since is None:
            return None if self._doubt is None else max(0.0, self._doubted_until() - anyio.current_time())
        left = since + STOP_GRACE - anyio.current_time()
        if left <= 0:
            raise UnstoppableError(f"the agent did not stop within {STOP_GRACE:.0f} s")
        return left

    def _doubted_until(self) -> float:
        if self._doubt is None or self._session.state.asking:
            return math.inf
        message, since = self._doubt
        patience = NOISE_DOUBT if message.noise else DOUBT
        return since + patience * (AT_WORK if self._translation.working else 1)

    async def _check_doubt(self) -> None:
        """Raises `AgentError` when the answer to the turn was, by all that can be told, what could not be read."""
        if self._arrived or self._doubt is None or self._session.stopping_since is not None:
            return
        if anyio.current_time() >= self._doubted_until():
            await self._session.cancel()
            self._fail_unread(self._doubt[0])

    async def _tell(self, asks: TaskGroup) -> bool:
        """Tell what has arrived; whether the turn is over. What grows is told once, as it stands after all of it."""
        items: dict[str, Item] = {}
        while self._arrived:
            arrival = self._arrived.popleft()
            message = arrival.message
            self._told = arrival.number
            item = self._translation.take(arrival)
            if item is not None:
                items[item.key] = item
            if arrival.last:
                await self._flush(items)
                await self._end(message)
                return True
            if isinstance(message, Unreadable):
                self._doubt = (message, anyio.current_time())
            elif isinstance(message, Message):
                self._doubt = None
                if message.method is None:
                    # Something was said into the turn here: what comes after it is another message.
                    self._translation.end_message()
                state = self._session.state
                told_before = arrival.number in state.asking or arrival.number in state.answered
                if message.method in elicitation.QUESTIONS and not told_before:
                    await self._flush(items)
                    await self._question(arrival.number, message, asks)
                elif message.method == elicitation.COMPLETED:
                    self._over_of(elicitation.completed_id(message)).set()
        await self._flush(items)
        return False

    async def _flush(self, items: dict[str, Item]) -> None:
        for item in items.values():
            self._spoke_since |= item.kind in _SPEAKING
            await self._turn.say(item.key, item.kind, item.body)
        items.clear()

    async def _end(self, answer: object) -> None:
        if not isinstance(answer, Message):
            await self._session.cancel()
            self._fail_unread(answer if isinstance(answer, Unreadable) else Unreadable("", "it is missing"))
        elif (error := answer.failure) is not None:
            agent = self._session.state.agent
            self._log(f"the turn of {agent} failed: {bytes(answer.error).decode(errors='replace')}")
            methods = self._session.state.auth_methods
            complaint = understood(error, agent, methods)
            self._session.state.spent = complaint.internal and (
                complaint.about is About.LOGIN or complaint.dead or self._session.state.can_load
            )
            said = f"{agent} failed: {complaint.words}" + (f"; {complaint.next}" if complaint.next else "")
            raise LoginWantedError(said, agent, methods) if complaint.about is About.LOGIN else AgentError(said)
        else:
            try:
                reason = _result.decode(answer.result).stop_reason
            except msgspec.DecodeError as error:
                self._fail_unread(Unreadable(bytes(answer.result or ABSENT).decode(errors="replace"), str(error)))
            else:
                await self._say_why_it_stopped(reason)

    def _fail_unread(self, message: Unreadable) -> None:
        raise AgentError(
            f"{self._session.state.agent} sent something that cannot be read where the end of its turn was to be "
            f"expected: {excerpt(message.text)} ({message.why}); look at what it did, then send the prompt again"
        )

    async def _say_why_it_stopped(self, reason: str) -> None:
        ended_by_denial = reason == "cancelled" or (reason == "end_turn" and not self._spoke_since)
        if self._denied and ended_by_denial and self._session.stopping_since is None:
            # Some agents do, others look for another way.
            text = f"The agent ended its turn as this was denied: {self._denied}. Say how it is to go on."
            await self._turn.say(self._translation.key("end"), TranscriptKind.NOTICE, text)
        elif reason not in _ENDED_WELL:
            text = _STOP_REASONS.get(reason, f"The agent stopped for a reason of its own: {excerpt(reason)}.")
            await self._turn.say(self._translation.key("end"), TranscriptKind.NOTICE, text)

    # Questions

    async def _question(self, number: int, message: Message, asks: TaskGroup) -> None:
        if self._session.stopping_since is not None:
            await self._cancel(number, message)
        elif message.method == elicitation.ELICITATION:
            await self._elicitation(number, message, asks)
        else:
            await self._permission(number, message, asks)

    async def _elicitation(self, number: int, message: Message, asks: TaskGroup) -> None:
        try:
            question = elicitation.question_of(message)
            over = self._over_of(elicitation.elicitation_of(message) or f"of event {number}")
        except (msgspec.DecodeError, RecursionError) as error:
            await self._cancel_unasked(number, message, f"the question cannot be read ({error})")
        except elicitation.UnshowableError as error:
            notice = unasked(number, message, self._translation, str(error), "declined")
            await self._turn.say(notice.key, notice.kind, notice.body)
            await self._respond(number, message, {"action": "decline"})
        else:
            if await self._has_room(number, message):
                asks.start_soon(self._elicit, number, message, question, over)

    def _over_of(self, elicitation_id: str) -> anyio.Event:
        """What is set when the agent tells that a page has done what it was for."""
        return self._over.setdefault(elicitation_id, anyio.Event())

    async def _elicit(self, number: int, message: Message, question: Question, over: anyio.Event) -> None:
        reply = await self._turn.elicit(self._translation.key(f"ask-{number}"), question, over)
        await self._answered(number, message, elicitation.answer_of(reply, question.kind))

    async def _permission(self, number: int, message: Message, asks: TaskGroup) -> None:
        try:
            question = question_of(message, self._translation)
        except (msgspec.DecodeError, RecursionError) as error:
            await self._cancel_unasked(number, message, f"the question cannot be read ({error})")
            return
        if not question.options:
            await self._cancel_unasked(number, message, "it offers no answer that can be read")
            return
        note_call(message, question, self._translation)
        if await self._has_room(number, message):
            asks.start_soon(self._ask, number, message, question, await intent_of(message, self._translation, question))

    async def _has_room(self, number: int, message: Message) -> bool:
        """Count the question among those that are open; one too many is answered with cancelled."""
        if self._keep_asking(number, msgspec.json.encode(message).decode()):
            return True
        self._unheard += 1
        text = (
            f"{self._unheard} more {'question' if self._unheard == 1 else 'questions'} of the agent were answered "
            "with cancelled, because more were open at once than a person can judge."
        )
        await self._turn.say(self._translation.key("unheard"), TranscriptKind.NOTICE, text)
        await self._cancel(number, message)
        return False

    def _keep_asking(self, number: int, text: str) -> bool:
        """Count the question among those that are open; False when there is no room for it."""
        asking = self._session.state.asking
        others = [each for other, each in asking.items() if other != number]
        if len(others) >= MOST_QUESTIONS or sum(map(len, others)) + len(text) > QUESTIONS_LIMIT:
            return False
        asking[number] = text
        return True

    async def _cancel_unasked(self, number: int, message: Message, why: str) -> None:
        notice = unasked(number, message, self._translation, why)
        await self._turn.say(notice.key, notice.kind, notice.body)
        await self._cancel(number, message)

    async def _ask(self, number: int, message: Message, question: Question, intent: Intent) -> None:
        chosen = await self._turn.ask(self._translation.key(f"ask-{number}"), question, intent)
        kinds = [option.kind for option in question.options if option.option_id == chosen]
        if any(kind.startswith("reject") for kind in kinds):
            self._denied, self._spoke_since = excerpt(question.title), False
        await self._answered(number, message, _chosen(chosen))

    async def _answered(self, number: int, message: Message, answer: dict[str, Any]) -> None:
        """A person has answered, however long that took."""
        if self._doubt is not None:
            self._doubt = (self._doubt[0], anyio.current_time())
        await self._respond(number, message, answer)
        self._session.notify()

    async def _cancel(self, number: int, message: Message) -> None:
        await self._respond(number, message, elicitation.cancelled_answer(message.method))

    async def _respond(self, number: int, message: Message, answer: dict[str, Any]) -> None:
        try:
            await self._session.answers.give(number, message.request_id, answer)
        except AgentError as error:
            # An agent that cannot be told is lost mostly, and its stream says why. Another one would wait for ever.
            with anyio.move_on_after(LOSS_WAIT):
                while not self._session.gone():
                    await self._session.woken()
            if not self._session.gone():
                await self._session.cancel()
                agent = self._session.state.agent
                raise AgentError(f"an answer did not reach {agent}: {error.message}; send the prompt again") from error

    # What survives a restart

    async def _checkpoint(self) -> None:
        """Now and then, save how far the stream had been told a while ago: that much is surely committed."""
        now = anyio.current_time()
        if self._held is not None and now - self._held[0] >= CHECKPOINT_EVERY:
            _, seen, translation = self._held
            self._held = None
            self._session.state.seen = seen
            self._session.state.translation = decode(translation, Translation)
            await self._session.save()
        if self._held is None:
            self._held = (now, self._told, msgspec.json.encode(self._translation))
