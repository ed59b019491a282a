"""What an ACP agent offers, read through the real server: options set at once, with every new process, or refused."""

import json
import os
import signal
from collections.abc import Sequence
from typing import Any

import anyio
import anyio.to_thread
import pytest
from msgspec import Raw

from backend_stub.agents.sandbox_agent.offer import Offer
from backend_stub.agents.sandbox_agent.runtime import SandboxAgentRuntime
from backend_stub.domain.agent import (
    AcceptsChanged,
    CommandsChanged,
    OptionRefusedError,
    OptionsChanged,
    SessionChange,
    UsageChanged,
)
from backend_stub.domain.errors import AgentError
from backend_stub.domain.options import MOST_NAMED, settled, why_not
from backend_stub.providers.local import LocalProvider
from foundry_tui.contract.records import Accepts, Cost, OptionChoice, OptionType, SessionCommand, SessionOption, Usage
from foundry_tui.contract.transcript import TranscriptKind
from tests.local.test_faults import Loss
from tests.local.world import LIMIT, LocalWorld, Told, open_gate, prompt, turn

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
MODELS = [
    {"name": "Small ones", "group": "small", "options": [{"value": "mini", "name": "Mini", "description": "Cheap"}]},
    {"name": "Large ones", "options": [{"value": "max", "name": "Max"}, {"value": "refused", "name": "Other"}]},
    {"no": "value"},
]
OFFERS: Json = {
    "configOptions": [
        {
            "id": "model",
            "name": "Model",
            "category": "model",
            "type": "select",
            "currentValue": "mini",
            "options": MODELS,
        },
        {"id": "fast", "name": "Fast", "type": "boolean", "currentValue": False},
        {"id": "dial", "name": "Dial", "type": "number", "currentValue": 3},
        {"id": "slow", "type": "select", "currentValue": "a", "options": [{"value": "a"}, {"value": "slow"}]},
    ],
    "modes": {"currentModeId": "x", "availableModes": [{"id": "x", "name": "X"}]},
}
MODES: Json = {
    "modes": {
        "currentModeId": "ask",
        "availableModes": [{"id": "ask", "name": "Ask"}, {"id": "yolo", "name": "Yolo", "description": "Asks nothing"}],
    }
}


class Offered:
    """Hears what agents offer."""

    def __init__(self, provider: LocalProvider) -> None:
        self.changes: dict[type, SessionChange] = {}
        self._changed = anyio.Event()
        provider.agents.on_changed = self._hear

    async def _hear(self, task_id: str, session_id: str, changes: Sequence[SessionChange]) -> None:
        self.changes |= {type(change): change for change in changes}
        self._changed.set()
        self._changed = anyio.Event()

    def values(self) -> dict[str, object]:
        return values(self.options())

    def options(self) -> Sequence[SessionOption]:
        change = self.changes.get(OptionsChanged)
        return change.options if isinstance(change, OptionsChanged) else ()

    async def until_set(self, **expected: object) -> None:
        with anyio.fail_after(LIMIT):
            while self.values() != expected:
                await self._changed.wait()

    async def until(self, *expected: SessionChange) -> None:
        with anyio.fail_after(LIMIT):
            while not all(self.changes.get(type(change)) == change for change in expected):
                await self._changed.wait()


def values(options: Sequence[SessionOption]) -> dict[str, object]:
    return {option.option_id: option.value for option in options}


async def test_options_commands_and_usage_are_read(world: LocalWorld) -> None:
    world.environ["ACP_AGENT_OFFERS"] = json.dumps(OFFERS)
    async with world.provider() as provider:
        offered = Offered(provider)
        task = await world.with_session(provider, world.task())
        assert offered.values() == {"model": "mini", "fast": False, "slow": "a"}, "each of a known type, in this order"
        model = offered.options()[0]
        assert [(each.value, each.name, each.group, each.description) for each in model.choices] == [
            ("mini", "Mini", "Small ones", "Cheap"),
            ("max", "Max", "Large ones", None),
            ("refused", "Other", "Large ones", None),
        ]
        accepts = offered.changes[AcceptsChanged]
        assert isinstance(accepts, AcceptsChanged)
        assert accepts.accepts.image
        commands = [{"name": "review", "description": "Reviews", "input": {"hint": "what"}}, {"name": "init"}, 5]
        updates = [
            {"sessionUpdate": "available_commands_update", "availableCommands": commands},
            {"sessionUpdate": "usage_update", "used": 10, "size": 100, "cost": {"amount": 0.5, "currency": "USD"}},
            {"sessionUpdate": "usage_update", "used": 20, "size": 100, "cost": {"amount": 1, "currency": "USD"}},
            {"sessionUpdate": "usage_update", "used": 30, "size": 100},
            {"sessionUpdate": "config_option_update", "configOptions": OFFERS["configOptions"][1:2]},
            {"sessionUpdate": "usage_update", "used": "many"},
        ]
        told = await turn(provider, world, task, "\n".join(f"update {json.dumps(update)}" for update in updates))
        review = SessionCommand(name="review", description="Reviews", hint="what")
        await offered.until(
            CommandsChanged((review, SessionCommand(name="init"))),
            UsageChanged(Usage(used=30, size=100, cost=Cost(amount=1, currency="USD"))),
        )
        assert offered.values() == {"fast": False}
        assert "could not be read" in told.of(TranscriptKind.NOTICE)[0]
    [initialize] = world.agent_saw("initialize")
    assert initialize["params"]["clientCapabilities"]["session"] == {"configOptions": {"boolean": {}}}


