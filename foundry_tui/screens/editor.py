"""Writing a text, or opening a folder, in the editor that a person is used to."""

import asyncio
import os
import subprocess
import tempfile
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from textual.app import SuspendNotSupported
from textual.screen import Screen

from foundry_tui.process.editors import editor_command, is_windowed

T = TypeVar("T")


class EditorError(Exception):
    """The editor could not be started, or ended with an error; says so, and what it means."""


async def edit(text: str, environ: Mapping[str, str] = os.environ, keep: Callable[[str], None] | None = None) -> str:
    """The text as it is after the editor was closed, without newlines at its end. Raises `EditorError`.

    What an editor saved before it failed stays in its file, which the failure names. When this is cancelled, the
    editor is ended, and what it saved is given to `keep`.
    """
    text = text.rstrip("\n")
    try:
        command = editor_command(environ)
        path = await asyncio.to_thread(_file_of, text)
    except (OSError, ValueError) as trouble:
        raise EditorError(f"No editor could be started: {trouble}") from trouble
    abandoned = False
    try:
        code = await _run([*command, str(path)])
        saved = await asyncio.to_thread(_saved, path, text)
        if code != 0:
            abandoned = saved != text
            where = f"; what it saved is in {path}" if abandoned else ""
            raise EditorError(f"{command[0]} ended with exit code {code}; the prompt is as it was{where}")
        return saved
    except OSError as trouble:
        raise EditorError(f"{command[0]} could not be started: {trouble.strerror or trouble}") from trouble
    except asyncio.CancelledError:
        # The app is leaving, and waits for nothing any more.
        if keep is not None:
            keep(_saved(path, text))
        raise
    finally:
        if not abandoned:
            path.unlink(missing_ok=True)


async def open_folder(folder: str, environ: Mapping[str, str] = os.environ) -> None:
    """Open a folder in the editor: one with windows goes on by itself, another is waited for. Raises `EditorError`.

    An editor in the terminal needs it for itself as long as this lasts.
    """
    try:
        command = [*editor_command(environ), folder]
    except ValueError as trouble:
        raise EditorError(f"No editor could be started: {trouble}") from trouble
    try:
        if is_windowed(command):
            await asyncio.to_thread(_start_apart, command, folder)
            return
        code = await _run(command, cwd=folder)
    except OSError as trouble:
        raise EditorError(f"{command[0]} could not be started: {trouble.strerror or trouble}") from trouble
    if code != 0:
        raise EditorError(f"{command[0]} ended with exit code {code}")


async def lend_terminal(screen: Screen[Any], program: Callable[[], Awaitable[T]]) -> T | None:
    """Give the terminal to a program, drawing nothing meanwhile; that it failed is said, and answered with None."""
    try:
        with screen.app.batch_update(), screen.app.suspend():
            return await program()
    except SuspendNotSupported:
        screen.notify("This terminal cannot be given to an editor.", severity="warning")
    except EditorError as failure:
        screen.notify(str(failure), severity="error")
    finally:
        screen.refresh(layout=True)
    return None


async def _run(command: Sequence[str], cwd: str | None = None) -> int:
    """Its exit code; it does not outlive us."""
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd)
    try:
        return await process.wait()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.terminate()
        raise


def _start_apart(command: Sequence[str], cwd: str) -> None:
    """Start it away from the terminal; it may outlive us. Raises `OSError`."""
    process = subprocess.Popen(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    # Most are but launchers that end at once, and nobody else would take note of that.
    threading.Thread(target=process.wait, daemon=True).start()


def _file_of(text: str) -> Path:
    handle, path = tempfile.mkstemp(prefix="foundry-", suffix=".md")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return Path(path)


def _saved(path: Path, text: str) -> str:
    """What stands in the file, without newlines at its end; the text as it was where no file is."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").rstrip("\n")
    except OSError:
        return text
