"""The terminal that the app is drawn on."""

import os
import sys

from foundry_tui.cli.problems import USAGE, CommandError

FRAMES_A_SECOND = 120
"""Pictures at most: twice what Textual draws, since a key that comes just after one waits for the next."""
WITHOUT_CURSOR = frozenset({"dumb", "unknown"})
"""Values of `TERM` for terminals on which only lines can be printed."""


def need_terminal() -> None:
    """Raise `CommandError` unless there is a terminal to draw on; to be called before Textual is imported."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandError(
            "the app needs a terminal", hint="in a script use its commands, see: foundry --help", exit_code=USAGE
        )
    if (kind := os.environ.get("TERM", "").lower()) in WITHOUT_CURSOR:
        raise CommandError(
            f"the app cannot draw on a terminal of type {kind}: set TERM to what yours is, like xterm-256color; "
            "commands work without that, see: foundry --help"
        )
    # read once, by Textual
    os.environ.setdefault("TEXTUAL_FPS", str(FRAMES_A_SECOND))
