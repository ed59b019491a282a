"""Keys that arrive all at once mean what they mean when they are typed slowly."""

import anyio
import pytest
from textual import events
from textual.command import CommandPalette
from textual.screen import ModalScreen
from textual.widgets import Input, TextArea

from foundry_tui.client.store import Store
from foundry_tui.contract.status import TaskStatus
from foundry_tui.screens.new_task import NewTaskScreen
from foundry_tui.screens.task import TaskScreen
from foundry_tui.screens.tasks import TasksScreen
from foundry_tui.widgets.composer import Composer
from tests.app import task_scenes
from tests.app.factories import make_repo, make_task
from tests.app.harness import Stage, make_app, make_store, stage
from tests.app.task_scenes import SESSION, TASK

pytestmark = pytest.mark.anyio

COMMANDS = "axsra/n?q :vg"
"""A text of keys that are commands where nothing is written."""
PASTED = "\x1b[200~{}\x1b[201~"
"""How a terminal sends what was pasted, if it was asked to tell."""


def a_store() -> Store:
    tasks = [make_task(number, TaskStatus.IDLE, title=f"Task {number}") for number in range(3)]
    return make_store(tasks, [make_repo("shop")])


def filter_text(on: Stage) -> str:
    return on.app.screen.query_one("#filter", Input).value


def prompt_text(on: Stage) -> str:
    assert isinstance(on.app.screen, NewTaskScreen)
    return on.app.screen.query_one(TextArea).text


def composed(on: Stage) -> str:
    return on.app.screen.query_one(Composer).text


async def test_what_follows_a_slash_goes_into_the_filter() -> None:
    async with stage(a_store()) as on:
        await on.burst(f"/{COMMANDS}")
        assert filter_text(on) == COMMANDS
        assert not on.commands.calls
        assert isinstance(on.app.screen, TasksScreen)


async def test_a_filter_is_typed_left_and_acted_on_at_once() -> None:
    async with stage(a_store()) as on:
        await on.burst("/task 1\rm")
        assert [call[0] for call in on.commands.calls] == ["mark"]
        assert filter_text(on) == "task 1"
        await on.burst("\x1b[A/\x15task 2\r\r")
        assert isinstance(on.app.screen, TaskScreen)
        assert on.app.screen.record is not None
        assert on.app.screen.record.title == "Task 2"


async def test_what_follows_n_goes_into_the_prompt_however_late_the_dialog_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, stands = anyio.Event(), anyio.Event()
    mount = NewTaskScreen.on_mount

    async def late(screen: NewTaskScreen) -> None:
        asked.set()
        await stands.wait()
        mount(screen)

    monkeypatch.setattr(NewTaskScreen, "on_mount", late)
    async with stage(a_store()) as on:
        on.type(f"n{COMMANDS}")
        await asked.wait()
        on.type(" and more")
        stands.set()
        await on.quiet()
        assert prompt_text(on) == f"{COMMANDS} and more"
        assert not on.commands.calls


@pytest.mark.parametrize("text", [COMMANDS, PASTED.format(COMMANDS), "日本語 ñ"])
async def test_what_follows_n_goes_into_the_prompt(text: str) -> None:
    async with stage(a_store()) as on:
        await on.burst(f"n{text}")
        assert prompt_text(on) == text.removeprefix("\x1b[200~").removesuffix("\x1b[201~")
        assert not on.commands.calls


async def test_a_task_is_written_and_created_at_once() -> None:
    async with stage(a_store()) as on:
        await on.burst("nfirst\x14\x13second\x13")
        assert [request.prompt for request in on.commands.created] == ["first", "second"]


async def test_what_follows_i_goes_into_the_composer() -> None:
    async with stage(task_scenes.status_scene(TaskStatus.RUNNING)) as on:
        await on.burst(f"\ri{COMMANDS}")
        assert composed(on) == COMMANDS
        assert [call[0] for call in on.commands.calls if call[0] != "mark"] == []


async def test_a_prompt_is_sent_and_the_next_begun_at_once() -> None:
    async with stage(task_scenes.status_scene(TaskStatus.IDLE)) as on:
        on.app.open_task(TASK)
        await on.burst("iB1\rW1\rthe next")
        assert [call for call in on.commands.calls if call[0] == "prompt"] == [
            ("prompt", SESSION, "B1"),
            ("prompt", SESSION, "W1"),
        ]
        assert composed(on) == "the next"


async def test_lines_are_broken_where_they_were_typed() -> None:
    async with stage(task_scenes.status_scene(TaskStatus.IDLE)) as on:
        on.app.open_task(TASK)
        await on.burst(f"ione\ntwo\n{PASTED.format('three')}\n\x1b[Dx\x7f")
        assert composed(on) == "one\ntwo\nthree\n"


async def test_a_title_is_edited_at_once() -> None:
    async with stage(task_scenes.status_scene(TaskStatus.IDLE)) as on:
        on.app.open_task(TASK)
        await on.burst("\x1bOQ\x01\x0bnew x title\r")
        assert ("rename", TASK, "new x title") in on.commands.calls


async def test_the_palette_takes_what_follows() -> None:
    async with stage(a_store()) as on:
        await on.burst(f"\x10{COMMANDS}")
        assert isinstance(on.app.screen, CommandPalette)
        assert on.app.screen.query_one(Input).value == COMMANDS


@pytest.mark.parametrize("before", ["nfix: what?", "x", "?", "H", "\rM"])
async def test_the_palette_takes_what_follows_over_any_dialog_and_leads_back_to_it(before: str) -> None:
    async with stage(task_scenes.status_scene(TaskStatus.IDLE)) as on:
        await on.burst(before)
        dialog, focused = on.app.screen, on.app.focused
        assert isinstance(dialog, ModalScreen)
        await on.burst(f"\x10{COMMANDS}")
        assert isinstance(on.app.screen, CommandPalette)
        assert on.app.screen.query_one(Input).value == COMMANDS
        await on.burst("\x1b[27u")
        assert (on.app.screen, on.app.focused) == (dialog, focused)
        if isinstance(dialog, NewTaskScreen):
            assert prompt_text(on) == "fix: what?"


async def test_keys_typed_before_the_first_screen_stands_count() -> None:
    app = make_app(a_store())
    app.post_message(events.Key("n", "n"))
    app.post_message(events.Key("x", "x"))
    async with app.run_test() as pilot:
        while app.typing:
            await pilot.pause()
        assert isinstance(app.screen, NewTaskScreen)
        assert app.screen.query_one(TextArea).text == "x"


async def test_closing_and_opening_screens_keeps_the_order() -> None:
    async with stage(a_store()) as on:
        await on.burst("n" + "one" + "\x1b[27u" + "n" + " two" + "\x1b[27u" + "j\r" + "\x1b[27u" + "?" + "q" + "/1")
        assert isinstance(on.app.screen, TasksScreen)
        assert filter_text(on) == "1"
        await on.burst("\x1b[27un")
        assert prompt_text(on) == "one two"


@pytest.mark.parametrize("drawn", [True, False], ids=["drawn ahead", "not drawn yet"])
async def test_a_command_that_follows_the_creation_is_no_text(drawn: bool) -> None:
    async with stage(a_store()) as on:
        await on.burst("nfix it")
        if drawn:
            await on.app.workers.wait_for_complete()
        await on.burst("\x13Hh")
        assert isinstance(on.app.screen, TaskScreen)
        assert on.app.screen.pane == "history"
        assert composed(on) == ""
        assert [call[0] for call in on.commands.calls] == ["create"]
