"""Whether there is a terminal to draw the app on."""

import sys

from foundry_tui.cli.problems import USAGE, CommandError


def need_terminal() -> None:
    """Raise `CommandError` unless there is a terminal to draw on."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandError(
            "the app needs a terminal", hint="in a script use its commands, see: foundry --help", exit_code=USAGE
        )
