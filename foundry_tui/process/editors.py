"""The editor that a person is used to: which it is, and whether it has windows of its own."""

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

# fmt: off
WINDOWED = frozenset({
    "atom", "bbedit", "clion", "code", "code-insiders", "codium", "cursor", "fleet",
    "gedit", "goland", "gvim", "idea", "kate", "lapce", "mate", "mvim",
    "phpstorm", "pycharm", "rubymine", "rustrover", "subl", "webstorm", "windsurf", "xed",
    "zed", "zeditor",
})
# fmt: on
"""Editors that open a window and leave the terminal alone; all others are taken to need it."""


def editor_command(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The words that start the editor: `$VISUAL`, else `$EDITOR`, else vi."""
    for name in ("VISUAL", "EDITOR"):
        words = shlex.split(environ.get(name, ""))
        if words:
            return words
    return ["vi"]


def is_windowed(command: Sequence[str]) -> bool:
    """Whether this editor is started beside the terminal and not in it."""
    return Path(command[0]).name in WINDOWED


def why_no_editor(environ: Mapping[str, str] = os.environ) -> str | None:
    """Why no editor can be started, as a sentence without its full stop."""
    command = editor_command(environ)
    if shutil.which(command[0], path=environ.get("PATH")):
        return None
    return f"the editor {command[0]} is not installed; set $EDITOR to one that is"
