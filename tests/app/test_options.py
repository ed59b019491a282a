"""What a session's agent offers and has used: in the header as the width allows, and chosen in a dialog."""

from typing import Any

import pytest

from foundry_tui.client.store import Store
from foundry_tui.contract.records import (
    Cost,
    OptionChoice,
    OptionType,
    SessionOption,
    SessionStatus,
    Usage,
)
from foundry_tui.contract.status import TaskStatus
from foundry_tui.view.session_facts import asks_nothing, context_used, is_nearly_full, money
from foundry_tui.widgets.task_header import TaskHeader
from tests.app.factories import make_session
from tests.app.harness import stage
from tests.app.looking import text_of
from tests.app.task_scenes import TASK, a_session, a_task, store_with

pytestmark = pytest.mark.anyio

MODES = (
    OptionChoice(value="default", name="Ask"),
    OptionChoice(value="plan", name="Plan", description="Looks, and writes nothing"),
    OptionChoice(value="bypassPermissions", name="Bypass Permissions"),
)


def option(option_id: str, value: str | bool, *choices: OptionChoice, **fields: Any) -> SessionOption:
    type_ = OptionType.SELECT if choices else OptionType.BOOLEAN
    return SessionOption(
        option_id=option_id,
        name=option_id.title(),
        category=option_id,
        type=type_,
        value=value,
        choices=choices,
        **fields,
    )


def scene(**changes: Any) -> Store:
    """A session that works, whose agent offers three modes and a switch."""
    told = {
        "options": (option("mode", "plan", *MODES), option("fast", False)),
        "model": "Opus",
        "mode": "Plan",
        "usage": Usage(used=41_000, size=100_000, cost=Cost(amount=0.12, currency="USD")),
    }
    return store_with(a_task(TaskStatus.RUNNING), a_session(SessionStatus.RUNNING, **{**told, **changes}))


@pytest.mark.parametrize(
    ("width", "facts"),
    [
        (160, "claude · Opus · Plan · 41 % · $0.12 · demo · 5m"),
        (60, "claude · Opus · Plan · 41 % · demo · 5m"),
        (40, "claude · Plan · 41 % · 5m"),
    ],
)
async def test_the_header_has_model_mode_and_usage_as_the_width_allows(width: int, facts: str) -> None:
    async with stage(scene(), size=(width, 30)) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        lines = text_of(on, TaskHeader).splitlines()
        assert lines[1].strip().endswith(facts)


async def test_a_mode_that_asks_nothing_and_a_context_that_fills_are_yellow() -> None:
    usage = Usage(used=80_000, size=100_000)
    async with stage(scene(mode="Bypass Permissions", usage=usage), size=(160, 30)) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        line = on.app.screen.query_one(TaskHeader).render_line(1)
        colours = {part.text: part.style.color for part in line if part.style is not None}
        assert colours["Bypass Permissions"] == colours["80 %"] != colours["Opus"]


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
