"""Where the app and the commands keep what the backend has not answered, and what was not sent to it."""

import re
from pathlib import Path

from foundry_tui.client.connection import Target
from foundry_tui.settings.paths import state_dir


def kept_for(target: Target, own: bool) -> Path:
    """The file for drafts and what the backend has not answered yet: each backend has its own.

    What was asked of one is not to be done by another.
    """
    name = "" if own else "-" + re.sub(r"[^\w.]+", "-", str(target)).strip("-")
    return state_dir() / f"app{name}.json"
