"""Telling one turn: from a session's arrivals to transcript items and permission requests, until the turn ends."""

import contextlib
from collections.abc import Callable

import anyio
import msgspec
from anyio.abc import TaskGroup
from msgspec import Struct

from backend_stub.agents.base import Turn
from backend_stub.agents.sandbox_agent.link import Message, message_of
from backend_stub.agents.sandbox_agent.policy import Policy, decide
from backend_stub.agents.sandbox_agent.session import CANCELLED, STOP_GRACE, Arrival, Gap, Session
from backend_stub.agents.sandbox_agent.updates import Item, Translation, Update
from backend_stub.providers.base import AgentError
from foundry_tui.contract.codec import decode
from foundry_tui.contract.records import PermissionOption, Question, TranscriptKind

CHECKPOINT_EVERY = 0.5
"""Seconds between two notes of how far the stream was told; longer than what is told waits for its commit."""
_STOP_REASONS = {
    "max_tokens": "The agent stopped: its model's token limit was reached.",
    "max_turn_requests": "The agent stopped: it had asked its model as often as it may in one turn.",
    "refusal": "The agent refused to go on with this prompt.",
}


class _Option(Struct, rename="camel"):
    option_id: str
    name: str = ""
    kind: str = "allow_once"


class _ToolCall(Struct, rename="camel"):
    tool_call_id: str = ""
    title: str | None = None
    kind: str | None = None


class _Request(Struct, rename="camel"):
    tool_call: _ToolCall = msgspec.field(default_factory=_ToolCall)
    options: list[_Option] = []


class _Notification(Struct):
    update: Update


class _PromptResult(Struct, rename="camel"):
    stop_reason: str = "end_turn"


_request = msgspec.json.Decoder(_Request)
_notification = msgspec.json.Decoder(_Notification)
_result = msgspec.json.Decoder(_PromptResult)


class UnstoppableError(AgentError):
    """The agent was told to stop and did not."""


class Telling:
    """One turn as it is told to `turn`; `log` gets what a policy decided."""

    def __init__(
        self, session: Session, prompt_id: str, turn: Turn, cwd: str, policy: Policy, log: Callable[[str], None]
    ) -> None:
        self._session = session
        self._turn = turn
        self._policy = policy
        self._log = log
        kept = session.state.translation
        self._translation = (
            kept if kept is not None and kept.prompt_id == prompt_id else Translation(prompt_id=prompt_id, cwd=cwd)
        )
        self._told = session.state.seen
        self._held: tuple[float, int, bytes] | None = None
        self._failure: AgentError | None = None

    async def run(self) -> None:
        """Tell until the turn ends. Raises `AgentError` when it fails, `UnstoppableError` when it cannot be stopped."""
        async with anyio.create_task_group() as asks:
            for text in list(self._session.state.asking.values()):
                await self._permission(message_of(text), asks)
            try:
                while not await self._tell(await self._session.arrivals(self._patience()), asks):
                    await self._checkpoint()
            except AgentError as error:
                # Raised outside of the group, which would wrap it.
                self._failure = error
            asks.cancel_scope.cancel()
        if self._failure is not None:
            raise self._failure

    def _patience(self) -> float | None:
        since = self._session.stopping_since
        if since is None:
            return None
        left = since + STOP_GRACE - anyio.current_time()
        if left <= 0:
            raise UnstoppableError(f"the agent did not stop within {STOP_GRACE:.0f} s")
        return left

    async def _tell(self, arrivals: list[Arrival], asks: TaskGroup) -> bool:
        """Tell these; whether the turn is over. What grows is told once, as it stands after all of them."""
        items: dict[str, Item] = {}
        for arrival in arrivals:
            message = arrival.message
            if isinstance(message, Gap):
                text = f"{message.events} events of the agent were lost: nobody was listening, or not fast enough."
                items[f"gap-{arrival.number}"] = Item(f"gap-{arrival.number}", TranscriptKind.NOTICE, text)
            elif message.method is None:
                await self._flush(items)
                self._told = arrival.number
                await self._end(message)
                return True
            elif message.method == "session/update":
                item = self._translate(message)
                if item is not None:
                    items[item.key] = item
            elif message.request_id not in {*self._session.state.answered, *self._session.state.asking}:
                await self._flush(items)
                await self._permission(message, asks)
            self._told = arrival.number
        await self._flush(items)
        return False

    def _translate(self, message: Message) -> Item | None:
        try:
            return self._translation.apply(_notification.decode(message.params).update)
        except msgspec.DecodeError:
            # An update of a shape that this version of the protocol does not have is nobody's loss.
            return None

    async def _flush(self, items: dict[str, Item]) -> None:
        for item in items.values():
            await self._turn.say(item.key, item.kind, item.body)
        items.clear()

    async def _end(self, response: Message) -> None:
        if response.error is not None:
            self._failure = AgentError(f"the agent's turn failed: {response.error.words()}")
            return
        try:
            reason = _result.decode(response.result).stop_reason
        except msgspec.DecodeError:
            reason = "end_turn"
        if reason in _STOP_REASONS:
            await self._turn.say(self._translation.key("end"), TranscriptKind.NOTICE, _STOP_REASONS[reason])

    # Permissions

    async def _permission(self, message: Message, asks: TaskGroup) -> None:
        try:
            request = _request.decode(message.params)
        except msgspec.DecodeError:
            request = _Request()
        options = [
            PermissionOption(option_id=option.option_id, name=option.name or option.option_id, kind=option.kind)
            for option in request.options
        ]
        call = request.tool_call
        known = self._translation.tools.get(call.tool_call_id)
        title = call.title or (known.title if known else "The agent asks for permission")
        kind = call.kind or (known.kind if known else "other")
        if not options or self._session.stopping_since is not None:
            await self._answer(message, None)
            return
        chosen = decide(self._policy, kind, options)
        if chosen is not None:
            self._log(f"allowed by policy ({self._policy}): {title}")
            await self._answer(message, chosen)
            return
        self._session.state.asking[message.request_id] = msgspec.json.encode(message).decode()
        asks.start_soon(self._ask, message, Question(title=title, options=tuple(options), tool_kind=kind))

    async def _ask(self, message: Message, question: Question) -> None:
        chosen = await self._turn.ask(self._translation.key(f"ask-{message.request_id}"), question)
        await self._answer(message, chosen)

    async def _answer(self, message: Message, option_id: str | None) -> None:
        self._session.state.asking.pop(message.request_id, None)
        answered = self._session.state.answered
        if message.request_id in answered:
            return
        answered.append(message.request_id)
        outcome = CANCELLED if option_id is None else {"outcome": {"outcome": "selected", "optionId": option_id}}
        with contextlib.suppress(AgentError):
            # An agent that cannot be told is lost, which its stream says.
            await self._session.link.respond(message, outcome)
        await self._session.save()

    # What survives a restart

    async def _checkpoint(self) -> None:
        """Note how far the stream was told, once what was told then has surely been committed."""
        now = anyio.current_time()
        if self._held is not None and now - self._held[0] >= CHECKPOINT_EVERY:
            _, seen, translation = self._held
            self._held = None
            self._session.state.seen = seen
            self._session.state.translation = decode(translation, Translation)
            await self._session.save()
        if self._held is None:
            self._held = (now, self._told, msgspec.json.encode(self._translation))