def test_a_turn_that_failed_empties_no_context() -> None:
    def told(used: int) -> int:
        update = {"sessionUpdate": "usage_update", "used": used, "size": 100}
        change = offer.take(Raw(json.dumps(update).encode()))
        assert isinstance(change, UsageChanged)
        assert change.usage == offer.usage
        return change.usage.used

    offer = Offer()
    assert [told(used) for used in (0, 40, 0, 30)] == [0, 40, 40, 30]
    offer = offer.anew(Accepts(), "claude")
    assert told(0) == 30, "nor does one of a new process that has read the conversation"


def test_what_a_session_has_cost_is_counted_over_all_its_processes() -> None:
    def told(offer: Offer, *amounts: float) -> list[float]:
        costs = []
        for amount in amounts:
            cost = {"amount": amount, "currency": "USD"}
            update = {"sessionUpdate": "usage_update", "used": 1, "size": 9, "cost": cost}
            offer.take(Raw(json.dumps(update).encode()))
            assert offer.usage is not None
            assert offer.usage.cost is not None
            costs.append(offer.usage.cost.amount)
        return costs

    offer = Offer()
    assert told(offer, 1, 2) == [1, 2]
    from_nothing = offer.anew(Accepts(), "any")
    assert told(from_nothing, 0.5, 1) == [2.5, 3]
    assert told(from_nothing, 0.5, 1) == [2.5, 3], "what is read again is not counted again"
    assert told(from_nothing.anew(Accepts(), "any"), 1.5, 2) == [3.5, 4], "it knew what was before"
    assert told(offer.anew(Accepts(), "claude"), 3, 4) == [5, 6], "it is known to begin from nothing"


async def test_an_option_is_set_while_the_agent_works_and_again_with_a_new_process(world: LocalWorld) -> None:
    world.environ["ACP_AGENT_OFFERS"] = json.dumps(OFFERS)
    gate = world.folder / "gate"
    os.mkfifo(gate)
    async with world.provider() as provider:
        offered, loss = Offered(provider), Loss(provider)
        task = await world.with_session(provider, world.task())
        told, said = Told(), prompt(task, f"say working\nwait {gate}")
        await provider.agents.deliver(world.call(task), said, told)
        async with anyio.create_task_group() as group:
            group.start_soon(provider.agents.follow, world.call(task), said, told)
            set_to = await provider.agents.set_option(world.call(task), said.session_id, "model", "max")
            assert values(set_to)["model"] == "max"
            set_to = await provider.agents.set_option(world.call(task), said.session_id, "fast", True)
            assert values(set_to) == {"model": "max", "fast": True, "slow": "a"}
            await anyio.to_thread.run_sync(open_gate, gate)
        assert [each["params"].get("type") for each in world.agent_saw("session/set_config_option")] == [
            None,
            "boolean",
        ]
        os.kill(world.agent_pids()[0], signal.SIGKILL)
        await loss.wait()
        set_to = await provider.agents.set_option(world.call(task), said.session_id, "slow", "a")
        await turn(provider, world, task, "say again", "p2")
        assert offered.values() == {"model": "max", "fast": True, "slow": "a"}
        asked = [each["what"] for each in map(json.loads, world.agent_log.read_text().splitlines())]
        assert asked[-3:] == ["session/set_config_option", "session/set_config_option", "session/prompt"]


@pytest.mark.slow
async def test_an_option_that_is_set_as_the_turn_of_a_lost_agent_ends_is_kept(world: LocalWorld) -> None:
    world.environ["ACP_AGENT_OFFERS"] = json.dumps(OFFERS)
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        session_id = task.sessions[0].session_id
        told, said = Told(), prompt(task, "say working\npause")
        await provider.agents.deliver(world.call(task), said, told)
        assert isinstance(provider.agents, SandboxAgentRuntime)
        session = provider.agents._sessions[session_id]
        os.kill(world.agent_pids()[0], signal.SIGKILL)
        with anyio.fail_after(LIMIT):
            while not session.gone():
                await session.woken()
        set_to = await provider.agents.set_option(world.call(task), session_id, "model", "max")
        assert values(set_to)["model"] == "max"
        with pytest.raises(AgentError, match="the agent pi ended"):
            await provider.agents.follow(world.call(task), said, told)
        offered = Offered(provider)
        await turn(provider, world, task, "say again", "p2")
        await offered.until_set(model="max", fast=False, slow="a")


