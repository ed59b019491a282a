"""The text of a prompt: an argument, a file, or standard input, never empty and never asked for."""

import sys
from pathlib import Path

import click


def prompt_text(ctx: click.Context, text: str | None, file: str | None) -> str:
    """The text as it came. Raises `click.UsageError` when there is none, or none that is UTF-8."""
    if text is not None and file is not None:
        raise click.UsageError("give the prompt as an argument or with -F, not both", ctx)
    if file is not None:
        text = _read(ctx, file)
    if text is None:
        raise click.UsageError('no prompt: write it behind the command, as in "fix the tests", or give -F FILE', ctx)
    if not text.strip():
        raise click.UsageError("the prompt is empty: say what is to be done", ctx)
    check_text(ctx, "the prompt", text)
    return text


def check_text(ctx: click.Context, name: str, text: str | None) -> None:
    """Raise `click.UsageError` for a text that came as bytes which are no UTF-8."""
    try:
        (text or "").encode("utf-8")
    except UnicodeEncodeError:
        raise click.UsageError(f"{name} is no UTF-8 text", ctx) from None


def _read(ctx: click.Context, file: str) -> str:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return data.decode("utf-8")
    except OSError as error:
        raise click.UsageError(f"the prompt cannot be read from {file}: {error.strerror}", ctx) from None
    except UnicodeDecodeError:
        raise click.UsageError(f"the prompt in {file} is no UTF-8 text", ctx) from None
