"""What an agent runtime promises: agents inside sandboxes, sessions with them, and their turns."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

import anyio

from backend_stub.domain.call import Call
from backend_stub.domain.errors import AgentError
from backend_stub.domain.rulings import NOTHING_KNOWN, Intent
from foundry_tui.contract.attachments import NewAttachments
from foundry_tui.contract.memory import AgentMemory
from foundry_tui.contract.questions import AnswerAction, FieldValue, Question
from foundry_tui.contract.records import Accepts, Prompt, SessionCommand, SessionOption, SessionSummary, Usage
from foundry_tui.contract.transcript import TranscriptKind

OptionValue: TypeAlias = str | bool
"""What an option is set to: one of its choices, or true or false."""


@dataclass(frozen=True)
class Reply:
    """What became of a form or a page; `content` is what the form was filled in with."""

    action: AnswerAction
    content: Mapping[str, FieldValue] = field(default_factory=dict)


class Turn(Protocol):
    """Where a turn is told. Everything told under the same key is the same item or request, also after a restart."""

    over: anyio.Event
    """Set once the end of the turn is committed, or nobody follows it any more."""

    async def say(self, key: str, kind: TranscriptKind, body: str | dict[str, Any]) -> None:
        """Add the transcript item of this key, or replace its body. Cheap: growth is gathered for 50 ms."""
        ...

    async def ask(self, key: str, question: Question, intent: Intent = NOTHING_KNOWN) -> str | None:
        """Ask a person and wait, unless a rule answers; the option_id chosen, or None when the request was cancelled.

        `intent` is what rules go by.
        """
        ...

    async def elicit(self, key: str, question: Question, over: anyio.Event) -> Reply:
        """Have a person fill in a form or open a page, and wait. The agent itself ends that, as accepted, by `over`."""
        ...


@dataclass(frozen=True)
class WantedLogin:
    """An agent asked for a login, at this time in seconds since the epoch; `how` is what to do."""

    at: float
    how: str


@dataclass(frozen=True)
class SaidOutsideTurn:
    """A transcript item that an agent told outside of a turn, whole; the same `item_id` again replaces its body."""

    item_id: str
    kind: TranscriptKind
    body: str | dict[str, Any]


@dataclass(frozen=True)
class OptionsChanged:
    """The agent offers these options, with the values that they have now; the list is complete."""

    options: tuple[SessionOption, ...]


@dataclass(frozen=True)
class CommandsChanged:
    """The agent has these commands; the list is complete."""

    commands: tuple[SessionCommand, ...]


@dataclass(frozen=True)
class UsageChanged:
    """The session has used so much."""

    usage: Usage


@dataclass(frozen=True)
class AcceptsChanged:
    """The agent, which was started, takes these beside text."""

    accepts: Accepts


SessionChange: TypeAlias = OptionsChanged | CommandsChanged | UsageChanged | AcceptsChanged
"""What an agent tells of a session, in a turn or outside of any. The same may be told twice, also after a restart."""


class OptionNotOfferedError(AgentError):
    """A session cannot be opened with what was asked for this option, by the name that it was asked by."""

    def __init__(self, message: str, option: str) -> None:
        super().__init__(message, retryable=False)
        self.option = option


class OptionRefusedError(AgentError):
    """The agent does not set the option to this value; the message is in its words."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=False)


class Steered(StrEnum):
    """What became of a prompt that was said into a turn in progress.

    `taken`: the agent has it; `turn_over`: the turn had just ended; `refused`: the agent does not take it; `unknown`:
    it may have it.
    """

    TAKEN = "taken"
    TURN_OVER = "turn_over"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Files(Protocol):
    """Who looks after what changes in the sandboxes."""

    def refresh(self, task_id: str) -> None:
        """Files of this task may have changed; returns at once."""
        ...

    async def computed(self, task_id: str) -> None:
        """Wait, but not for long, until it is known what did."""
        ...


class AgentRuntime(Protocol):
    """Starts agents and talks to them. Idempotent by task id, session_id and prompt_id.

    Calls raise `backend_stub.domain.errors.CallError` (mostly `AgentError`) and may be cancelled at any await.
    """

    on_lost: Callable[[str, str, str], Awaitable[None]] | None
    """Told (task_id, session_id, reason) when a session's agent died by itself, outside of any call."""

    on_said: Callable[[str, str, Sequence[SaidOutsideTurn]], Awaitable[None]] | None
    """Told (task_id, session_id, items) what an agent says outside of any turn; returns once it is kept."""

    on_changed: Callable[[str, str, Sequence[SessionChange]], Awaitable[None]] | None
    """Told (task_id, session_id, changes) what an agent tells of a session; returns once it is kept."""

    async def ensure_agent(self, call: Call) -> None:
        """Have ready in the sandbox what runs the task's agent; for one not installed, the error says how to get it."""
        ...

    async def create_session(
        self, call: Call, session: SessionSummary, options: Mapping[str, OptionValue] | None = None
    ) -> None:
        """Open the session, or find it, and set `options`, each named by its option_id or its category.

        What the agent offers is told of before this returns. Raises an `AgentError` that is not to be tried again, and
        lists what is offered, when the agent does not offer or refuses one of them.
        """
        ...

    async def set_option(
        self, call: Call, session_id: str, option_id: str, value: OptionValue
    ) -> tuple[SessionOption, ...]:
        """Set an option, also while a turn runs and again whenever the agent is started anew; all options after it.

        Of an agent that does not run the option is set when it does. Raises `OptionRefusedError`.
        """
        ...

    async def attach(self, call: Call) -> None:
        """After a restart of the backend: find the running agent of a ready task again, or start it anew."""
        ...

    async def restart(self, call: Call) -> None:
        """End the agents of a ready task and begin them anew, the conversations loaded again where they can do that."""
        ...

    async def unload(self, call: Call, session_id: str) -> None:
        """End the agent of a session in which nothing goes on, be it that an earlier run of the backend began to.

        It comes back with the next prompt: with its conversation, or with a notice that this begins anew. Sessions that
        have `unloaded_since` are begun by that prompt alone.
        """
        ...

    async def memory(self, task_id: str | None) -> Sequence[AgentMemory]:
        """What the agents that run take now, of one task or (None) of all; those of agents that are no processes of
        their own are left out.
        """
        ...

    async def deliver(self, call: Call, prompt: Prompt, turn: Turn, attachments: NewAttachments = ()) -> None:
        """Hand the prompt over; returns once the agent has it. A prompt that it has is not handed over again.

        What the agent cannot be given of the attachments is said in notices of the turn: the prompt goes without it.
        """
        ...

    async def steer(self, call: Call, prompt: Prompt) -> Steered:
        """Say the prompt into the turn in progress of its session; one that was said into it is not said again."""
        ...

    async def follow(self, call: Call, prompt: Prompt, turn: Turn) -> None:
        """Tell the turn of a delivered prompt until it ends; returns at its end, also if that was before a restart."""
        ...

    async def stop(self, call: Call, session_id: str) -> None:
        """Tell the agent to end the turn that runs in this session; nothing running is success."""
        ...

    async def close_session(self, call: Call, session_id: str) -> None:
        """The session was closed; nothing open is success."""
        ...
