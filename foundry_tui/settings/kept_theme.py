"""The theme that a person chose in the app last, kept over restarts; what the settings name comes before it."""

import os
from contextlib import suppress
from pathlib import Path

from foundry_tui.client.private_files import make_folder, open_file
from foundry_tui.settings.paths import state_dir

LONGEST = 100
"""Characters of a theme's name; a longer one is none of ours."""


def theme_file() -> Path:
    """Where it is kept."""
    return state_dir() / "theme"


def kept_theme(file: Path) -> str | None:
    """The theme that was chosen last; None where none was, or the file cannot be read."""
    with suppress(OSError, UnicodeDecodeError), file.open(encoding="utf-8") as opened:
        return opened.read(LONGEST).strip() or None
    return None


def keep_theme(file: Path, name: str) -> None:
    """Keep this one, whole or not at all. Raises `OSError`."""
    make_folder(file.parent)
    new = file.with_name(f"{file.name}.{os.getpid()}")
    with os.fdopen(open_file(new, os.O_WRONLY | os.O_TRUNC), "w", encoding="utf-8") as opened:
        opened.write(f"{name}\n")
    new.replace(file)
