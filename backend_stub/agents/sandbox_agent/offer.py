"""What an agent tells that it offers, read from its answers and updates into records; shapes as in ACP.

An option, choice or command that cannot be read, or is of a type that we do not know, is left out.
"""

from collections.abc import Iterator
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from backend_stub.agents.sandbox_agent.own_words import mode_said
from backend_stub.agents.sandbox_agent.updates import cut_line
from backend_stub.domain.agent import CommandsChanged, OptionsChanged, OptionValue, SessionChange, UsageChanged
from backend_stub.domain.options import with_value
from foundry_tui.contract.codec import decode
from foundry_tui.contract.options import find_option
from foundry_tui.contract.records import (
    Accepts,
    Cost,
    OptionChoice,
    OptionType,
    SessionCommand,
    SessionOption,
    Usage,
)

T = TypeVar("T")

MOST_OPTIONS = 100
MOST_CHOICES = 5_000
MOST_COMMANDS = 1_000
"""What is kept of a list that an agent tells; real ones have some dozens, and of models a thousand."""
MODE, MODEL = "mode", "model"
MESSAGE = "agent_message_chunk"
_ABSENT = Raw(b"null")
_METHODS = {MODE: ("session/set_mode", "modeId"), MODEL: ("session/set_model", "modelId")}
"""How an agent without `configOptions` is asked to change what it calls modes and models."""


COST_FROM_ZERO = frozenset({"claude"})
"""Agents of which each new process counts the session's cost from 0. Of others it is seen by a cost that has fallen."""


class Offer(Struct, kw_only=True):
    """What an agent offers in a session, as far as it has told. `by_config`: its options are ACP's `configOptions`.

    `cost_told` is what the session has cost as the agent told last, `cost_before` what it had cost before a new process
    counted from nothing; `cost_unsure`: a process has begun, and has not told yet what it counts from.
    """

    options: tuple[SessionOption, ...] = ()
    commands: tuple[SessionCommand, ...] = ()
    accepts: Accepts = Accepts()
    usage: Usage | None = None
    by_config: bool = True
    cost_told: float = 0
    cost_before: float = 0
    cost_unsure: bool = False

    def anew(self, accepts: Accepts, agent: str) -> "Offer":
        """What is left of it when another process of the agent has begun: what the session has used so far."""
        held = self.usage.cost if self.usage is not None else None
        if agent in COST_FROM_ZERO and held is not None:
            return Offer(accepts=accepts, usage=self.usage, cost_before=held.amount)
        told, before = self.cost_told, self.cost_before
        return Offer(accepts=accepts, usage=self.usage, cost_told=told, cost_before=before, cost_unsure=True)

    def opened(self, result: Raw) -> None:
        """Take what `session/new` or `session/load` answers, unless an update has told the options by now."""
        if self.options:
            return
        said = _decoded(result, _Opened) or _Opened()
        self.by_config = said.config_options is not None
        if said.config_options is not None:
            self.options = tuple(_options(said.config_options))
        else:
            modes, models = _decoded(said.modes, _Modes), _decoded(said.models, _Models)
            self.options = tuple(_modes(modes or _Modes(), models or _Models()))

    def take(self, update: Raw) -> SessionChange:
        """Take an update of one of `KINDS`; what changed by it.

        Raises `msgspec.DecodeError` when it cannot be read.
        """
        said = _update.decode(update)
        if said.session_update == "usage_update":
            # Of a turn that failed claude tells 0, though the conversation is as long as it was; no context is empty.
            used = int(said.used) or (self.usage.used if self.usage is not None else 0)
            self.usage = Usage(used=used, size=int(said.size), cost=self._cost(said.cost))
            return UsageChanged(self.usage)
        if said.session_update == "available_commands_update":
            self.commands = tuple(_commands(said.available_commands))
            return CommandsChanged(self.commands)
        if said.session_update == "config_option_update":
            self.by_config = True
            self.options = tuple(_options(said.config_options))
        elif not self.by_config:
            self.options = with_value(self.options, MODE, said.current_mode_id)
        return OptionsChanged(self.options)

    def take_words(self, update: Raw) -> SessionChange | None:
        """Take the mode of its own that an agent says in a message, as gemini does; None for all else that it says."""
        said = _decoded(update, _Spoken)
        mode = mode_said(said.content.text) if said is not None and said.session_update == MESSAGE else None
        option = find_option(self.options, MODE)
        if mode is None or self.by_config or option is None:
            return None
        if mode not in [choice.value for choice in option.choices]:
            return None
        self.options = with_value(self.options, MODE, mode)
        return OptionsChanged(self.options)

    def _cost(self, told: Raw) -> Cost | None:
        """What the session has cost in all; as before while the agent does not say."""
        cost, held = _decoded(told, _Cost), self.usage.cost if self.usage is not None else None
        if cost is None:
            return held
        if held is None or held.currency != cost.currency:
            self.cost_before = 0
        elif self.cost_unsure and cost.amount < self.cost_told:
            self.cost_before = held.amount
        self.cost_told, self.cost_unsure = cost.amount, False
        return Cost(amount=self.cost_before + cost.amount, currency=cost.currency)

    def request(self, option_id: str, value: OptionValue) -> tuple[str, dict[str, OptionValue]]:
        """The method, and its parameters beside the session's id, that set an option."""
        if not self.by_config:
            method, name = _METHODS[option_id]
            return method, {name: value}
        typed: dict[str, OptionValue] = {"type": "boolean"} if isinstance(value, bool) else {}
        return "session/set_config_option", {"configId": option_id, "value": value, **typed}

    def was_set(self, option_id: str, value: OptionValue, result: Raw) -> None:
        """Take the answer to that: the complete new list, where the agent gives one."""
        said = _decoded(result, _Opened)
        if said is not None and said.config_options is not None:
            self.options = tuple(_options(said.config_options))
        else:
            self.options = with_value(self.options, option_id, value)


