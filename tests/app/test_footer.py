"""What the footer and `?` promise holds where the focus is, and no key is silent."""

import pytest
from click.testing import CliRunner
from textual.widgets import Static, TextArea

from foundry_tui.app.options import Options
from foundry_tui.cli.commands.tasks import list_tasks
from foundry_tui.client.store import Store
from foundry_tui.contract.filter import EXAMPLES, FIELDS, parse
from foundry_tui.contract.status import TaskStatus
from foundry_tui.screens.confirm import ConfirmScreen
from foundry_tui.screens.help import HelpScreen
from foundry_tui.screens.new_task import NewTaskScreen
from foundry_tui.screens.tasks import TasksScreen
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.composer import Composer
from foundry_tui.widgets.filter_row import FilterInput
from foundry_tui.widgets.permission import PermissionRequest
from tests.app import task_scenes as scenes
from tests.app.factories import make_repo, make_task
from tests.app.harness import Stage, make_store, stage
from tests.app.looking import text_of
from tests.app.task_scenes import TASK

pytestmark = pytest.mark.anyio


def a_store() -> Store:
    return make_store([make_task(1, TaskStatus.IDLE, title="Auth")], [make_repo("shop")])


def footer(on: Stage) -> str:
    """The footer of the screen on top."""
    return " ".join(on.app.screen.query_one(ActionBar).render().plain.split())


def messages(on: Stage) -> list[str]:
    return [said.message for said in on.app._notifications]


# The footer.


async def test_in_the_composer_the_footer_has_its_keys_and_none_that_would_be_written() -> None:
    async with stage(scenes.permission_scene(), size=(160, 36)) as on:
        on.app.open_task(TASK)
        await on.quiet()
        before = footer(on)
        assert "i write" in before and "1 Allow" in before and "? keys" in before
        await on.press("i")
        assert footer(on) == "enter send esc back ^s steer ^j new line ↑ recall f1 keys ^p palette ^q quit"
        assert "esc, then the digit" in text_of(on, PermissionRequest)
        await on.press("escape")
        assert footer(on) == before
        assert "then the digit" not in text_of(on, PermissionRequest)


async def test_in_the_filter_the_footer_has_its_keys() -> None:
    async with stage(a_store(), size=(160, 36)) as on:
        await on.press("slash")
        assert footer(on) == "enter to the list esc back tab next ask f1 keys ^p palette ^q quit"
        await on.press("enter")
        assert "a archive" in footer(on)


async def test_while_the_title_is_edited_the_footer_has_its_keys() -> None:
    async with stage(scenes.status_scene(TaskStatus.IDLE), size=(160, 36)) as on:
        on.app.open_task(TASK)
        await on.press("f2")
        assert footer(on).startswith("enter save esc back")
        await on.press("enter")
        assert "i write" in footer(on)


async def test_under_a_dialog_no_footer_promises_anything() -> None:
    async with stage(a_store(), size=(120, 40)) as on:
        await on.press("n")
        shown = text_of(on)
        assert "a archive" not in shown
        assert "^s create" in shown and "f1 keys" in shown
        await on.press("escape")
        assert "a archive" in text_of(on)


async def test_keys_of_the_fields_can_be_given_others() -> None:
    options = Options(bell=False, terminal_notifications=False, keymap={"send": "ctrl+g", "newline": "enter"})
    async with stage(scenes.status_scene(TaskStatus.IDLE), options=options) as on:
        on.app.open_task(TASK)
        await on.press("i", "a", "enter", "b")
        assert on.app.screen.query_one(Composer).text == "a\nb"
        assert footer(on).startswith("^g send esc back enter new line")
        await on.press("ctrl+g")
        assert [call[2] for call in on.commands.calls if call[0] == "prompt"] == ["a\nb"]


async def test_send_in_the_footer_sends_by_mouse() -> None:
    async with stage(scenes.status_scene(TaskStatus.IDLE)) as on:
        on.app.open_task(TASK)
        await on.press("i", "a")
        await on.pilot.click(ActionBar, offset=(3, 0))
        await on.quiet()
        assert [call[2] for call in on.commands.calls if call[0] == "prompt"] == ["a"]


# Help.


@pytest.mark.parametrize(
    ("opens", "has", "lacks"),
    [
        (("slash",), "Keep the filter and go to the list.", "Group by state"),
        (("n",), "Create the task.", "Open the highlighted task."),
        (("x",), "Do nothing.", "Open the highlighted task."),
    ],
)
async def test_f1_tells_the_keys_of_where_one_is(opens: tuple[str, ...], has: str, lacks: str) -> None:
    async with stage(a_store(), size=(110, 60)) as on:
        await on.press(*opens, "f1")
        assert isinstance(on.app.screen, HelpScreen)
        page = " ".join(str(on.app.screen.query_one("#help-text", Static).render()).split())
        assert has in page and lacks not in page
        assert "Leave Foundry." in page
        await on.press("f1")
        assert not isinstance(on.app.screen, HelpScreen)


async def test_help_finds_keys_by_what_they_do() -> None:
    async with stage(a_store(), size=(110, 60)) as on:

        def page() -> str:
            return " ".join(str(on.app.screen.query_one("#help-text", Static).render()).split())

        await on.press("question_mark")
        whole = page()
        await on.press("slash", *"Copy branch")
        assert "Copy the branch name." in page() and "Open the highlighted" not in page() and "Marks in" not in page()
        await on.press("enter", "j")
        assert "Copy the branch name." in page()
        await on.press("slash", *"by the backend")
        assert "refused by the backend" in page() and "Copy the" not in page()
        await on.press("slash", *"qq?")
        assert "No key of this screen does that." in page()
        await on.press("escape")
        assert page() == whole and "end search" not in text_of(on, ActionBar)
        await on.press("slash", "enter", "escape")
        assert not isinstance(on.app.screen, HelpScreen)


