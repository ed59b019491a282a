"""The text of a prompt: an argument, a file, or standard input, never empty and never asked for."""

import sys
from contextlib import nullcontext
from pathlib import Path

import click

from foundry_tui.cli.problems import CommandError
from foundry_tui.contract.problems import LARGEST_BODY


def prompt_text(ctx: click.Context, text: str | None, file: str | None) -> str:
    """The text as it came.

    Raises `click.UsageError` when there is none, or none that is UTF-8, and `CommandError` when it is too long.
    """
    if text is not None and file is not None:
        raise click.UsageError("give the prompt as an argument or with -F, not both", ctx)
    if file is not None:
        text = _read(ctx, file)
    if text is None:
        raise click.UsageError('no prompt: write it behind the command, as in "fix the tests", or give -F FILE', ctx)
    if not text.strip():
        raise click.UsageError("the prompt is empty: say what is to be done", ctx)
    return text


def _read(ctx: click.Context, file: str) -> str:
    try:
        with nullcontext(sys.stdin.buffer) if file == "-" else Path(file).open("rb") as source:
            # no more than shows that it is too long: the source may have no end
            data = source.read(LARGEST_BODY + 1)
        if len(data) > LARGEST_BODY:
            where = "from standard input" if file == "-" else f"in {file}"
            raise CommandError(
                f"the prompt {where} is longer than the limit of {LARGEST_BODY:,} bytes",
                hint="shorten it, or put it into a file of the repository and name that",
            )
        return data.decode("utf-8")
    except OSError as error:
        raise click.UsageError(f"the prompt cannot be read from {file}: {error.strerror}", ctx) from None
    except UnicodeDecodeError:
        raise click.UsageError(f"the prompt in {file} is no UTF-8 text", ctx) from None