async def test_options_outlive_the_backend_and_what_is_refused_stays_as_it_was(world: LocalWorld) -> None:
    world.environ["ACP_AGENT_OFFERS"] = json.dumps(OFFERS)
    async with world.provider() as provider:
        task = await world.with_session(provider, world.task())
        session_id = task.sessions[0].session_id
        await provider.agents.set_option(world.call(task), session_id, "fast", True)
        with pytest.raises(OptionRefusedError, match="not on this account"):
            await provider.agents.set_option(world.call(task), session_id, "model", "refused")
    async with world.provider() as provider:
        offered = Offered(provider)
        await provider.agents.attach(world.call(task))
        await provider.agents.set_option(world.call(task), session_id, "model", "max")
        await offered.until_set(model="max", fast=True, slow="a")


@pytest.mark.slow
async def test_options_are_set_before_the_session_counts_as_opened(world: LocalWorld) -> None:
    world.environ["ACP_AGENT_OFFERS"] = json.dumps(OFFERS)
    async with world.provider() as provider:
        offered = Offered(provider)
        task = await world.with_sandbox(provider, world.task())
        await provider.agents.ensure_agent(world.call(task))
        [session] = task.sessions
        for asked in ({"effort": "high"}, {"model": "huge"}, {"model": "refused"}):
            with pytest.raises(AgentError, match=r"offers model: mini, max, refused; fast: true, false") as caught:
                await provider.agents.create_session(world.call(task), session, asked)
            assert not caught.value.retryable
        await provider.agents.create_session(world.call(task), session, {"model": "max", "fast": True})
        assert offered.values() == {"model": "max", "fast": True, "slow": "a"}


async def test_an_agent_with_modes_alone_has_one_option(world: LocalWorld) -> None:
    world.environ["ACP_AGENT_OFFERS"] = json.dumps(MODES)
    async with world.provider() as provider:
        offered = Offered(provider)
        task = await world.with_session(provider, world.task())
        [mode] = offered.options()
        assert (mode.option_id, mode.category, mode.value) == ("mode", "mode", "ask")
        set_to = await provider.agents.set_option(world.call(task), task.sessions[0].session_id, "mode", "yolo")
        assert values(set_to) == {"mode": "yolo"}
        assert [each["params"]["modeId"] for each in world.agent_saw("session/set_mode")] == ["yolo"]
        update = {"sessionUpdate": "current_mode_update", "currentModeId": "ask"}
        await turn(provider, world, task, f"update {json.dumps(update)}")
        await offered.until(OptionsChanged((mode,)))


async def test_a_mode_that_an_agent_says_in_a_message_is_no_answer(world: LocalWorld) -> None:
    world.environ["ACP_AGENT_OFFERS"] = json.dumps(MODES)
    async with world.provider() as provider:
        offered = Offered(provider)
        task = await world.with_session(provider, world.task())
        texts = ["[MODE_UPDATE] yolo", "[MODE_UPDATE] is its mark. ", "[MODE_UPDATE] unheard-of"]
        chunks = ({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}} for text in texts)
        told = await turn(provider, world, task, "\n".join(f"update {json.dumps(chunk)}" for chunk in chunks))
        await offered.until_set(mode="yolo")
        said = [body for kind, body in told.items.values() if kind is TranscriptKind.MESSAGE]
        assert said == ["".join(texts[1:])]


def test_of_many_choices_those_are_named_that_are_like_what_was_asked_for() -> None:
    choices = tuple(
        OptionChoice(value=f"{maker}/{n}", name="") for maker in ("first", "mine") for n in range(MOST_NAMED)
    )
    model = SessionOption(option_id="model", name="Model", type=OptionType.SELECT, value="first/0", choices=choices)
    _, wrong = settled((model,), {"model": "Mine"})
    assert wrong is not None
    assert wrong[0] == "model"
    assert "it offers model: mine/0, mine/1, " in wrong[1]
    assert "choose one of mine/0, " in (why_not(model, "mine") or "").lower()


def test_options_that_were_told_before_the_answer_was_read_are_not_forgotten_with_it() -> None:
    def option(value: str) -> dict[str, object]:
        choices = [{"value": "small"}, {"value": "big"}]
        return {"id": "model", "type": "select", "currentValue": value, "options": choices}

    for answer in ({}, {"configOptions": [option("small")]}):
        offer = Offer()
        update = {"sessionUpdate": "config_option_update", "configOptions": [option("big")]}
        offer.take(Raw(json.dumps(update).encode()))
        offer.opened(Raw(json.dumps(answer).encode()))
        assert [each.value for each in offer.options] == ["big"]
        assert offer.by_config
