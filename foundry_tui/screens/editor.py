"""Writing a text in the editor that a person is used to."""

import asyncio
import os
import shlex
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path


class EditorFailed(Exception):  # noqa: N818
    """The editor could not be started, or ended with an error; the text is as it was."""


def editor_command(environ: Mapping[str, str]) -> list[str]:
    """The words that start the editor: `$VISUAL`, else `$EDITOR`, else vi."""
    for name in ("VISUAL", "EDITOR"):
        words = shlex.split(environ.get(name, ""))
        if words:
            return words
    return ["vi"]


async def edit(text: str, environ: Mapping[str, str] = os.environ, keep: Callable[[str], None] | None = None) -> str:
    """The text as it is after the editor was closed, without newlines at its end. Raises `EditorFailed`.

    What an editor saved before it failed stays in its file, which the failure names. When this is cancelled, the
    editor is ended, and what it saved is given to `keep`.
    """
    text = text.rstrip("\n")
    try:
        command = editor_command(environ)
        path = _file_of(text)
    except (OSError, ValueError) as trouble:
        raise EditorFailed(f"No editor could be started: {trouble}") from trouble
    abandoned = False
    try:
        code = await _run([*command, str(path)])
        saved = await asyncio.to_thread(_saved, path, text)
        if code != 0:
            abandoned = saved != text
            where = f"; what it saved is in {path}" if abandoned else ""
            raise EditorFailed(f"{command[0]} ended with exit code {code}; the prompt is as it was{where}")
        return saved
    except OSError as trouble:
        raise EditorFailed(f"{command[0]} could not be started: {trouble.strerror or trouble}") from trouble
    except asyncio.CancelledError:
        # The app is leaving, and waits for nothing any more.
        if keep is not None:
            keep(_saved(path, text))
        raise
    finally:
        if not abandoned:
            path.unlink(missing_ok=True)


async def _run(command: Sequence[str]) -> int:
    """Its exit code; it does not outlive us."""
    process = await asyncio.create_subprocess_exec(*command)
    try:
        return await process.wait()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.terminate()
        raise


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
