"""`statusline`, when it is called with options; without any it takes a shorter way, see `main`."""

import click

from foundry_tui.cli.context import Context
from foundry_tui.cli.output import say, say_json
from foundry_tui.cli.parameters import json_option, pass_context
from foundry_tui.cli.startup.statusline import Silence, line_of, read_counts


@click.command()
@json_option
@pass_context
def statusline(context: Context, as_json: bool) -> None:
    """Print one short line: how many tasks ask (?), work (▸), are ready (●), failed (✗). Starts nothing.

    Without counts it says why (off, does not answer, refuses us, answers strangely), and that is no error.

    \b
    Examples:
      set -g status-right '#(foundry statusline)'      in tmux.conf
      foundry statusline --json
    """
    found = read_counts(context.settings)
    if as_json:
        if found is Silence.OFF:
            say_json({"running": False})
        else:
            say_json({"running": True, **({"trouble": found} if isinstance(found, Silence) else found)})
    else:
        say(line_of(found))
