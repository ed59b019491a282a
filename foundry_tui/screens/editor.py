"""Writing a text, or opening a folder, in the editor that a person is used to."""

import asyncio
import os
import tempfile
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from textual.app import SuspendNotSupported
from textual.screen import Screen

from foundry_tui.editors import editor_command, is_windowed

T = TypeVar("T")


class EditorFailed(Exception):  # noqa: N818
    """The editor could not be started, or ended with an error; says so, and what it means."""


async def edit(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """The text as it is after the editor was closed, without newlines at its end. Raises `EditorFailed`."""
    command = editor_command(environ)
    handle, path = tempfile.mkstemp(prefix="foundry-", suffix=".md")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        process = await _started(command, path)
        code = await process.wait()
        if code != 0:
            raise EditorFailed(f"{command[0]} ended with exit code {code}; the prompt is as it was")
        return (await asyncio.to_thread(Path(path).read_text, encoding="utf-8", errors="replace")).rstrip("\n")
    finally:
        await asyncio.to_thread(Path(path).unlink, missing_ok=True)


async def open_folder(folder: str, environ: Mapping[str, str] = os.environ) -> None:
    """Open a folder in the editor: one with windows goes on by itself, another is waited for. Raises `EditorFailed`.

    An editor in the terminal needs it for itself as long as this lasts.
    """
    command = editor_command(environ)
    windowed = is_windowed(command)
    if windowed:
        # The shell ends at once and leaves it to the system: it may outlive the app.
        command = ["sh", "-c", '"$@" </dev/null >/dev/null 2>&1 &', "sh", *command]
    code = await (await _started(command, folder, cwd=folder, apart=windowed)).wait()
    if code != 0:
        raise EditorFailed(f"{command[0]} ended with exit code {code}")


async def _started(command: Sequence[str], path: str, cwd: str | None = None, *, apart: bool = False) -> Process:
    try:
        return await asyncio.create_subprocess_exec(*command, path, cwd=cwd, start_new_session=apart)
    except OSError as trouble:
        raise EditorFailed(f"{command[0]} could not be started: {trouble.strerror or trouble}") from trouble


async def lend_terminal(screen: Screen[Any], program: Callable[[], Awaitable[T]]) -> T | None:
    """Give the terminal to a program, drawing nothing meanwhile; that it failed is said, and answered with None."""
    try:
        with screen.app.batch_update(), screen.app.suspend():
            return await program()
    except SuspendNotSupported:
        screen.notify("This terminal cannot be given to an editor.", severity="warning")
    except EditorFailed as failure:
        screen.notify(str(failure), severity="error", markup=False)
    finally:
        screen.refresh(layout=True)
    return None
