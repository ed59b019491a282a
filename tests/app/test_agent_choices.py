"""Agent, model, mode and permissions in the new-task dialog: what is offered, what is said, and what is sent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.widgets import Input

from foundry_tui.app.options import Options
from foundry_tui.client.task_defaults import TaskDefaults
from foundry_tui.contract.known_agents import AgentInfo, AgentState
from foundry_tui.contract.requests import CreateTask
from foundry_tui.screens.new_task import NewTaskScreen
from foundry_tui.screens.task import TaskScreen
from tests.app.harness import Stage, stage
from tests.app.looking import text_of
from tests.app.offers import AGENTS, DEFAULTS
from tests.app.test_new_task import a_store, put

pytestmark = pytest.mark.anyio


NO_DEFAULTS = TaskDefaults()


@asynccontextmanager
async def dialog(
    *agents: AgentInfo,
    size: tuple[int, int] = (100, 34),
    defaults: dict[str, str] = DEFAULTS,
    settings: TaskDefaults = NO_DEFAULTS,
    told: bool = True,
) -> AsyncIterator[Stage]:
    """The dialog of a backend that told of these agents and defaults, unless none is `told` yet."""
    options = Options(bell=False, terminal_notifications=False, repo="/src/shop", task_defaults=settings)
    async with stage(a_store(), size=size, options=options) as on:
        on.commands.providers = {"local": "ready", "demo": "ready"} if told else {}
        on.commands.agents_told, on.commands.default_agents = agents or AGENTS, defaults
        await on.press("n")
        await on.pilot.pause()
        yield on


def field(on: Stage, name: str) -> Input:
    assert isinstance(on.app.screen, NewTaskScreen)
    return on.app.screen.query_one(f"#{name}", Input)


async def test_choices_are_seen_without_unfolding_and_sent_by_their_values() -> None:
    async with dialog() as on:
        assert "the provider's own: claude" in text_of(on)
        assert "the agent's own or one of 2" in text_of(on), "models"
        assert "the agent's own or one of 3" in text_of(on), "modes"
        await on.press(*"fix it", "tab", "tab", "down", "down", "enter")
        assert field(on, "model").value == "Opus"
        put(on, "mode", "plan")
        await on.press("ctrl+s")
        assert isinstance(on.app.screen, TaskScreen)
        assert on.commands.created == [
            CreateTask(repo="/src/shop", prompt="fix it", options={"model": "opus-4", "mode": "plan"})
        ]


async def test_another_agent_has_other_choices() -> None:
    async with dialog() as on:
        assert "once it has worked" not in text_of(on)
        put(on, "agent", "opencode")
        await on.pilot.pause()
        assert "one of" not in text_of(on)
        assert "opencode's models and modes are offered here once it has worked" in text_of(on)
        put(on, "model", "gpt")
        await on.pilot.pause()
        assert "what opencode offers is known once it has worked here" in text_of(on)
        await on.press(*"x", "ctrl+s")
        assert on.commands.created == [
            CreateTask(repo="/src/shop", prompt="x", agent="opencode", options={"model": "gpt"})
        ]


async def test_what_the_settings_name_is_what_an_empty_field_stands_for() -> None:
    async with dialog(settings=TaskDefaults(agent="opencode", permissions="reads")) as on:
        assert field(on, "agent").placeholder == "opencode, by your settings"
        assert field(on, "permissions").placeholder == "reads, by your settings"
        assert "opencode's models and modes" in text_of(on)
        put(on, "provider", "demo")
        await on.pilot.pause()
        assert field(on, "permissions").placeholder == "ask (or reads, all)", "a simulated task has its own"
        put(on, "provider", "")
        await on.press(*"x", "ctrl+s")
        assert on.commands.created == [CreateTask(repo="/src/shop", prompt="x", agent="opencode", permissions="reads")]
        assert on.commands.owed_defaults == [None]


async def test_before_the_provider_is_told_the_settings_are_left_to_who_sends_the_task() -> None:
    settings = TaskDefaults(agent="opencode", permissions="all")
    async with dialog(settings=settings, told=False) as on:
        assert "by your settings" not in text_of(on), "a simulated task has its own, and it may be one"
        await on.press(*"x", "ctrl+s")
        assert on.commands.created == [CreateTask(repo="/src/shop", prompt="x")]
        assert on.commands.owed_defaults == [settings]


async def test_a_provider_of_the_settings_is_the_default_one_and_said_to_be_missing() -> None:
    async with dialog(settings=TaskDefaults(provider="demo", agent="opencode")) as on:
        assert field(on, "provider").placeholder == "the default: demo (or local)"
        await on.press(*"x", "ctrl+s")
        assert on.commands.created == [CreateTask(repo="/src/shop", prompt="x", provider="demo")]
    async with dialog(settings=TaskDefaults(provider="cloud")) as on:
        assert "there is no such provider; there is local, demo" in text_of(on)
        await on.press(*"x", "ctrl+s")
        assert on.commands.created == []


@pytest.mark.parametrize("mode", ["Bypass permissions", "bypassPermissions", "BYPASS PERMISSIONS"])
async def test_a_mode_that_asks_nothing_is_yellow(mode: str) -> None:
    async with dialog() as on:
        put(on, "mode", mode)
        await on.pilot.pause()
        assert field(on, "mode").has_class("-warning")
        assert "in this mode it does everything without asking" in text_of(on)
        put(on, "mode", "Plan")
        await on.pilot.pause()
        assert not field(on, "mode").has_class("-warning")
        assert "without asking" not in text_of(on)


async def test_what_was_not_offered_is_questioned_and_left_to_the_agent() -> None:
    async with dialog() as on:
        put(on, "model", "o9")
        await on.pilot.pause()
        assert "not among what claude offered last: Sonnet, Opus" in text_of(on)
        await on.press(*"x", "ctrl+s")
        assert on.commands.created[0].options == {"model": "o9"}


async def test_choices_are_kept_with_the_draft() -> None:
    async with dialog() as on:
        await on.press(*"fix it", "ctrl+o")
        for name, value in (("agent", "claude"), ("model", "Opus"), ("mode", "Plan"), ("permissions", "reads")):
            put(on, name, value)
        await on.press("escape", "n")
        values = {name: field(on, name).value for name in ("agent", "model", "mode", "permissions")}
        assert values == {"agent": "claude", "model": "Opus", "mode": "Plan", "permissions": "reads"}
        await on.press("ctrl+s")
        assert on.commands.created[0].options == {"model": "opus-4", "mode": "plan"}
        assert on.commands.created[0].permissions == "reads"


async def test_options_without_a_field_are_kept_too() -> None:
    async with dialog() as on:
        await on.press("escape")
        draft = CreateTask(repo="/src/shop", prompt="again", options={"effort": "high", "mode": "plan"})
        on.app.open_new_task("/src/shop", draft)
        await on.pilot.pause()
        put(on, "mode", "")
        await on.press("ctrl+s")
        assert on.commands.created[0].options == {"effort": "high"}


async def test_effort_is_chosen_among_the_folded_options() -> None:
    async with dialog() as on:
        await on.press("escape")
        on.app.open_new_task("/src/shop", CreateTask(repo="/src/shop", prompt="again", options={"effort": "low"}))
        await on.press("ctrl+o")
        assert field(on, "thought_level").placeholder == "the agent's own or one of 2"
        put(on, "thought_level", "Extra high")
        await on.press("ctrl+o")
        assert "effort Extra high" in text_of(on)
        await on.press("ctrl+s")
        assert on.commands.created[0].options == {"thought_level": "xhigh"}


async def test_what_the_default_agent_lacks_is_said_beside_the_field() -> None:
    how = "foundry agent install codex"
    codex = AgentInfo(name="codex", provider="local", state=AgentState.MISSING, how=how)
    async with dialog(codex, defaults={"local": "codex"}) as on:
        assert f"codex is not installed: {how}" in text_of(on)
        put(on, "provider", "demo")
        await on.pilot.pause()
        assert how not in text_of(on)


@pytest.mark.parametrize(
    ("permissions", "said"),
    [
        ("all", "every question about permission is answered"),
        ("reads", "about reading in the sandbox"),
        ("yolo", "✗ one of ask, reads, all"),
    ],
)
async def test_permissions_say_what_they_allow(permissions: str, said: str) -> None:
    async with dialog() as on:
        await on.press(*"x", "ctrl+o")
        put(on, "permissions", permissions)
        await on.pilot.pause()
        assert said in text_of(on)
        await on.press("ctrl+s")
        assert [request.permissions for request in on.commands.created] == [permissions] * (permissions != "yolo")
