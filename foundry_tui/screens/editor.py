"""Writing a text in the editor that a person is used to."""

import asyncio
import os
import shlex
import tempfile
from collections.abc import Mapping
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


async def edit(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """The text as it is after the editor was closed, without newlines at its end. Raises `EditorFailed`."""
    command = editor_command(environ)
    handle, path = tempfile.mkstemp(prefix="foundry-", suffix=".md")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        try:
            process = await asyncio.create_subprocess_exec(*command, path)
        except OSError as trouble:
            raise EditorFailed(f"{command[0]} could not be started: {trouble.strerror or trouble}") from trouble
        code = await process.wait()
        if code != 0:
            raise EditorFailed(f"{command[0]} ended with exit code {code}; the prompt is as it was")
        return (await asyncio.to_thread(Path(path).read_text, encoding="utf-8", errors="replace")).rstrip("\n")
    finally:
        await asyncio.to_thread(Path(path).unlink, missing_ok=True)
