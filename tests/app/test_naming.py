"""Files after `@` and commands after `/`: offered while one types, taken, sent with the prompt, and else text."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.widgets import OptionList

from foundry_tui.client.store import Store
from foundry_tui.contract.attachments import FileAttachment
from foundry_tui.contract.records import SessionCommand
from foundry_tui.contract.replace import replace
from foundry_tui.contract.status import TaskStatus
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.choices import ChoiceList
from foundry_tui.widgets.composer import Composer
from foundry_tui.widgets.prompt_field import PromptField
from tests.app import task_scenes as scenes
from tests.app.factories import make_repo
from tests.app.harness import Stage, make_store, stage
from tests.app.looking import text_of
from tests.app.task_scenes import TASK
from tests.git import make_repository

pytestmark = pytest.mark.anyio

PASTE = "\x1b[200~{}\x1b[201~"


@asynccontextmanager
async def writing(store: Store | None = None, size: tuple[int, int] = (100, 30)) -> AsyncIterator[Stage]:
    """The app with somebody writing to an agent that has commands, in a sandbox that has files."""
    async with stage(store or scenes.naming_scene(), size=size) as on:
        on.commands.files[TASK] = scenes.FILES
        on.app.open_task(TASK)
        await on.press("i")
        yield on


async def settle(on: Stage) -> None:
    """Wait until files are listed and found."""
    await on.app.workers.wait_for_complete(list(on.app.workers))
    await on.quiet()


async def type_(on: Stage, *keys: str) -> None:
    await on.press(*keys)
    await settle(on)


def offered(on: Stage) -> list[str]:
    """The lines of the list; nothing while it is closed."""
    choices = on.app.screen.query_one(ChoiceList)
    return [line.strip() for line in text_of(on, ChoiceList).splitlines()] if choices.display else []


def written(on: Stage) -> str:
    return on.app.screen.query_one(Composer).text


def footer(on: Stage) -> str:
    return " ".join(on.app.screen.query_one(ActionBar).render().plain.split())


def sent(on: Stage) -> list[tuple[object, ...]]:
    return [call[2:] for call in on.commands.calls if call[0] in ("prompt", "steer")]


async def test_a_slash_at_the_beginning_offers_the_commands_and_one_is_taken() -> None:
    async with writing() as on:
        await on.press("slash")
        assert offered(on)[0] == "/review  [what to look at]  Review the changes of this branch"
        assert [line.split()[0] for line in offered(on)] == ["/review", "/compact", "/test:flaky", "/init"]
        assert footer(on).startswith("enter take esc close list")
        await on.press("t")
        assert [line.split()[0] for line in offered(on)] == ["/test:flaky", "/init", "/compact"]
        await on.press("down", "enter")
        assert written(on) == "/init " and not offered(on) and not sent(on)
        await on.press(*"now", "enter")
        assert sent(on) == [("/init now",)]


async def test_a_command_that_is_written_out_is_sent_by_one_enter() -> None:
    async with writing() as on:
        await on.press("slash", *"compact")
        assert offered(on)
        await on.press("enter")
        assert sent(on) == [("/compact",)] and not offered(on)


async def test_what_a_choice_leaves_behind_it_goes_with_what_is_sent() -> None:
    async with writing() as on:
        await on.press("slash", *"in", "enter", "enter")
        assert sent(on) == [("/init",)] and written(on) == ""


@pytest.mark.parametrize("typed", ["fix /", "\n/", "/x y", "// "])
async def test_elsewhere_a_slash_is_text(typed: str) -> None:
    async with writing() as on:
        await on.press(*(key if key != "\n" else "ctrl+j" for key in typed))
        assert not offered(on)


async def test_without_commands_a_slash_is_text() -> None:
    async with writing(scenes.status_scene(TaskStatus.IDLE)) as on:
        await on.press("slash", *"etc", "enter")
        assert sent(on) == [("/etc",)]


async def test_escape_closes_the_list_and_keeps_the_text() -> None:
    async with writing() as on:
        await on.press("slash", "r", "escape")
        assert written(on) == "/r" and not offered(on)
        await on.press("e")
        assert not offered(on), "one has said no to it"
        await on.press(*["backspace"] * 3, "slash")
        assert offered(on)
        await on.press("escape", "escape")
        assert not isinstance(on.app.focused, Composer), "the next escape leaves"


@pytest.mark.parametrize("text", ["/re", "@log"])
async def test_what_is_pasted_is_text(text: str) -> None:
    async with writing() as on:
        await on.burst(PASTE.format(text))
        await type_(on, "v")
        assert written(on) == f"{text}v" and not offered(on)
        await on.press("enter")
        assert sent(on) == [(f"{text}v",)]


async def test_files_are_asked_for_once_an_at_is_typed_and_found_by_letters() -> None:
    async with writing() as on:
        await type_(on, *"see ")
        assert not [call for call in on.commands.calls if call[0] == "task_files"]
        await type_(on, "@")
        assert [call[1:] for call in on.commands.calls if call[0] == "task_files"] == [(TASK, None), (TASK, 0)]
        assert len(offered(on)) == 8 and offered(on)[0] == "README.md"
        await type_(on, *"login")
        assert offered(on) == ["src/auth/login.py", "src/views/login_form.html", "tests/auth/test_login.py"]
        await on.press("down", "tab")
        assert written(on) == "see @src/views/login_form.html "
        await type_(on, *"and @red")
        await on.press("enter", "enter")
        text = "see @src/views/login_form.html and @src/auth/redirects.py"
        files = ("src/views/login_form.html", "src/auth/redirects.py")
        assert sent(on) == [(text, *(FileAttachment(path=path) for path in files))]
        assert len([call for call in on.commands.calls if call[0] == "task_files"]) == 3, "once for each beginning"


async def test_names_that_are_no_plain_text_are_shown_harmless_and_sent_right() -> None:
    async with writing() as on:
        await type_(on, *"@notes")
        await type_(on, "enter", *"@caf")
        assert all(line.isprintable() for line in offered(on))
        await on.press("enter")
        await type_(on, *"@caf")
        await on.press("down", "enter")
        assert written(on) == '@"src/auth/release notes.md" @"tests/data/caf\\302\\233\\n.txt" @"caf\\351.txt" '
        await on.press("enter")
        paths = ("src/auth/release notes.md", "tests/data/caf\x9b\n.txt", '"caf\\351.txt"')
        assert sent(on)[0][1:] == tuple(FileAttachment(path=path) for path in paths)


async def test_a_file_written_by_hand_is_sent_too_and_what_names_nothing_is_text() -> None:
    async with writing() as on:
        await type_(on, *"@README.md, me@example.org, @nobody")
        assert not offered(on)
        await on.press("enter")
        assert sent(on)[0][1:] == (FileAttachment(path="README.md"),)


async def test_the_list_is_clicked_and_scrolled() -> None:
    async with writing() as on:
        await type_(on, "@")
        choices = on.app.screen.query_one(ChoiceList)
        for _ in range(9):
            await on.press("down")
        assert offered(on)[-1] == "src/views/login_form.html"
        await on.pilot.click(ChoiceList, offset=(4, choices.size.height - 1))
        await on.quiet()
        assert written(on) == "@src/views/login_form.html " and isinstance(on.app.focused, Composer)


@pytest.mark.parametrize("size", [(120, 36), (60, 20)])
async def test_the_list_covers_nothing_that_is_written(size: tuple[int, int]) -> None:
    async with writing(size=size) as on:
        await on.press(*"one", "ctrl+j", *"two", "ctrl+j")
        await type_(on, "@")
        composer, choices = (on.app.screen.query_one(kind).region for kind in (Composer, ChoiceList))
        assert not composer.overlaps(choices) and on.app.screen.region.contains_region(choices)
        await on.press("ctrl+j")
        assert not offered(on)


async def test_a_list_of_one_stands_above_and_leaves_the_footer() -> None:
    async with writing() as on:
        await on.press("slash", *"ini")
        assert len(offered(on)) == 1
        bottom, composer = (on.app.screen.query_one(kind).region for kind in (ActionBar, Composer))
        choices = on.app.screen.query_one(ChoiceList).region
        assert not choices.overlaps(bottom) and choices.bottom == composer.y


async def test_closed_it_leaves_the_arrows_to_the_text() -> None:
    async with writing() as on:
        await type_(on, *"ab @log", "escape", "ctrl+j", *"c", "up", "end", "x")
        assert written(on) == "ab @logx\nc"


async def test_commands_are_in_the_palette_and_begin_a_prompt() -> None:
    async with writing() as on:
        await type_(on, *"the tests", "escape", "ctrl+p", *"/revi")
        await on.press("enter")
        await on.quiet()
        assert written(on) == "/review the tests" and isinstance(on.app.focused, Composer) and not offered(on)


async def test_the_palette_searches_what_agents_say_of_their_commands_however_long_it_is() -> None:
    commands = (*scenes.COMMANDS, SessionCommand(name="scan", description="h i s t o r y " * 60))
    store = scenes.store_with(scenes.a_task(), replace(scenes.a_session(), commands=commands))
    async with writing(store) as on:
        await type_(on, "escape", "ctrl+p", *"history")
        await on.pilot.pause(0.3)
        options = on.app.screen.query_one(OptionList)
        found = [str(options.get_option_at_index(place).prompt) for place in range(options.option_count)]
        assert found[0].startswith("History")
        assert not any(each.startswith("/scan") for each in found), "none of its words begins so"


async def test_the_prompt_of_a_new_task_names_files_of_its_repository() -> None:
    async with stage(make_store(repos=[make_repo("shop")]), size=(100, 34)) as on:
        on.commands.files["repo-shop"] = scenes.FILES
        await on.press("n")
        field = on.app.screen.query_one(PromptField)
        assert on.app.focused is field
        await type_(on, "slash")
        assert not offered(on), "there is no agent yet that has commands"
        await type_(on, *"fix @log")
        assert offered(on)[0] == "src/auth/login.py"
        assert not field.region.overlaps(on.app.screen.query_one(ChoiceList).region)
        await on.press("enter")
        assert field.text == "/fix @src/auth/login.py "
        await on.press("enter", *"now", "ctrl+s")
        request = on.commands.created[-1]
        assert request.prompt == "/fix @src/auth/login.py \nnow"
        assert request.attachments == (FileAttachment(path="src/auth/login.py"),)


async def test_files_of_a_folder_that_is_new_to_the_backend_are_named_too(tmp_path: Path) -> None:
    async with stage(make_store(), size=(100, 34)) as on:
        on.commands.files["repo-shop"] = scenes.FILES
        on.app.open_new_task(str(make_repository(tmp_path / "shop")))
        await on.quiet()
        await type_(on, *"@readme")
        assert offered(on) == ["README.md"]
        await on.press("escape", "escape")
        assert on.app.screen_stack[1:] == [], "the first closes the list, the second the dialog"


def test_the_list_is_closed_before_any_style_is_read() -> None:
    assert not ChoiceList("#field", lambda: None).display, "else the footer tells of its keys until something changes"
