"""A task's folder in the editor that a person is used to: in the terminal, beside it, or why not."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from foundry_tui.contract.records import Sandbox
from foundry_tui.contract.status import TaskStatus
from foundry_tui.process.editors import editor_command, is_windowed, why_no_editor
from foundry_tui.screens.editor import EditorError, open_folder
from tests.app.factories import NOW
from tests.app.harness import Stage, stage
from tests.app.task_scenes import TASK, a_session, a_task, store_with

pytestmark = pytest.mark.anyio

WHAT_IT_HAS = """
import os, sys
nothing = os.stat(os.devnull)
streams = [os.path.samestat(os.fstat(stream), nothing) for stream in range(3)]
with open(sys.argv[1], "w") as told:
    print(os.getpid(), os.getppid(), os.getsid(0), *streams, file=told)
"""
"""An editor's process, its parent, its session, and which of its streams lead nowhere."""


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """A pipe into which the editors of these tests say where they were opened."""
    pipe = tmp_path / "told"
    os.mkfifo(pipe)
    return pipe


def an_editor(told: Path, name: str) -> str:
    """An editor of this name that says what it was given."""
    script = told.with_name(name)
    script.write_text(f'#!/bin/sh\necho "$PWD $1" > {told}\n')
    script.chmod(0o755)
    return str(script)


@asynccontextmanager
async def opened(folder: str, **changes: Any) -> AsyncIterator[Stage]:
    """The app on the screen of a task that works in this folder."""
    sandbox = Sandbox(sandbox_id=TASK, cwd=folder, created_at=NOW)
    task = replace(a_task(TaskStatus.IDLE), sandbox=sandbox, **changes)
    async with stage(store_with(task, a_session())) as on:
        on.app.open_task(TASK)
        await on.pilot.pause()
        await on.press("E")
        await on.app.workers.wait_for_complete()
        await on.pilot.pause()
        yield on


def notice(on: Stage) -> str:
    return [str(note.message) for note in on.app._notifications][-1]


def test_the_editor_is_visual_then_editor_then_vi() -> None:
    assert editor_command({"VISUAL": "code --wait", "EDITOR": "nano"}) == ["code", "--wait"]
    assert editor_command({"EDITOR": "nano"}) == ["nano"]
    assert editor_command({}) == ["vi"]


def test_editors_with_windows_are_known_by_their_names() -> None:
    assert is_windowed(["/usr/bin/code", "--wait"])
    assert not is_windowed(["nvim"])


def test_an_editor_that_is_not_there_is_named() -> None:
    assert why_no_editor({"EDITOR": "/bin/sh"}) is None
    assert "no-such-editor is not installed" in (why_no_editor({"EDITOR": "no-such-editor"}) or "")


@pytest.mark.parametrize("name", ["nano", "code"])
async def test_the_folder_is_opened_and_is_where_the_editor_begins(told: Path, tmp_path: Path, name: str) -> None:
    heard = asyncio.create_task(asyncio.to_thread(told.read_text))
    await open_folder(str(tmp_path), {"EDITOR": an_editor(told, name)})
    assert await heard == f"{tmp_path} {tmp_path}\n"


async def test_an_editor_with_windows_is_not_waited_for(told: Path, tmp_path: Path) -> None:
    # It waits for a reader of the pipe, which comes only after this.
    await open_folder(str(tmp_path), {"EDITOR": an_editor(told, "code")})
    assert await asyncio.to_thread(told.read_text)


async def test_an_editor_with_windows_has_neither_the_terminal_nor_a_shell_over_it(told: Path, tmp_path: Path) -> None:
    editor = Path(an_editor(told, "code"))
    editor.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{WHAT_IT_HAS}' {told}\n")
    await open_folder(str(tmp_path), {"EDITOR": str(editor)})
    own, parent, session, *streams = (await asyncio.to_thread(told.read_text)).split()
    assert (int(parent), session) == (os.getpid(), own)
    assert streams == ["True"] * 3


async def test_an_editor_with_windows_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(EditorError, match="could not be started: No such file"):
        await open_folder(str(tmp_path), {"EDITOR": "/nowhere/code"})


async def test_an_editor_that_fails_says_so(tmp_path: Path) -> None:
    with pytest.raises(EditorError, match="exit code 1"):
        await open_folder(str(tmp_path), {"EDITOR": "false"})
    with pytest.raises(EditorError, match="could not be started"):
        await open_folder(str(tmp_path), {"EDITOR": "/nowhere/at-all"})


async def test_the_key_opens_a_window_and_says_so(told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", an_editor(told, "code"))
    async with opened(str(tmp_path)) as on:
        assert notice(on).startswith("Opened in")
        assert await asyncio.to_thread(told.read_text) == f"{tmp_path} {tmp_path}\n"


async def test_the_key_lends_the_terminal_where_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", "true")
    async with opened(str(tmp_path)) as on:
        assert "This terminal cannot be given" in notice(on)


async def test_the_key_says_why_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", "true")
    async with opened("/nowhere/at-all", provider="local") as on:
        assert notice(on) == "Not now: its folder is gone or elsewhere."
    async with opened("/nowhere/at-all", provider="demo") as on:
        assert notice(on) == "Not now: the provider demo makes no folder."
    monkeypatch.setenv("VISUAL", "no-such-editor")
    async with opened(str(tmp_path)) as on:
        assert "no-such-editor is not installed" in notice(on)