KINDS = frozenset({"config_option_update", "current_mode_update", "available_commands_update", "usage_update"})
"""The updates that tell what an agent offers."""


def accepts_of(capabilities: Raw, meta: Raw) -> Accepts:
    """What the agent takes by the `agentCapabilities` and the `_meta` of its answer to `initialize`."""
    said = _decoded(capabilities, _Capabilities) or _Capabilities()
    takes = said.prompt_capabilities or _PromptCapabilities()
    own = _decoded(meta, _Meta) or _Meta()
    steering = any(each.steering is not None and each.steering.supported for each in (own, said.meta or _Meta()))
    return Accepts(
        image=bool(takes.image),
        audio=bool(takes.audio),
        embedded=bool(takes.embedded_context),
        steering=steering,
    )


# As they come


class _Choice(Struct):
    value: str
    name: str | None = None
    description: str | None = None


class _Group(Struct):
    options: list[Raw]
    name: str | None = None
    group: str | None = None


class _Option(Struct, rename="camel"):
    id: str
    type: str
    current_value: str | bool
    name: str | None = None
    description: str | None = None
    category: str | None = None
    options: list[Raw] = []


class _Named(Struct, rename="camel"):
    name: str | None = None
    id: str | None = None
    model_id: str | None = None
    description: str | None = None


class _Modes(Struct, rename="camel"):
    current_mode_id: str = ""
    available_modes: list[Raw] = []


class _Models(Struct, rename="camel"):
    current_model_id: str = ""
    available_models: list[Raw] = []


class _Opened(Struct, rename="camel"):
    config_options: list[Raw] | None = None
    modes: Raw = _ABSENT
    models: Raw = _ABSENT


class _Input(Struct):
    hint: str | None = None


class _Command(Struct):
    name: str
    description: str | None = None
    input: _Input | None = None


class _Cost(Struct):
    amount: float
    currency: str


class _Update(Struct, rename="camel"):
    session_update: str
    config_options: list[Raw] = []
    current_mode_id: str = ""
    available_commands: list[Raw] = []
    used: float = 0
    size: float = 0
    cost: Raw = _ABSENT


class _Words(Struct):
    text: str = ""


class _Spoken(Struct, rename="camel"):
    session_update: str
    content: _Words


class _PromptCapabilities(Struct, rename="camel"):
    image: bool | None = None
    audio: bool | None = None
    embedded_context: bool | None = None


class _Steering(Struct):
    supported: bool = False


class _Meta(Struct):
    steering: _Steering | None = None


class _Capabilities(Struct, rename={"prompt_capabilities": "promptCapabilities", "meta": "_meta"}):
    prompt_capabilities: _PromptCapabilities | None = None
    meta: _Meta | None = None


_update = msgspec.json.Decoder(_Update)


def _decoded(raw: Raw, type_: type[T]) -> T | None:
    try:
        return decode(raw or _ABSENT, type_)
    except (msgspec.DecodeError, RecursionError):
        return None


def _options(given: list[Raw]) -> Iterator[SessionOption]:
    for raw in given[:MOST_OPTIONS]:
        said = _decoded(raw, _Option)
        if said is None or said.type not in ("select", "boolean"):
            continue
        if isinstance(said.current_value, bool) is (said.type == "select"):
            continue
        yield SessionOption(
            option_id=said.id,
            name=cut_line(said.name or said.id),
            description=None if said.description is None else cut_line(said.description),
            category=said.category,
            type=OptionType(said.type),
            value=said.current_value,
            choices=tuple(_choices(said.options))[:MOST_CHOICES],
        )


def _choices(given: list[Raw], group: str | None = None) -> Iterator[OptionChoice]:
    for raw in given[:MOST_CHOICES]:
        choice = _decoded(raw, _Choice)
        if choice is not None:
            yield _choice(choice.value, choice.name, choice.description, group)
        elif group is None and (inner := _decoded(raw, _Group)) is not None:
            yield from _choices(inner.options, cut_line(inner.name or inner.group or ""))


def _choice(value: str, name: str | None, description: str | None, group: str | None = None) -> OptionChoice:
    words = None if description is None else cut_line(description)
    return OptionChoice(value=value, name=cut_line(name or value), description=words, group=group)


def _modes(modes: _Modes, models: _Models) -> Iterator[SessionOption]:
    """The options of an agent that has modes, and maybe models, in place of `configOptions`."""
    for option_id, name, value, given in (
        (MODE, "Mode", modes.current_mode_id, modes.available_modes),
        (MODEL, "Model", models.current_model_id, models.available_models),
    ):
        said = [named for raw in given[:MOST_CHOICES] if (named := _decoded(raw, _Named)) is not None]
        choices = [_choice(id_, each.name, each.description) for each in said if (id_ := each.id or each.model_id)]
        if choices and value:
            yield SessionOption(
                option_id=option_id,
                name=name,
                category=option_id,
                type=OptionType.SELECT,
                value=value,
                choices=tuple(choices),
            )


def _commands(given: list[Raw]) -> Iterator[SessionCommand]:
    for raw in given[:MOST_COMMANDS]:
        said = _decoded(raw, _Command)
        if said is not None and said.name:
            yield SessionCommand(
                name=said.name,
                description=cut_line(said.description or ""),
                hint=cut_line(said.input.hint) if said.input is not None and said.input.hint else None,
            )