async def test_each_field_of_the_filter_is_told_where_one_looks_for_it() -> None:
    command = CliRunner().invoke(list_tasks, ["--help"]).output
    async with stage(a_store(), size=(160, 60)) as on:
        await on.press("slash")
        written = on.app.screen.query_one(FilterInput).placeholder
        await on.press("escape", "question_mark")
        page = str(on.app.screen.query_one("#help-text", Static).render())
        for field in FIELDS:
            assert parse(EXAMPLES[field])[0].field == field
            assert all(f"{field}:" in told for told in (command, written, page)), field


async def test_help_scrolls_with_the_keys_of_lists() -> None:
    async with stage(a_store(), size=(80, 16)) as on:
        await on.press("question_mark")
        box = on.app.screen.query_one("#keys")
        for down, up in ((("G",), ("g", "g")), (("end",), ("home",)), (("greater_than_sign",), ("less_than_sign",))):
            await on.press(*down)
            assert box.scroll_y == box.max_scroll_y > 0
            await on.press(*up)
            assert box.scroll_y == 0
        await on.press("j", "space", "k")
        assert box.scroll_y == box.scrollable_content_region.height - 1


async def test_each_of_many_quick_keys_scrolls_the_help() -> None:
    async with stage(a_store(), size=(80, 16)) as on:
        await on.press("question_mark")
        await on.burst("jjjjk")
        assert on.app.screen.query_one("#keys").scroll_y == 3


# Leaving.


async def test_the_app_is_left_from_a_dialog_and_what_was_written_is_kept() -> None:
    async with stage(a_store()) as on:
        await on.burst("nfix the vault\x11")
        assert not on.app.is_running
        draft = on.commands.drafts.get("")
        assert draft is not None and draft.prompt == "fix the vault"


@pytest.mark.parametrize("opens", [(), ("n",), ("slash",), ("x",), ("question_mark",), ("enter",), ("ctrl+p",)])
async def test_ctrl_c_says_how_to_leave(opens: tuple[str, ...]) -> None:
    async with stage(a_store()) as on:
        await on.press(*opens, "ctrl+c")
        assert messages(on) == ["^q leaves Foundry; the backend goes on working."]
        assert on.app.is_running


async def test_ctrl_c_says_that_a_demo_ends_when_it_is_left() -> None:
    async with stage(a_store(), options=Options(lasting=False, bell=False, terminal_notifications=False)) as on:
        await on.press("ctrl+c")
        assert messages(on) == ["^q leaves Foundry; what you see here ends with it."]


async def test_ctrl_c_copies_what_is_selected() -> None:
    async with stage(a_store()) as on:
        await on.press("n", "a", "b", "shift+left", "ctrl+c")
        assert on.app.clipboard == "b"
        assert messages(on) == []


async def test_q_leads_back_and_from_the_list_out() -> None:
    async with stage(a_store()) as on:
        await on.press("enter", "q")
        assert isinstance(on.app.screen, TasksScreen)
        await on.press("q")
        assert not on.app.is_running


# No key is silent.


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("z", "z does nothing here. ? or f1 shows what does."),
        ("u", "Not now: there is nothing to undo."),
        ("tab", "Not now: no task waits for you."),
        ("f5", "f5 does nothing here. ? or f1 shows what does."),
    ],
)
async def test_a_key_without_effect_says_why(key: str, said: str) -> None:
    async with stage(a_store()) as on:
        await on.press(key, key)
        assert messages(on) == [said], "once, however often it is pressed"


async def test_escape_once_too_often_says_nothing() -> None:
    async with stage(a_store()) as on:
        await on.press("enter", "escape", "escape", "escape")
        assert isinstance(on.app.screen, TasksScreen)
        assert messages(on) == []


async def test_what_came_of_a_key_stands_where_what_came_of_the_last_stood() -> None:
    async with stage(a_store()) as on:
        await on.press("z", "left_curly_bracket")
        assert messages(on) == ["{ does nothing here. ? or f1 shows what does."]
        await on.press("Y", "Y")
        assert messages(on) == [f"Copied {TASK}"]


@pytest.mark.parametrize(
    ("key", "said"), [("1", "the agent asks nothing"), ("s", "no turn is running"), ("v", "are not open")]
)
async def test_a_key_without_effect_says_why_on_a_task(key: str, said: str) -> None:
    async with stage(scenes.status_scene(TaskStatus.IDLE)) as on:
        on.app.open_task(TASK)
        await on.press(key)
        assert said in messages(on)[0]


async def test_while_one_writes_no_key_complains() -> None:
    async with stage(a_store()) as on:
        await on.press("n", "down", "ctrl+home", "f5", "escape", "slash", "f5", "ctrl+g")
        assert messages(on) == []


async def test_the_arrows_go_between_the_answers_of_a_question() -> None:
    async with stage(a_store()) as on:
        await on.press("x")
        assert isinstance(on.app.screen, ConfirmScreen)
        await on.press("right", "enter")
        assert [call[0] for call in on.commands.calls] == ["kill"]


async def test_ctrl_j_breaks_lines_in_the_prompt_too() -> None:
    async with stage(a_store()) as on:
        await on.burst("none\ntwo\n\nthree")
        assert isinstance(on.app.screen, NewTaskScreen)
        assert on.app.screen.query_one(TextArea).text == "one\ntwo\n\nthree"
