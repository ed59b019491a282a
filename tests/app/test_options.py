"""What a session's agent offers and has used: in the header as the width allows, and chosen in a dialog."""

import pytest
from msgspec.structs import replace
from textual.command import Hit

from foundry_tui.app.palette import PaletteProvider
from foundry_tui.contract.events import EventName, Topic, TopicKind
from foundry_tui.contract.records import (
    Cost,
    SessionState,
    SessionStatus,
    Usage,
)
from foundry_tui.contract.status import TaskStatus
from foundry_tui.screens.session_options import SessionOptionsScreen
from foundry_tui.view.session_facts import asks_nothing, context_used, is_nearly_full, money
from foundry_tui.widgets.task_header import TaskHeader
from tests.app.factories import make_session
from tests.app.harness import stage
from tests.app.looking import text_of
from tests.app.task_scenes import MODES, SESSION, TASK, a_session, a_task, an_option, options_scene, store_with

pytestmark = pytest.mark.anyio


async def test_a_default_says_of_what() -> None:
    async with stage(options_scene(model="Default (recommended)", mode="Default"), size=(160, 30)) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        assert "claude · model Default (recommended) · mode Default · " in text_of(on, TaskHeader)


@pytest.mark.parametrize(
    ("width", "facts"),
    [
        (160, "claude · Opus · Plan · 41 % · $0.12 · local · 5m"),
        (60, "claude · Opus · Plan · 41 % · local · 5m"),
        (40, "claude · Plan · 41 % · 5m"),
    ],
)
async def test_the_header_has_model_mode_and_usage_as_the_width_allows(width: int, facts: str) -> None:
    async with stage(options_scene(), size=(width, 30)) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        lines = text_of(on, TaskHeader).splitlines()
        assert lines[1].strip().endswith(facts)


@pytest.mark.parametrize(
    ("query", "set_to"), [("mode bypass", ("mode", "bypassPermissions")), ("fast on", ("fast", True))]
)
async def test_the_palette_sets_an_option_by_the_name_of_its_value(query: str, set_to: tuple[str, str | bool]) -> None:
    async with stage(options_scene(), size=(160, 30)) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        hits = [hit async for hit in PaletteProvider(on.app.screen).search(query)]
        [hit] = [hit for hit in hits if isinstance(hit, Hit) and ": " in (hit.text or "")]
        hit.command()
        assert ("set_option", SESSION, *set_to) in on.commands.calls


async def test_a_mode_that_asks_nothing_and_a_context_that_fills_are_yellow() -> None:
    usage = Usage(used=80_000, size=100_000)
    async with stage(options_scene(mode="Bypass Permissions", usage=usage), size=(160, 30)) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        line = on.app.screen.query_one(TaskHeader).render_line(1)
        colours = {part.text: part.style.color for part in line if part.style is not None}
        assert colours["Bypass Permissions"] == colours["80 % full"] != colours["Opus"]


@pytest.mark.parametrize("name", ["Bypass Permissions", "bypassPermissions", "YOLO", "Full Access", "Allow all"])
def test_modes_that_ask_nothing_are_known_by_their_names(name: str) -> None:
    assert asks_nothing(make_session(mode=name))


@pytest.mark.parametrize("name", ["Ask", "default", "plan", "Accept Edits", "read-only", "auto", None])
def test_other_modes_are_not_taken_for_them(name: str | None) -> None:
    assert not asks_nothing(make_session(mode=name))


def test_usage_in_words() -> None:
    assert context_used(Usage(used=41_400, size=100_000)) == "41 %"
    assert context_used(Usage(used=41_400, size=0)) == "41,400 tokens"
    assert [is_nearly_full(Usage(used=used, size=100)) for used in (79, 80)] == [False, True]
    assert not is_nearly_full(Usage(used=80, size=0))
    sums = [(0.0, "USD"), (0.001, "USD"), (1234.5, "EUR"), (2.0, "CHF")]
    assert [money(Cost(amount=amount, currency=currency)) for amount, currency in sums] == [
        "$0.00",
        "<$0.01",
        "€1,234.50",
        "2.00 CHF",
    ]


async def test_a_value_is_chosen_by_keys_while_the_agent_works_and_what_was_set_stays_to_be_seen() -> None:
    store = options_scene()
    async with stage(store) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        await on.press("M")
        assert isinstance(on.app.screen, SessionOptionsScreen)
        assert "● Plan  Looks, and writes nothing" in text_of(on)
        await on.press("down", "enter", "tab", "up", "enter", "enter")
        asked = [call for call in on.commands.calls if call[0] == "set_option"]
        assert asked[0] == ("set_option", SESSION, "mode", "bypassPermissions")
        assert asked[1] == ("set_option", SESSION, "fast", True)
        store.change_option(SESSION, "mode", "bypassPermissions")
        store.flush()
        await on.pilot.pause()
        assert "Mode  setting it" in text_of(on)
        assert "● Bypass Permissions" in text_of(on)
        await on.press("escape")
        assert "Bypass Permissions" in text_of(on, TaskHeader), "it is called by what was asked for"


async def test_what_is_chosen_already_is_not_set_again_but_what_was_refused_is() -> None:
    async with stage(options_scene(options=(an_option("mode", "plan", *MODES, error="not on this account"),))) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        await on.press("M")
        assert "✗ not on this account" in text_of(on)
        await on.press("enter")
        assert ("set_option", SESSION, "mode", "plan") in on.commands.calls
    for status, times in {SessionStatus.READY: 0, SessionStatus.ERROR: 1}.items():
        session = a_session(status, options=(an_option("mode", "plan", *MODES),))
        async with stage(store_with(a_task(TaskStatus.IDLE), session)) as on:
            on.app.open_task(TASK)
            await on.pilot.pause()
            await on.press("M", "enter", "escape")
            asked = [call for call in on.commands.calls if call[0] == "set_option"]
            assert len(asked) == times, "what was asked for may be something else where no session was opened"


async def test_an_agent_that_offers_nothing_says_so_until_it_does() -> None:
    store = options_scene(options=())
    async with stage(store) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        await on.press("M", "enter", "tab")
        assert "offered nothing" in text_of(on)
        session = store.session(SESSION)
        assert session is not None
        offering = replace(session, options=(an_option("fast", False),), revision=session.revision + 1)
        told = SessionState(**{name: getattr(offering, name) for name in SessionState.__struct_fields__})
        store.apply(Topic(TopicKind.SESSION, SESSION), EventName.SESSION, told, 2)
        store.flush()
        await on.pilot.pause()
        await on.press("tab", "up", "enter")
        assert ("set_option", SESSION, "fast", True) in on.commands.calls


async def test_a_closed_session_has_nothing_to_choose() -> None:
    task = a_task(TaskStatus.IDLE)
    closed = tuple(replace(session, status=SessionStatus.CLOSED) for session in task.sessions)
    async with stage(store_with(replace(task, sessions=closed), a_session(SessionStatus.CLOSED))) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        await on.press("M")
        assert not isinstance(on.app.screen, SessionOptionsScreen)
