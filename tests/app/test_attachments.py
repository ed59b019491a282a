"""Files are attached where one writes: by pasting their paths, kept with the draft, read when it is sent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.widgets import Input

from foundry_tui.client.store import Store
from foundry_tui.contract.attachments import FileAttachment, ImageAttachment, TextAttachment
from foundry_tui.contract.requests import CreateTask
from foundry_tui.screens.task_drafts import TaskDrafts
from foundry_tui.view.pasted_paths import pasted_paths
from foundry_tui.widgets.bars import ActionBar
from foundry_tui.widgets.chips import Chips
from foundry_tui.widgets.composer import Composer
from foundry_tui.widgets.prompt_field import PromptField
from foundry_tui.widgets.prompt_queue import PromptQueue
from foundry_tui.widgets.transcript import Transcript
from tests.app import task_scenes as scenes
from tests.app.harness import Stage, stage
from tests.app.looking import text_of, words_of
from tests.app.task_scenes import SESSION, TASK
from tests.git import make_repository

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n"


@asynccontextmanager
async def opened(store: Store) -> AsyncIterator[Stage]:
    async with stage(store, size=(100, 30)) as on:
        on.app.open_task(TASK)
        await on.press("i")
        yield on


async def paste(on: Stage, text: str) -> None:
    on.type(f"\x1b[200~{text}\x1b[201~")
    await on.quiet()
    await settle(on)


async def settle(on: Stage) -> None:
    await on.app.workers.wait_for_complete()
    await on.quiet()


def attached(on: Stage) -> tuple[str, ...]:
    return on.app.screen.query_one(Chips).files


def prompts(on: Stage) -> list[tuple[object, ...]]:
    return [call for call in on.commands.calls if call[0] in ("prompt", "steer")]


async def test_a_pasted_path_is_attached_and_goes_with_the_prompt(tmp_path: Path) -> None:
    shot, log = tmp_path / "a shot.png", tmp_path / "server.log"
    shot.write_bytes(PNG)
    log.write_text("it failed")
    async with opened(scenes.attached_scene()) as on:
        await paste(on, f"'{shot}' {log}")
        assert attached(on) == (str(shot), str(log))
        assert words_of(on, Chips) == "+ a shot.png + server.log"
        assert "take file off" in words_of(on, ActionBar)
        await on.press("enter")
        assert prompts(on) == [], "there is nothing to do with it yet"
        await on.press(*"see", "enter")
        await settle(on)
        image = ImageAttachment(mime="image/png", data=PNG, name="a shot.png")
        text = TextAttachment(name="server.log", text="it failed")
        assert prompts(on) == [("prompt", SESSION, "see", image, text)]
        assert (attached(on), on.app.screen.query_one(Composer).text) == ((), "")
        assert not on.app.screen.query_one(Chips).display


async def test_the_paths_are_kept_with_the_draft_and_taken_off_one_by_one(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one.txt", "two.txt")]
    for file in files:
        file.write_text("x")
    async with opened(scenes.attached_scene()) as on:
        await on.press(*"hm")
        await paste(on, "\n".join(map(str, files)))
        await on.press("backspace")
        assert len(attached(on)) == 2, "there was something to delete before the cursor"
        await on.press("escape", "escape")
        on.app.open_task(TASK)
        await on.press("i")
        assert (attached(on), on.app.screen.query_one(Composer).text) == (tuple(map(str, files)), "h")
        await on.press("home", "backspace")
        assert attached(on) == (str(files[0]),)
        draft = on.commands.drafts.get(f"session:{SESSION}")
        assert draft is not None
        assert draft.attachments == (FileAttachment(path=str(files[0])),)


async def test_what_cannot_be_sent_is_said_and_stays(tmp_path: Path) -> None:
    shot = tmp_path / "shot.png"
    shot.write_bytes(PNG)
    async with opened(scenes.attached_scene(image=False)) as on:
        await paste(on, shot.as_uri())
        await on.press(*"see", "enter")
        await settle(on)
        assert "takes no images" in [note.message for note in on.app._notifications][-1]
        shot.unlink()
        await on.press("enter")
        await settle(on)
        assert "cannot be read" in [note.message for note in on.app._notifications][-1]
        assert prompts(on) == []
        assert (attached(on), on.app.screen.query_one(Composer).text) == ((str(shot),), "see")


async def test_a_text_that_is_no_file_is_pasted_as_it_is() -> None:
    async with opened(scenes.attached_scene()) as on:
        for text in ("/nowhere/at/all", "/login is broken"):
            await paste(on, text)
        assert on.app.screen.query_one(Composer).text == "/nowhere/at/all/login is broken"
        assert attached(on) == ()


async def test_what_was_said_and_what_waits_tells_what_is_attached() -> None:
    async with opened(scenes.attached_scene()) as on:
        said = words_of(on, Transcript)
        assert "attached: image redirect.png (214 kB), text server.log (4.1 kB), file src/shop/routes.py" in said
        assert "+2 images, 1 text queued" in " ".join(text_of(on, PromptQueue).split())


async def test_a_new_task_has_its_files_too(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo")
    note = repository / "untracked.txt"
    note.write_text("look")
    async with stage(scenes.attached_scene(), size=(100, 40)) as on:
        await on.press("n")
        on.app.screen.query_one("#repo", Input).value = str(repository)
        on.app.screen.query_one(PromptField).focus()
        await paste(on, str(note))
        await on.press(*"go", "ctrl+s")
        await settle(on)
        (created,) = [call[1] for call in on.commands.calls if call[0] == "create"]
        assert isinstance(created, CreateTask)
        assert created.attachments == (TextAttachment(name="untracked.txt", text="look"),)


async def test_a_refused_task_is_written_anew_with_its_files(tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("look")
    async with stage(scenes.refused_scene(), size=(100, 40)) as on:
        creation = on.store.creations[TASK]
        TaskDrafts(on.commands.drafts, None).keep_files(TASK, [str(note)])
        on.app.open_new_task(draft=creation.request)
        await settle(on)
        assert attached(on) == (str(note),)


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("/a/b.png", ("/a/b.png",)),
        ("/a/b\\ c.png ", ("/a/b c.png",)),
        ("'/a/b c.png' '/d'", ("/a/b c.png", "/d")),
        ("/a/b c.png", ("/a/b c.png",)),
        ("~/b.png\n/c.png\n", ("~/b.png", "/c.png")),
        ("file:///a/b%20c.png", ("/a/b c.png",)),
        ("file://elsewhere/a", ()),
        ("a/b.png", ()),
        ("/a and then\nmore", ()),
        ("'", ()),
        ("/" * 9_000, ()),
    ],
)
async def test_paths_are_read_as_terminals_write_them(text: str, paths: tuple[str, ...]) -> None:
    assert pasted_paths(text) == paths
