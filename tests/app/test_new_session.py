"""The new-session dialog: enter takes the defaults, what is written is judged, kept and sent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.widgets import Input

from foundry_tui.app.options import Options
from foundry_tui.cli.startup import app as startup
from foundry_tui.client.commands import CommandProblem
from foundry_tui.contract.agents import AgentCommand
from foundry_tui.contract.status import TaskStatus
from foundry_tui.screens.new_session import NewSessionScreen
from foundry_tui.screens.task import TaskScreen
from foundry_tui.settings.config import Settings
from foundry_tui.settings.sections import Backend
from foundry_tui.view.new_session import LONGEST, session_remarks
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.completion import Completion
from tests.app.harness import Call, Stage, stage
from tests.app.looking import text_of
from tests.app.task_scenes import TASK, status_scene

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened(status: TaskStatus = TaskStatus.IDLE, options: Options | None = None) -> AsyncIterator[Stage]:
    """The app on the screen of a task."""
    async with stage(status_scene(status), options=options) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        yield on


def asked(on: Stage) -> list[Call]:
    return [call[1:] for call in on.commands.calls if call[0] == "add_session"]


async def test_enter_alone_takes_the_defaults_that_it_shows() -> None:
    async with opened() as on:
        await on.press("t")
        assert "claude 2" in text_of(on)
        await on.press("enter")
        assert asked(on) == [(TASK, None, None)]
        assert isinstance(on.app.screen, TaskScreen)


@pytest.mark.parametrize("send", ["ctrl+s", "ctrl+enter"])
async def test_name_and_agent_are_sent(send: str) -> None:
    async with opened() as on:
        await on.press("t", *"review", "tab", *"codex", send)
        assert asked(on) == [(TASK, "review", "codex")]


async def test_the_default_name_follows_the_agent() -> None:
    async with opened() as on:
        await on.press("t", "tab", *"gemini")
        assert on.app.screen.query_one("#name", Input).placeholder == "gemini 2"
        assert "no task has had this agent yet" in text_of(on)


async def test_an_agent_of_the_config_is_known_and_offered() -> None:
    settings = Settings(agents={"my-own": AgentCommand(command=("my-own",))})
    async with opened(options=startup.options(settings, None)) as on:
        await on.press("t", "tab", *"my-o")
        assert "my-own" in text_of(on)
        await on.press("down", "enter")
        assert on.app.screen.query_one("#agent", Input).value == "my-own"
        assert "no task has had this agent yet" not in text_of(on)
    elsewhere = Settings(agents=settings.agents, backend=Backend(address="127.0.0.1:1"))
    assert startup.options(elsewhere, None).agents == ()


async def test_what_is_wrong_is_said_beside_its_field_and_not_sent() -> None:
    async with opened() as on:
        await on.press("t")
        on.app.screen.query_one("#name", Input).value = "n" * (LONGEST + 1)
        await on.pilot.pause()
        assert "1 too long" in text_of(on)
        await on.press("ctrl+s")
        assert asked(on) == []
        assert isinstance(on.app.screen, NewSessionScreen)


async def test_what_the_backend_refused_is_in_the_dialog_again() -> None:
    async with opened() as on:
        await on.press("t", *"review", "tab", *"claude", "enter")
        on.commands.fail(CommandProblem(action="add_session", message="too many sessions", task_id=TASK))
        await on.pilot.pause()
        await on.press("t")
        assert on.app.screen.query_one("#name", Input).value == "review"
        assert on.app.screen.query_one("#agent", Input).value == "claude"


async def test_escape_keeps_what_was_written_until_it_is_sent() -> None:
    async with opened() as on:
        await on.press("t", *"review")
        kept = on.commands.drafts.get(f"new_session:{TASK}")
        assert kept is not None and kept.title == "review", "kept as it is written"
        await on.press("escape")
        assert isinstance(on.app.screen, TaskScreen)
        await on.press("t")
        assert on.app.screen.query_one("#name", Input).value == "review"
        await on.press("enter", "t")
        assert on.app.screen.query_one("#name", Input).value == ""
        await on.press(*"x", "backspace", "escape")
        assert on.commands.drafts.get(f"new_session:{TASK}") is None


async def test_the_footer_opens_and_closes_by_mouse() -> None:
    async with opened() as on:
        await on.press("t")
        bar = on.app.screen.query_one(ActionBar)
        await on.pilot.click(ActionBar, offset=(bar.render().plain.index("close") + 1, 0))
        await on.pilot.pause()
        assert isinstance(on.app.screen, TaskScreen)


@pytest.mark.parametrize("status", [TaskStatus.ARCHIVED, TaskStatus.KILLED])
async def test_an_ended_task_gets_none_and_says_why(status: TaskStatus) -> None:
    async with opened(status) as on:
        await on.press("t")
        assert isinstance(on.app.screen, TaskScreen)
        assert [str(note.message) for note in on.app._notifications] == ["Not now: the task has ended."]


def test_line_ends_are_no_part_of_a_name() -> None:
    assert session_remarks("a\u2028b", "", ())["name"].bad
    assert not session_remarks("レビュー", "claude", ("claude",))["name"].bad


async def test_an_agent_is_taken_from_its_list_by_mouse() -> None:
    async with opened() as on:
        await on.press("t", "tab", *"cod")
        await on.pilot.click(Completion, offset=(2, 1))
        await on.quiet()
        agent = on.app.screen.query_one("#agent", Input)
        assert agent.value == "opencode" and agent.has_focus and not on.app.screen.query_one(Completion).display
